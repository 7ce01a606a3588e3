"""Files in requests over HTTP: only stored files of the caller, in any field, and no paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from hostile import BODIES
from limner.core.accounts import Role
from limner.core.requests import (
    Axis,
    Frozen,
    GenerateRequest,
    KnownRequest,
    SweepRequest,
    reference_fields,
    references_of,
)
from limner.core.requests.request import reference_kind_of
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio


def models_in(hint: Any) -> list[type[Frozen]]:
    if isinstance(hint, type) and issubclass(hint, Frozen):
        return [hint]
    return [model for part in get_args(hint) for model in models_in(part)]


WRITTEN = ("{}", "canny={}", "canny=starter@{}", "starter+{}")
"""Text forms in which a part of a request may name a file."""


def names(part: type[Frozen], value: Any, name: str) -> bool:
    """Whether a value is a valid part of a request and names the file."""
    try:
        return name in {found for _, found in references_of(part.model_validate(value))}
    except ValidationError:
        return False


def naming(model: type[Frozen], name: str) -> Iterator[tuple[str, Any]]:
    """Each field of a model that can name a file, with a value that names this file."""
    for field, info in model.model_fields.items():
        found: list[Any] = [name] if reference_kind_of(info) else []
        for part in models_in(info.annotation):
            needed = {other: "canny" for other, its in part.model_fields.items() if its.is_required()}
            given = [{**needed, inside: value} for inside, value in naming(part, name)]
            given += [text.format(name) for text in WRITTEN]
            found += [value for value in given if names(part, value, name)]
        several = get_origin(info.annotation) is tuple
        more = ["starter"] if field == "contestants" else []
        yield from ((field, [value, *more] if several else value) for value in found)


def asked(kind: type[Frozen], name: str, own: str, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests of a kind that name this file, each in another field or axis; all other files belong to the caller."""
    which = kind.model_fields["kind"].default
    known: dict[str, dict[str, Any]] = {
        "train": {"data": folder, "keep": "best"},
        "prepare": {"sources": [folder]},
        "influence": {"adapter": own, "model": "starter", "data": folder},
        "evaluate": {"target": "starter", "model": "starter"},
        "improve": {"target": "starter", "model": "starter"},
        "compare": {"contestants": ["starter", "owner/name"], "model": "starter"},
        "generate": {"image": own},
        "sweep": {"image": own},
    }
    base = {"kind": which, **BODIES[which], **known[which]}
    for field, value in naming(kind, name):
        yield field, {**base, **_beside(field, own), field: value}
    for field, value in naming(GenerateRequest, name) if which == "sweep" else ():
        text = value[0] if isinstance(value, list) else value
        if isinstance(text, str):
            rest = {key: its for key, its in base.items() if key != field} | _beside(field, own)
            several = field in ("adapter", "control")
            for typed in (text, f"{text}+{text}") if several else (text,):
                axis = {"field": field, "values": [typed]}
                assert names(Axis, axis, name)
                yield f"axis {field}", {**rest, "axis": [axis]}
            yield f"axis {field}", {**rest, "axis": [f"{field}={text}", "steps=1,2"]}


def _beside(field: str, own: str) -> dict[str, Any]:
    """What a field needs beside it, or cannot have."""
    return {"control_model": {"control": [f"canny={own}"]}, "prompts": {"prompt": []}}.get(field, {})


def referring(kind: type[Frozen]) -> set[str]:
    """The fields of a request that contain references."""
    return set(kind.model_fields) & reference_fields(kind)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def call(studio: Studio) -> Iterator[dict[str, Any]]:
    """A function that posts as ann or eve, and an upload of each."""
    keys = {name: studio.accounts.add_key(name, Role.MAKER)[1] for name in ("ann", "eve")}
    with TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1") as client:

        def post(who: str, path: str, **body: Any) -> Any:
            return client.post(path, headers={"Authorization": f"Bearer {keys[who]}"}, **body)

        own = {who: post(who, "/v1/files", content=who.encode()).json()["reference"] for who in keys}
        listed = json.dumps({"a.png": own["eve"].removeprefix("sha256:")}).encode()
        folder = post("eve", "/v1/files", content=listed).json()["reference"].replace("sha256:", "folder:")
        yield {"post": post, "own": own, "folder": folder}


@pytest.mark.parametrize("kind", get_args(KnownRequest))
def test_responses_do_not_depend_on_files_of_the_machine(
    kind: type[Frozen], call: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "folder").mkdir(parents=True)
    (tmp_path / "here" / "file.png").write_bytes(b"\x89PNG")
    (tmp_path / "here" / "link.png").symlink_to(tmp_path / "here" / "file.png")
    axes = {f"axis {name}" for name in referring(GenerateRequest)}
    ends = ("here/folder", "here/file.png", "here/nothing")
    for paths in (ends, [str(tmp_path / end) for end in ends[1:]]):
        answers: dict[str, set[tuple[int, str]]] = {}
        for path in paths:
            for number, (field, body) in enumerate(asked(kind, path, call["own"]["eve"], call["folder"])):
                reply = call["post"]("eve", "/v1/runs", json=body)
                message = reply.text.replace(path, "PATH") if reply.status_code != 202 else ""
                answers.setdefault(f"{number} {field}", set()).add((int(reply.status_code), message))
                if path.startswith("/"):
                    assert reply.status_code == 422 and "'PATH' is not a reference" in message, (
                        field,
                        body,
                        reply.text,
                    )
        assert all(len(message) == 1 for message in answers.values()), answers
        tried = {field.partition(" ")[2] for field in answers}
        assert referring(kind) <= tried and (kind is not SweepRequest or axes <= tried)


@pytest.mark.parametrize("kind", get_args(KnownRequest))
def test_files_of_others_are_refused_in_every_field(kind: type[Frozen], call: dict[str, Any]) -> None:
    for field, body in asked(kind, call["own"]["ann"], call["own"]["eve"], call["folder"]):
        reply = call["post"]("eve", "/v1/runs", json=body)
        assert reply.status_code == 422 and "is not yours" in reply.json()["detail"], (field, body, reply.text)
