"""Uploads: the pixel limit of images, and the mask of an edit, where transparent pixels are generated anew."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.datastructures import UploadFile

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.server.problems import HTTPError
from limner.server.uploads import UPLOAD_PIXELS, image_size, store_edit_files
from limner.studio.studio import Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(tmp_path_factory.mktemp("uploads"))
    yield found
    found.store.close()


def upload(image: Image.Image) -> UploadFile:
    file = io.BytesIO()
    image.save(file, "PNG")
    file.seek(0)
    return UploadFile(file, filename="a.png")


def covered(alpha: list[list[int]]) -> Image.Image:
    values = np.zeros((len(alpha), len(alpha[0]), 4), dtype=np.uint8)
    values[..., 3] = alpha
    return Image.fromarray(values)


def test_transparent_pixels_are_white_in_the_mask(studio: Studio) -> None:
    mask = covered([[0, 1, 127, 255], [0, 0, 128, 254]])
    kept = store_edit_files(studio, Caller(), upload(Image.new("RGB", (4, 2), "red")), upload(mask))
    with Image.open(studio.files.local_path(kept["mask"])) as found:
        assert (found.mode, np.asarray(found).tolist()) == ("L", [[255, 0, 0, 0], [255, 255, 0, 0]])
    with Image.open(studio.files.local_path(kept["image"])) as found:
        assert found.getpixel((0, 0)) == (255, 0, 0)
    assert store_edit_files(studio, Caller(), upload(Image.new("RGB", (4, 2), "red")), None) == {"image": kept["image"]}


@pytest.mark.parametrize("size", [(4, 3), (5, 2), (2, 4), (8, 4)])
def test_a_mask_must_have_the_images_size(studio: Studio, size: tuple[int, int]) -> None:
    mask = Image.new("RGBA", size)
    with pytest.raises(HTTPError, match=rf"the mask is {size[0]} x {size[1]} and the image 4 x 2") as caught:
        store_edit_files(studio, Caller(), upload(Image.new("RGB", (4, 2))), upload(mask))
    assert caught.value.status == 422 and caught.value.errors == [{"pointer": "/mask", "detail": caught.value.problem}]


def test_a_mask_must_have_transparent_pixels(studio: Studio) -> None:
    for mask in (Image.new("RGB", (4, 2)), covered([[255, 1], [1, 255]]).resize((4, 2), Image.Resampling.NEAREST)):
        with pytest.raises(HTTPError, match="the mask has no transparent pixel"):
            store_edit_files(studio, Caller(), upload(Image.new("RGB", (4, 2))), upload(mask))


def test_pixel_limit_of_uploads(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "home", most_pixels=100)
    Image.new("RGB", (40, 100 * UPLOAD_PIXELS // 40)).save(tmp_path / "most.png")
    Image.new("RGB", (40, 100 * UPLOAD_PIXELS // 40 + 1)).save(tmp_path / "more.png")
    assert image_size(studio, tmp_path / "most.png") == (40, 40)
    with pytest.raises(LimnerError, match="40 x 41 = 1640"):
        image_size(studio, tmp_path / "more.png")
    studio.store.close()
