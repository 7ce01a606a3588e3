"""Copies of training pictures are found and named; other pictures are none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from limner.core.errors import LimnerError
from limner.data.duplicates.copies import NEAR_COPY, nearest_copies
from scored import of, values

BENCH = Path(__file__).parents[2] / "../shared/data/dreambench"


def _flipped(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _jpeg(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)
    with Image.open(file) as again:
        return again.convert("RGB")


EDITS = {
    "flipped": _flipped,
    "jpeg": _jpeg,
    "flipped, jpeg": lambda picture: _jpeg(_flipped(picture)),
    "larger": lambda picture: picture.resize((300, 300)),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "grey": lambda picture: picture.convert("L"),
}


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_an_edited_copy_is_found_and_named(edit, scenes, changed):
    training = [item.path for item in scenes]
    for index in (0, 11, 25):
        copy = changed(training[index], EDITS[edit], f"{index}.png")
        (match,) = nearest_copies([copy], training)
        assert match.image == training[index] and match.is_copy and match.similarity > 0.9
        assert match.mirrored == ("flipped" in edit)
        assert values("memorisation", of([copy], training=training)) == pytest.approx(match.similarity)


def test_other_pictures_are_no_copies(scenes):
    paths = [item.path for item in scenes]
    assert not any(match.is_copy for match in nearest_copies(paths[:20], paths[20:]))


def test_photographs_of_one_subject_are_no_copies_but_a_flipped_one_is(changed):
    if not BENCH.is_dir():
        pytest.skip("the photographs are not here")
    for subject in ("cat", "dog", "backpack", "can"):
        photographs = sorted((BENCH / subject).glob("*.jpg"))
        others = [nearest_copies([path], [p for p in photographs if p != path])[0] for path in photographs]
        assert max(match.similarity for match in others) < NEAR_COPY - 0.2
        copy = changed(photographs[0], EDITS["flipped, jpeg"], "copy.png")
        assert nearest_copies([copy], photographs)[0].picture == photographs[0]
        assert values("memorisation", of([copy], training=photographs)) > 0.95


def test_flat_pictures_are_alike_and_like_no_other(tmp_path, scenes):
    for name in ("red", "blue"):
        Image.new("RGB", (32, 48), name).save(tmp_path / f"{name}.png")
    flat = [tmp_path / "red.png", tmp_path / "blue.png"]
    assert nearest_copies(flat[:1], flat[1:])[0].similarity == 1
    assert nearest_copies(flat[:1], [scenes[0].path])[0].similarity == 0


def test_nothing_to_copy_is_one_line(scenes):
    with pytest.raises(LimnerError, match="no training images to compare with"):
        nearest_copies([scenes[0].path], [])


def test_a_copy_is_less_unique_than_another_picture(scenes, changed):
    training = tuple(item.path for item in scenes[:20])
    copy = changed(training[4], _jpeg, "copy.png")
    near, far = values("uniqueness", of([copy, scenes[30].path], training=training))
    assert near < 0.1 < far
