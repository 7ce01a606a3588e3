"""Reading an image's request from its label, to generate the image again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from limner import GenerateRequest
from limner.core.errors import LimnerError
from limner.core.events import Notice
from limner.core.execution import Execution, body_of
from limner.engine.generate import reproduce
from limner.engine.generate.reproduce import request_of_image
from limner.provenance.labels import Label, write_png
from limner.store.files import sha256_of


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model that is on disk and has known weights."""
    found = SimpleNamespace(fingerprints=lambda: {"f" * 64})
    monkeypatch.setattr(reproduce, "resolve", lambda reference: found)
    monkeypatch.setattr(reproduce, "needs_download", lambda reference: False)
    return found


def image_of(tmp_path: Path, sha256: str | None = "f" * 64, **fields: Any) -> Path:
    marks = fields.pop("adapters", ())
    inputs, together = fields.pop("inputs", {}), fields.pop("together", None)
    request = GenerateRequest.model_validate({"prompt": "a cat", "model": "mine"} | fields)
    mark: Any = {"reference": "mine", "sha256": sha256, "licence": "mit"}
    body = body_of(request, Execution(memory="low"))
    label = Label(
        request=body, index=0, seed=1, version="1", model=mark, adapters=marks, inputs=inputs, together=together
    )
    write_png(Image.new("RGB", (8, 8)), tmp_path / "made.png", label)
    return tmp_path / "made.png"


def read(path: Path, **places: list[str]) -> tuple[GenerateRequest, Execution, int | None, list[tuple[str, str]]]:
    events: list[Any] = []
    found = request_of_image(path, lambda sha256: places.get("elsewhere", []), events.append, read_files=True)
    return (*found, [(event.level, event.text) for event in events if isinstance(event, Notice)])


def test_request_execution_and_batch_size_are_those_of_the_label(tmp_path: Path) -> None:
    request, execution, together, notices = read(image_of(tmp_path, count=3, width=64, height=32, together=5))
    assert (request.prompt, request.count, execution.memory, together) == ("a cat", 3, "low", 5)
    assert notices == [("info", "generating 3 at 64 x 32 with 'mine', as in the image's label")]
    assert read(image_of(tmp_path))[2:] == (None, [("info", "generating 1 with 'mine', as in the image's label")])


def test_other_weights_are_a_warning_where_they_are_known(tmp_path: Path, model: Any) -> None:
    warning = ("warning", "'mine' has other weights now, so the image will differ")
    assert read(image_of(tmp_path, "e" * 64))[3][1:] == [warning]
    assert read(image_of(tmp_path, None))[3][1:] == []
    model.fingerprints = set
    assert read(image_of(tmp_path, "e" * 64))[3][1:] == []


@pytest.fixture
def adapter(tmp_path: Path) -> Any:
    """A file, and its mark in a label."""
    (tmp_path / "rex").mkdir()
    file = tmp_path / "rex" / "rex.safetensors"
    file.write_bytes(b"rex")
    return file, {"name": "rex", "path": "rex", "sha256": sha256_of(file), "weight": 1.0}


def test_an_adapter_is_taken_from_its_old_place_first(tmp_path: Path, adapter: Any) -> None:
    file, mark = adapter
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / "max.safetensors"
    copy.write_bytes(b"rex")

    def found(path: Path, *elsewhere: Path) -> str:
        image = image_of(tmp_path, adapter=[str(path)], adapters=(mark,))
        return read(image, elsewhere=[str(place) for place in elsewhere])[0].adapter[0].path

    assert found(file, copy) == str(file) and found(file.parent, copy) == str(file.parent)
    assert found(tmp_path / "gone", copy, file) == str(copy) and found(tmp_path / "gone", copy.parent) == str(
        copy.parent
    )
    (copy.parent / "another.safetensors").write_bytes(b"another")
    assert found(copy.parent) == str(copy), "of several files in a folder, that one"
    with pytest.raises(LimnerError, match="gone or was changed since the image was generated"):
        found(tmp_path / "gone", copy.parent / "another.safetensors")


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_an_input_image_that_is_gone_or_changed_is_named(tmp_path: Path, change: str) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"photo")
    sha256 = sha256_of(photo)
    image = image_of(tmp_path, image=str(photo), inputs={str(photo): sha256})
    assert read(image)[0].image == str(photo)
    if change == "gone":
        photo.unlink()
    else:
        photo.write_bytes(b"other")
    state = "is gone" if change == "gone" else "was changed"
    with pytest.raises(LimnerError, match=rf"the input image '.*photo.png' {state} \(SHA-256 {sha256[:12]}\)"):
        read(image)
