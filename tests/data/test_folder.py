"""Scanning folders and loading their pixels."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.data.sets import folder as folder_module
from limner.data.sets.folder import scan
from limner.data.sets.pixels import CroppedFiles
from limner.imaging.crop import center_square


@pytest.fixture
def album(tmp_path):
    for index, name in enumerate(("c.png", "A.PNG", "b.jpg")):
        Image.new("RGB", (20 + index, 30), (index * 40, 9, 9)).save(tmp_path / name)
    return tmp_path


def cropped(found, shape=(16, 16), masked=False):
    return CroppedFiles(found.images, shape, masked)[:]


def line_of(call, *arguments):
    with pytest.raises(LimnerError) as caught:
        call(*arguments)
    assert str(caught.value).isprintable(), str(caught.value)
    return str(caught.value)


def test_sorted_hashed_and_measured(album):
    found = scan(album)
    assert [photo.path.name for photo in found.images] == ["A.PNG", "b.jpg", "c.png"]
    assert [photo.size for photo in found.images] == [(21, 30), (22, 30), (20, 30)]
    assert found.images[0].sha256 == hashlib.sha256((album / "A.PNG").read_bytes()).hexdigest()
    assert found.smallest == 20
    assert (found.skipped, found.warnings) == ((), ())


def test_digest_is_of_the_images_not_their_names(album):
    before = scan(album).digest
    (album / "c.png").rename(album / "zzz.png")
    assert scan(album).digest == before
    Image.new("RGB", (5, 5)).save(album / "new.png")
    assert scan(album).digest != before
    hashes = sorted(hashlib.sha256(at.read_bytes()).hexdigest() for at in album.iterdir())
    assert scan(album).digest == hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def test_the_digest_knows_masks_by_their_content(album):
    (album / "masks").mkdir()
    found = [scan(album).digest]
    for left in (5, 9, 5):
        mask = Image.new("L", (22, 30))
        mask.paste(255, (left, 0, 15, 30))
        mask.save(album / "masks" / "b.png")
        found.append(scan(album).digest)
    assert len(set(found)) == 3 and found[1] == found[3]


def test_without_a_mask_a_picture_counts_everywhere(album):
    (album / "masks").mkdir()
    mask = Image.new("L", (22, 30))
    mask.paste(255, (0, 0, 22, 15))
    mask.save(album / "masks" / "b.png")
    masks = cropped(scan(album), masked=True).masks
    assert masks.shape == (3, 16, 16) and masks[[0, 2]].min() == 255
    assert masks[1, :6].min() == 255 and masks[1, 10:].max() == 0
    assert cropped(scan(album)).masks is None
    Image.new("L", (30, 22), 255).save(album / "masks" / "b.png")
    with pytest.raises(LimnerError, match=r"the mask 'b\.png' is 30 x 22, and its image 22 x 30"):
        cropped(scan(album), masked=True)


def test_a_text_file_beside_a_picture_is_its_caption(album):
    plain = scan(album)
    assert [photo.caption for photo in plain.images] == [None] * 3
    (album / "b.txt").write_text("\ufeffa photo of sks dog\n  asleep \n", encoding="utf-8")
    (album / "c.txt").write_text(" \n")
    found = scan(album)
    assert [photo.caption for photo in found.images] == [None, "a photo of sks dog asleep", None]
    assert found.digest != plain.digest and found.skipped == ()


def test_a_picture_whose_caption_cannot_be_read_is_left_out_and_reported(album):
    (album / "A.txt").write_bytes(b"\xff\xfe\x00")
    (album / "b.txt").write_text("word " * 1000)
    found = scan(album)
    assert [photo.path.name for photo in found.images] == ["c.png"]
    assert found.skipped[0].startswith("'A.PNG' is left out: 'A.txt' is not UTF-8 text")
    assert found.skipped[1].startswith("'b.jpg' is left out: the caption in 'b.txt' has 4,999 characters")


def test_a_folder_is_no_caption(album):
    (album / "b.txt").mkdir()
    assert scan(album).images[1].caption is None


def test_size_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert scan(tmp_path).images[0].size == (20, 40)


def test_what_is_left_out_is_reported_and_what_lies_beside_is_not(album):
    (album / "dup.png").write_bytes((album / "A.PNG").read_bytes())
    (album / "cut\n.jpg").write_bytes((album / "b.jpg").read_bytes()[:200])
    (album / ".hidden.png").write_bytes(b"x")
    (album / "b.txt").write_text("a caption")
    (album / "meta.json").write_text("{}")
    (album / "film.mp4").write_bytes(b"x")
    (album / "x.jpg").mkdir()
    (album / "empty").mkdir()
    (album / "more").mkdir()
    Image.new("RGB", (5, 5)).save(album / "more" / "inner.png")
    os.mkfifo(album / "pipe.png")
    found = scan(album)
    assert len(found.images) == 3
    assert all(reason.isprintable() for reason in found.skipped)
    text = "\n".join(found.skipped)
    for words in (
        "'dup.png' is the same file as 'A.PNG'",
        r"'cut\n.jpg' is a damaged",
        "'film.mp4' has no image suffix",
        "'x.jpg' is a folder",
        "the folder 'more' with 1 image",
        "'pipe.png' is a named pipe",
    ):
        assert words in text
    assert len(found.skipped) == 6


def test_one_file_needs_no_suffix(album):
    (album / "c.png").rename(album / "picture")
    found = scan(album / "picture")
    assert [photo.path for photo in found.images] == [album / "picture"]
    assert found.warnings[0].startswith("only 1 image:")
    assert "holds text" in line_of(scan, Path(__file__))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_are_warned_of(tmp_path, count):
    for index in range(count):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / f"{index}.png")
    assert bool(scan(tmp_path).warnings) == (count < 3)


def test_a_missing_path_names_its_neighbour(album):
    line = line_of(scan, album.parent / (album.name + "x"))
    assert "does not exist" in line
    assert f"did you mean {str(album)!r}?" in line
    assert "give a folder" in line_of(scan, album / "no" / "such" / "place")
    assert "does not exist" in line_of(scan, "nul\0")


def test_home_is_expanded(album, monkeypatch):
    monkeypatch.setenv("HOME", str(album.parent))
    assert len(scan(f"~/{album.name}").images) == 3


def test_folders_without_a_picture(tmp_path):
    assert "is empty" in line_of(scan, tmp_path)
    (tmp_path / "a.txt").write_text("x")
    assert "holds no image" in line_of(scan, tmp_path)
    for index in range(5):
        (tmp_path / f"{index}.jpg").write_bytes(b"")
    line = line_of(scan, tmp_path)
    assert "no readable image" in line
    assert "'2.jpg' is empty" in line and "'3.jpg'" not in line and "and 2 more" in line


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder_module.Path, "iterdir", refuse)
    assert "cannot be listed (Permission denied)" in line_of(scan, tmp_path)


def test_links(album):
    (album / "loop.png").symlink_to("loop.png")
    (album / "gone.png").symlink_to("nowhere")
    assert len(scan(album).skipped) == 2
    assert "a link to itself" in line_of(scan, album / "loop.png")


def test_square_takes_the_middle():
    pixels = np.zeros((10, 40, 3), np.uint8)
    pixels[:, 15:25] = 200
    image = Image.fromarray(pixels)
    assert np.asarray(center_square(image, 10)).tolist() == np.full((10, 10, 3), 200).tolist()
    assert np.asarray(center_square(image.transpose(Image.Transpose.ROTATE_90), 10)).min() == 200
    assert np.asarray(center_square(image, 4)).min() == 200  # nothing from outside the square bleeds in
    assert center_square(Image.new("RGB", (1, 1), "red"), 8).getpixel((7, 7)) == (255, 0, 0)
    assert center_square(Image.new("RGB", (3000, 1)), 8).size == (8, 8)


def test_square_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = np.asarray(center_square(Image.fromarray(stripes), 8), int)
    assert np.abs(small[:, 1:-1] - 128).max() < 10


def test_crops_keep_the_order(album):
    found = scan(album)
    pixels = cropped(found).pixels
    assert (pixels.shape, pixels.dtype) == ((3, 16, 16, 3), np.uint8)
    for photo, picture in zip(found.images, pixels, strict=True):
        np.testing.assert_array_equal(picture, np.asarray(center_square(Image.open(photo.path), 16)))


def test_files_that_changed_since_the_scan_are_refused(album):
    found = scan(album)
    Image.new("RGB", (9, 9)).save(album / "c.png")
    assert "'c.png' has changed since it was scanned" in line_of(cropped, found)
    (album / "c.png").unlink()
    assert "'c.png' does not exist" in line_of(cropped, found)
