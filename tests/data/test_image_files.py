"""Crops of training images: the shape of each, what is cut away, and what SDXL is given about it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.data.sets.folder import scan
from limner.data.sets.pixels import CroppedFiles, Crops, bucket_shape
from limner.imaging.buckets import Buckets


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((512, 512), (512, 512)),
        ((448, 576), (448, 576)),
        ((384, 704), (384, 704)),
        ((450, 576), (456, 576)),  # no multiple of 8: the bucket nearest to 4:5
        ((1024, 1536), (416, 624)),  # prepared for 1024 pixels
        ((256, 256), (512, 512)),
    ],
)
def test_an_image_keeps_its_shape_where_that_suits_the_resolution(size, shape):
    assert bucket_shape(size, 512, 8) == shape


@pytest.mark.parametrize("multiple", [8, 64])
def test_every_bucket_of_the_resolution_is_kept(multiple):
    shapes = Buckets.of(512, multiple).shapes
    assert [bucket_shape(shape, 512, 8) for shape in shapes] == list(shapes)


@pytest.fixture
def image(tmp_path):
    """A scanned image of 1000 x 600 pixels: red to the left of the middle square, green to the right, blue inside."""
    picture = Image.new("RGB", (1000, 600), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 200, 600))
    picture.paste((0, 255, 0), (800, 0, 1000, 600))
    picture.save(tmp_path / "a.png")
    return scan(tmp_path / "a.png").images[0]


def test_a_square_is_the_middle(image):
    crops = CroppedFiles([image], (64, 64))[:]
    assert crops.pixels.shape == (1, 64, 64, 3) and crops.frames.tolist() == [[600, 1000, 0, 21, 64, 64]]
    assert crops.pixels[0, :, :, 2].min() > 200, "all blue"


def test_a_wide_crop_has_the_sides_too(image):
    crops = CroppedFiles([image], (96, 48))[:]
    assert crops.pixels.shape == (1, 48, 96, 3)
    assert crops.frames.tolist() == [[600, 1000, 5, 0, 48, 96]], "50 of 600 rows are cut at the top, 4.8 when resized"
    assert crops.pixels[0, :, 0].tolist()[0][0] > 200 and crops.pixels[0, :, -1].tolist()[0][1] > 200


def test_an_image_of_the_shape_is_taken_as_it_is(image):
    crops = CroppedFiles([image], (1000, 600))[:]
    assert np.array_equal(crops.pixels[0], np.asarray(Image.open(image.path)))
    assert crops.frames.tolist() == [[600, 1000, 0, 0, 600, 1000]]


def test_files_are_read_a_part_at_a_time(tmp_path, monkeypatch):
    for index in range(5):
        Image.new("RGB", (30, 20), (index, 0, 0)).save(tmp_path / f"{index}.png")
    files = CroppedFiles(scan(tmp_path).images, (8, 8))
    assert len(files) == 5 and [len(files[start : start + 2]) for start in (0, 2, 4)] == [2, 2, 1]
    assert files[2:4].pixels[:, 0, 0, 0].tolist() == [2, 3]


def test_a_set_is_in_buckets_where_its_table_states_sizes_and_not_all_are_squares(tmp_path):
    rows = []
    for index, size in enumerate(((32, 32), (24, 40))):
        Image.new("RGB", size, (index, 0, 0)).save(tmp_path / f"{index}.png")
        rows.append({"file_name": f"{index}.png", "width": size[0], "height": size[1]})
    assert not scan(tmp_path).bucketed, "a plain folder"

    def bucketed(*rows):
        (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return scan(tmp_path).bucketed

    assert bucketed(*rows)
    assert not bucketed(rows[0]), "one image is in no row"
    assert not bucketed(rows[0], rows[1] | {"width": 25}), "one image is not the one that was prepared"
    assert not bucketed(rows[0], rows[1] | {"width": "24"})
    Image.new("RGB", (40, 40), (1, 0, 0)).save(tmp_path / "1.png")
    assert not bucketed(rows[0], rows[1] | {"width": 40, "height": 40}), "squares of several sizes"


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((64, 96), False),  # 1.5 times the area
        ((64, 88), True),
        ((64, 92), False),
        ((92, 64), False),
        ((48, 64), True),  # 0.75 of the area
        ((48, 56), False),  # 0.66 of it
        ((48, 48), False),  # 0.56 of it
        ((96, 96), False),  # 2.25 times it
        ((64, 104), False),  # 1.63 times it
    ],
)
def test_a_shape_is_kept_where_both_sides_fit_and_the_area_is_near(size, kept):
    assert (bucket_shape(size, 64, 8) == size) == kept


def test_a_bucket_has_sides_of_the_models_multiple():
    assert bucket_shape((1000, 500), 512, 64) == Buckets.of(512, 64).nearest((1000, 500))
    assert bucket_shape((1000, 500), 512, 8) == Buckets.of(512, 8).nearest((1000, 500))
    assert Buckets.of(512, 8).nearest((1000, 500)) != Buckets.of(512, 64).nearest((1000, 500))


@pytest.mark.parametrize(
    ("size", "shape", "frame"),
    [((1000, 600), (40, 20), [600, 1000, 2, 0, 20, 40]), ((600, 1000), (20, 40), [1000, 600, 0, 2, 40, 20])],
)
def test_a_frame_has_the_top_and_the_left_in_the_scale_of_each(tmp_path, size, shape, frame):
    Image.new("RGB", size).save(tmp_path / "a.png")
    assert CroppedFiles(scan(tmp_path / "a.png").images, shape)[:].frames.tolist() == [frame]


def test_a_frame_of_an_image_that_was_not_cropped_is_all_of_it():
    crops = Crops.whole(np.zeros((2, 3, 5, 3), np.uint8))
    assert crops.frames.tolist() == [[3, 5, 0, 0, 3, 5]] * 2 and crops.masks is None and len(crops) == 2
    pixels = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    crops = Crops(pixels, np.array([[1] * 6, [2] * 6]), pixels[..., 0])
    part = crops[1:]
    assert part.frames.tolist() == [[2] * 6] and np.array_equal(part.masks, pixels[1:, ..., 0])
    mirrored = crops.mirrored()
    assert np.array_equal(mirrored.pixels, pixels[:, :, ::-1]) and np.array_equal(mirrored.frames, crops.frames)
    assert np.array_equal(mirrored.masks, pixels[:, :, ::-1, 0])


def test_a_black_mask_is_refused(tmp_path):
    (tmp_path / "masks").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    Image.new("L", (20, 20)).save(tmp_path / "masks" / "a.png")
    files = CroppedFiles(scan(tmp_path).images, (8, 8), masked=True)
    with pytest.raises(LimnerError, match=r"the mask 'a\.png' is all black; paint the part to train on white"):
        files[:]


def test_a_set_is_in_buckets_by_its_validation_too(tmp_path):
    for part, sizes in (("train", [(32, 32)]), ("validation", [(24, 40)])):
        (tmp_path / part).mkdir()
        rows = []
        for index, size in enumerate(sizes):
            Image.new("RGB", size, (index, 0, 0)).save(tmp_path / part / f"{index}.png")
            rows.append(json.dumps({"file_name": f"{index}.png", "width": size[0], "height": size[1]}))
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(rows))
    assert scan(tmp_path).bucketed and not scan(tmp_path / "train").bucketed
