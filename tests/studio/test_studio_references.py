"""Tests of which names mean the same on every machine, and of the suffixes that stored files need."""

from __future__ import annotations

from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.requests import parse_request
from limner.plugins.registry import aliases
from limner.studio.references import check_references, is_model, suffix_of

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def request(**fields: Any) -> Any:
    return parse_request({"kind": "generate", "prompt": "a cat"} | fields)


def test_the_stored_files_of_a_request_are_returned() -> None:
    folder = f"folder:{'d' * 64}"
    assert check_references(request(model=folder, image=A, adapter=[{"path": B}])) == {folder, A, B}
    assert check_references(request(model="owner/name")) == check_references(request()) == set()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"kind": "influence", "picture": [A], "adapter": B, "data": C}, "model"),
        ({"kind": "influence", "picture": [A], "adapter": B, "model": "starter"}, "data"),
        ({"kind": "compare", "contestants": [B, C], "prompt": ["a cat"]}, "model"),
        ({"kind": "improve", "target": A}, "model"),
    ],
)
def test_what_a_worker_would_read_from_an_adapter_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(LimnerError, match=f"{name} is not given; name it, because a worker does not read it"):
        check_references(parse_request(fields))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *((alias, True) for alias in sorted(aliases())),
        ("owner/name", True),
        ("owner/na.me-1", True),
        ("owner/name/vae.safetensors", True),
        ("owner/name/deep/vae.safetensors", True),
        ("owner/name/vae.bin", False),
        ("owner/name/deep", False),
        ("name", False),
        (".owner/name", False),
        ("owner/.name", False),
        ("owner/name/.safetensors", False),
        ("/owner/name", False),
        ("owner//name", False),
        (A, False),
    ],
)
def test_models_that_every_machine_knows(name: str, known: bool) -> None:
    assert is_model(name) is known


def test_suffixes_by_what_refers_to_a_file() -> None:
    generate = request(model=A, adapter=[{"path": B}], image=C)
    assert [suffix_of(generate, each) for each in (A, B, C)] == [".safetensors", ".safetensors", ""]
    assert suffix_of(request(model=A, image=A), A) == "", "two kinds of use need two suffixes"
    assert suffix_of(generate, "sha256:" + "e" * 64) == ""
    prepare = parse_request({"kind": "prepare", "sources": [B], "captions": A, "class_word": "dog"})
    assert (suffix_of(prepare, A), suffix_of(prepare, B)) == (".csv", "")
