"""Tests of finding the run that made an image, and of copies in other formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.requests import GenerateRequest
from limner.provenance.verify import Verification
from limner.store.files import sha256_of
from limner.studio import images
from limner.studio.studio import Studio


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home)
    yield found
    found.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_an_image_is_of_the_newest_visible_run_that_made_it(studio: Studio, image: Path) -> None:
    runs = [studio.submit(GenerateRequest(prompt=name)).id for name in "abcd"]
    for run in runs:
        studio.store.add_artifact(run, "picture", f"/{run}.png", sha256_of(image))
    assert studio.images.verify(image).run == runs[-1]
    assert studio.images.verify(image, lambda run: run.id in runs[:2]).run == runs[1]
    assert studio.images.verify(image, lambda run: False).run is None


def test_a_watermark_names_the_picture_and_no_copy(
    studio: Studio, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, copied = (studio.submit(GenerateRequest(prompt=name)).id for name in "ab")
    studio.store.add_artifact(made, "picture", "/a.png", "a" * 64, {"mark": "00c0ffee"})
    studio.store.add_artifact(copied, "report", "/a.html", "b" * 64, {"mark": "00c0ffee"})
    verification: Any = images.examine(image, studio.home)
    mark = {"name": "00c0ffee", "chance": 0.0, "mirrored": False}
    verification = Verification.model_validate(verification.model_dump() | {"mark": mark})
    found = studio.images.with_maker(verification, image)
    assert found.mark is not None and (found.mark.run, found.run) == (made, None)
    hidden = studio.images.with_maker(verification, image, lambda run: run.id != made)
    assert hidden.mark is not None and hidden.mark.run is None


def test_copies_of_remote_files_are_kept_in_the_cache(studio: Studio, image: Path) -> None:
    named = studio.files.local_path(studio.files.save(image), ".png")
    assert named.parent == studio.home / "cache" / "files" and named.read_bytes() == image.read_bytes()


def test_a_copy_belongs_to_the_run_of_its_original(studio: Studio, image: Path) -> None:
    run = studio.submit(GenerateRequest(prompt="a")).id
    original = studio.store.add_artifact(run, "picture", "/out/a.png", "a" * 64)
    reference = studio.images.add_copy(original, image, "jpeg")
    copy, kept = studio.store.artifacts(run)
    assert kept == original and (copy.kind, copy.path) == ("copy", "/out/a.png.jpeg")
    assert copy.details == {"reference": reference, "of": "a" * 64} and reference == f"sha256:{sha256_of(image)}"
    assert copy.sha256 == sha256_of(image) and studio.files.local_path(reference).read_bytes() == image.read_bytes()
