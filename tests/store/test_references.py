"""Tests of the references in requests, which keep files from being removed."""

from __future__ import annotations

from typing import get_args

import pytest

from limner.core.requests import Frozen, KnownRequest, parse_request
from limner.core.requests.request import reference_kind_of
from limner.store.references import REFERRING, mentions_of_request

HASH = "ab" * 32


def parts(model: type[Frozen]) -> set[str]:
    """The names of all fields of a request, and of what it holds, that refer to something."""
    found: set[str] = set()
    seen: list[type[Frozen]] = [model]
    for each in seen:
        for name, field in each.model_fields.items():
            if reference_kind_of(field):
                found.add(name)
            hints = [field.annotation, *get_args(field.annotation)]
            seen += [h for h in hints if isinstance(h, type) and issubclass(h, Frozen) and h not in seen]
    return found


@pytest.mark.parametrize("kind", get_args(KnownRequest))
def test_every_referring_field_is_known(kind: type[Frozen]) -> None:
    assert parts(kind) and parts(kind) <= set(REFERRING)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "evaluate", "target": "starter", "prompt": ["a"], "dataset": f"folder:{HASH}"},
        {"kind": "evaluate", "target": "starter", "prompt": ["a"], "encoder": f"folder:{HASH}"},
        {"kind": "evaluate", "target": "starter", "prompt": ["a"], "metric": [f"aesthetic=a/b@folder:{HASH}"]},
        {"kind": "compare", "contestants": ["starter", "sd15"], "prompt": ["a"], "references": f"folder:{HASH}"},
        {"kind": "improve", "target": "starter", "source": "sha256:" + "0" * 64, "references": f"folder:{HASH}"},
        {"kind": "influence", "picture": [f"folder:{HASH}"], "adapter": "sha256:" + "0" * 64},
        {"kind": "sweep", "prompt": ["a"], "axis": [f"adapter=none,folder:{HASH}:0.5"]},
        {"kind": "sweep", "prompt": ["a"], "axis": [f"control=none,given=folder:{HASH}"]},
        {"kind": "influence", "picture": ["sha256:" + "0" * 64], "adapter": f"folder:{HASH}"},
    ],
)
def test_references_of_a_request_are_found(fields: dict[str, object]) -> None:
    request = parse_request(fields)
    assert f"folder:{HASH}" in mentions_of_request(request.model_dump(mode="json"))


def test_prompts_are_no_references() -> None:
    request = parse_request({"kind": "evaluate", "target": "starter", "prompt": [f"folder:{HASH}"]})
    assert mentions_of_request(request.model_dump(mode="json")) == set()
    swept = parse_request({"kind": "sweep", "prompt": [f"folder:{HASH}"], "axis": [f"negative_prompt=a,folder:{HASH}"]})
    assert mentions_of_request(swept.model_dump(mode="json")) == set()


def test_references_of_an_unreadable_request_are_found() -> None:
    assert mentions_of_request({"kind": "gone", "image": f"folder:{HASH}"}) == {f"folder:{HASH}"}
    assert mentions_of_request({"axis": [{"field": ["no", "name"], "values": [f"folder:{HASH}"]}]}) == set()
