"""Masks are read, made and cropped, and unusable ones are reported."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner.core.datasets import Fault
from limner.imaging.crop import crop_box
from limner.imaging.drawn_masks import DrawnMask
from limner.imaging.masks import _whole_parts, crop_mask, find_mask, make_mask, read_mask
from limner.plugins.detectors.saliency import plugin

pytest.importorskip("cv2")


def file_of(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def spotted(size=(60, 40), box=(10, 10, 30, 30)) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def message(fault) -> str:
    assert isinstance(fault, Fault) and fault.kind == "mask"
    return fault.message


def test_a_good_mask_is_taken_as_it_is():
    read = read_mask(file_of(spotted()), "a.png", (60, 40))
    assert isinstance(read, DrawnMask) and np.array_equal(np.asarray(read.image), np.asarray(spotted()))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (file_of(Image.new("L", (60, 40))), "the mask 'a.png' is all black"),
        (file_of(Image.new("L", (60, 40), 255)), "the mask 'a.png' is all white"),
        (file_of(Image.new("L", (60, 40), 90)), "is all black"),
        (file_of(spotted((40, 60))), "the mask 'a.png' is 40 x 60, and its image 60 x 40"),
        (b"", "the mask 'a.png' is empty"),
        (b"hello world, no picture", "the mask 'a.png' holds text"),
        (file_of(spotted())[:60], "the mask 'a.png' is a damaged"),
    ],
)
def test_an_unusable_mask_is_a_fault(data, line):
    assert line in message(read_mask(data, "a.png", (60, 40)))


def test_a_mask_is_cut_as_its_picture_is():
    size = (120, 80)
    mask = spotted(size, (60, 20, 100, 60))
    box = crop_box(size, (32, 32), np.asarray(mask) / 255)
    done = crop_mask(mask, box, (32, 32))
    assert isinstance(done, Image.Image) and done.size == (32, 32)
    values = np.asarray(done)
    assert values.min() == 0 and values.max() == 255
    assert values.mean() / 255 == pytest.approx(40 * 40 / 80**2, abs=0.03), "all of the subject is there"
    smooth = crop_mask(mask.resize((127, 90)), (0, 0, 127, 90), (32, 32))
    assert isinstance(smooth, Image.Image) and len(np.unique(np.asarray(smooth))) > 2, "edges are smooth"


def test_a_box_without_the_subject_is_a_fault_and_one_full_of_it_is_not():
    mask = spotted()
    assert "nothing of the mask" in message(crop_mask(mask, (35, 0, 60, 40), (16, 16)))
    full = crop_mask(mask, (12, 12, 28, 28), (16, 16))
    assert isinstance(full, Image.Image) and full.getextrema() == (255, 255)


def disc() -> tuple[Image.Image, np.ndarray]:
    """A red disc with a yellow middle on a speckled blue ground, and where it is."""
    ground = np.random.default_rng(0).normal((40, 70, 150), 8, (240, 320, 3)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((120, 60, 220, 160), (200, 40, 30))
    draw.ellipse((150, 90, 190, 130), (230, 200, 40))
    truth = Image.new("1", picture.size)
    ImageDraw.Draw(truth).ellipse((120, 60, 220, 160), 1)
    return picture, np.asarray(truth)


def overlap(mask: Image.Image | Fault, truth: np.ndarray) -> float:
    assert isinstance(mask, Image.Image), mask
    values = np.asarray(mask) > 127
    return float((values & truth).sum() / (values | truth).sum())


def test_a_mask_is_made_with_its_holes_filled():
    picture, truth = disc()
    found = plugin.finder(None)(picture, "disc")
    mask = make_mask(picture, found)
    assert isinstance(mask, Image.Image) and mask.size == picture.size and mask.mode == "L"
    assert set(np.unique(np.asarray(mask))) == {0, 255}
    assert overlap(mask, truth) > 0.9
    again = make_mask(picture, found)
    assert isinstance(again, Image.Image) and mask.tobytes() == again.tobytes()


def test_parts_of_a_subject_are_kept_and_specks_are_not():
    """Of two squares the lesser has a ninth or a quarter of the greater's area."""
    for side, kept in ((10, False), (15, True)):
        found = np.zeros((60, 90), bool)
        found[10:40, 10:40] = found[10 : 10 + side, 60 : 60 + side] = True
        parts = _whole_parts(found)
        assert parts[10:40, 10:40].mean() > 0.98 and (parts[10:25, 60:75].sum() > 200) == kept


def test_a_box_is_refined_and_an_outline_is_left_as_it_is():
    picture, truth = disc()
    box = np.zeros(truth.shape, np.float32)
    box[55:166, 115:226] = 0.8
    assert overlap(make_mask(picture, box), truth) > 0.9 > (box > 0)[truth].sum() / (box > 0).sum()
    other = np.roll(truth, 40, 1)
    assert overlap(make_mask(picture, other.astype(np.float32)), other) > 0.95, "a network's outline is believed"


@pytest.mark.parametrize("found", [None, np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)])
def test_where_nothing_is_found_no_mask_is_made(found):
    assert "not found" in message(make_mask(disc()[0], found))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 2), (900, 3)])
def test_tiny_pictures_break_nothing(size):
    found = np.random.default_rng(1).random((9, 9)).astype(np.float32)
    mask = make_mask(Image.new("RGB", size, "red"), found)
    if isinstance(mask, Fault):
        assert (mask.kind, mask.message.startswith("no mask was made: ")) == ("mask", True)
    else:
        assert (mask.size, mask.mode) == (size, "L") and set(np.unique(np.asarray(mask))) <= {0, 255}


def test_a_mask_is_found_by_its_pictures_key(tmp_path):
    (tmp_path / "dog").mkdir()
    for name in ("dog/01.png", "01.png", "02.webp"):  # another folder's picture may be called 01 too
        (tmp_path / name).write_bytes(b"x")
    assert find_mask(tmp_path, "dog/01.jpg") == tmp_path / "dog/01.png"
    assert find_mask(tmp_path, "dog/02.jpg") == tmp_path / "02.webp"
    assert find_mask(tmp_path, "dog/03.jpg") is None
    for hostile in ("../02.jpg", "/etc/02.jpg", "", "a\0b.jpg", "."):
        assert find_mask(tmp_path / "dog", hostile) is None


@pytest.mark.parametrize(("side", "kept"), [(8, False), (20, True)])
def test_parts_below_a_seventh_of_the_largest_are_removed(side: int, kept: bool) -> None:
    mask = np.zeros((100, 100), bool)
    mask[10:50, 10:50] = mask[70 : 70 + side, 70 : 70 + side] = True
    found = _whole_parts(mask)
    assert found[30, 30] and found[70 + side // 2, 70 + side // 2] == kept
