"""Tests of which images are those of an improvement's target."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from limner.core.preferences import JudgedImage
from limner.core.requests import GenerateRequest
from limner.engine.improve.target_images import (
    TargetImages,
    images_of_adapter,
    images_of_model,
    missing,
    names_of_model,
)
from limner.provenance.labels import Label, write_png
from limner.store.blobs import Blobs
from limner.store.files import MARKER, sha256_of

ADAPTER = TargetImages("rex", frozenset({"a" * 64}), frozenset({"starter"}))
MODEL = TargetImages("starter", models=frozenset({"starter"}))


def image(**fields: object) -> JudgedImage:
    return JudgedImage.model_validate({"sha256": "f" * 64, "location": "gone.png", "prompt": "a dog", **fields})


def test_images_of_an_adapter() -> None:
    assert ADAPTER.have(image(model="starter", adapters=["b" * 64, "a" * 64])) is True
    assert ADAPTER.have(image(model="starter", adapters=["b" * 64])) is False
    assert ADAPTER.have(image(model="starter", adapters=[])) is False
    assert ADAPTER.have(image()) is None, "a file of feedback that does not say"
    assert ADAPTER.have(image(model="starter")) is None and ADAPTER.have(image(model="sdxl")) is False


def test_images_of_a_model() -> None:
    assert MODEL.have(image(model="starter", adapters=[])) is True
    assert MODEL.have(image(model="starter", adapters=["a" * 64])) is False
    assert MODEL.have(image(model="sdxl", adapters=[])) is False
    assert MODEL.have(image()) is None and MODEL.have(image(model="sdxl")) is False


def test_the_label_says_which_adapter_lay_at_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    adapter = {"name": "x", "path": "/x", "sha256": "a" * 64, "weight": 1.0}
    mark = {"reference": "starter", "sha256": None, "licence": "MIT"}
    fields = {"request": GenerateRequest(prompt="a dog"), "index": 0, "seed": 1, "version": "1", "model": mark}
    write_png(Image.new("RGB", (8, 8)), path, label=Label.model_validate({**fields, "adapters": [adapter]}))
    labelled = image(sha256=sha256_of(path), location=str(path), model="starter")
    other = TargetImages("max", frozenset({"b" * 64}), frozenset({"starter"}))
    assert (ADAPTER.have(labelled), other.have(labelled), MODEL.have(labelled)) == (True, False, False)
    assert ADAPTER.have(labelled.model_copy(update={"sha256": "0" * 64})) is None, "another file lies there by now"
    Image.new("RGB", (8, 8)).save(path)
    assert ADAPTER.have(labelled.model_copy(update={"sha256": sha256_of(path)})) is None, "it has no label"


def test_an_adapter_is_known_by_its_file_its_folder_and_its_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "rex"
    for name in (
        "adapter.safetensors",
        "checkpoints/9/adapter.safetensors",
        "checkpoints/9/other.txt",
        "README.md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / MARKER).touch()
    found = images_of_adapter("rex", folder / "adapter.safetensors", "starter")
    files = {hashlib.sha256(name.encode()).hexdigest() for name in ("adapter.safetensors",)}
    files |= {hashlib.sha256(b"checkpoints/9/adapter.safetensors").hexdigest()}
    stored = Blobs((tmp_path / "store").as_uri(), tmp_path / "cache")
    references = {stored.save(place).removeprefix("folder:") for place in (folder, folder / "checkpoints/9")}
    assert found.adapters == files | references and len(references) == 2
    assert found.name == "rex" and "starter" in found.models
    single = tmp_path / "many" / "x.safetensors"
    single.parent.mkdir()
    single.write_text("x")
    (single.parent / "y.safetensors").write_text("y")
    assert images_of_adapter("x", single, "starter").adapters == {hashlib.sha256(b"x").hexdigest()}


def test_a_model_is_known_by_its_aliases() -> None:
    assert images_of_model("my/model") == TargetImages("my/model", models=frozenset({"my/model"}))
    names = names_of_model("sdxl")
    assert len(names) > 1 and all(names_of_model(name) >= {"sdxl", name} for name in names)


def test_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    there, gone = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    assert missing(image(location=place) for place in (there, gone, str(tmp_path), f"sha256:{'a' * 64}")) == {
        gone,
        str(tmp_path),
        f"sha256:{'a' * 64}",
    }
