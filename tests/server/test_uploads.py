"""Uploads: the pixel limit of images, and the mask of an edit, where transparent pixels are generated anew."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.exceptions import RequestValidationError
from PIL import Image
from starlette.datastructures import FormData, UploadFile

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.imaging.decode import PIXEL_CAP
from limner.server import uploads
from limner.server.problems import HTTPError
from limner.server.uploads import UPLOAD_PIXELS, edit_request, form_image, form_mask, image_size, store_edit_files
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


def test_the_files_of_an_edit_belong_to_the_caller(studio: Studio) -> None:
    ann = Caller(account="ann", role=Role.MAKER)
    kept = store_edit_files(studio, ann, upload(Image.new("RGB", (4, 2), "blue")), upload(Image.new("RGBA", (4, 2))))
    assert {held.reference for held in studio.files.grants.list("ann")} == {kept["image"], kept["mask"]}


def test_an_image_that_cannot_be_read_is_named(studio: Studio) -> None:
    broken = UploadFile(io.BytesIO(b"no picture"), filename="a.png")
    for image, mask, field in (
        (broken, None, "/image"),
        (upload(Image.new("RGB", (4, 2))), UploadFile(io.BytesIO(b"no picture")), "/mask"),
    ):
        with pytest.raises(HTTPError) as caught:
            store_edit_files(studio, Caller(), image, mask)
        assert caught.value.errors == [{"pointer": field, "detail": caught.value.problem}]


def test_a_form_has_one_image_and_at_most_one_mask() -> None:
    first, second = (upload(Image.new("RGB", (4, 2))) for _ in range(2))
    for name in ("image", "image[]"):
        assert form_image(FormData([(name, first)])) is first
    for fields, count in (
        ([("image", first), ("image[]", second)], "2 images"),
        ([], "0 images"),
        ([("image", "text")], "no file"),
    ):
        with pytest.raises(HTTPError, match=f"the field image has {count}; send one image") as caught:
            form_image(FormData(fields))
        assert caught.value.errors == [{"pointer": "/image", "detail": caught.value.problem}]
    assert form_mask(FormData([("mask", first)])) is first and form_mask(FormData([])) is None
    for fields in ([("mask", first), ("mask", second)], [("mask", "text")]):
        with pytest.raises(HTTPError, match="the field mask is not one file; send one mask"):
            form_mask(FormData(fields))


def test_errors_of_an_edits_fields_are_like_those_of_a_body() -> None:
    with pytest.raises(RequestValidationError) as caught:
        edit_request(FormData([("prompt", "a cat"), ("n", "11")]))
    assert [error["loc"] for error in caught.value.errors()] == [("body", "n")]
    asked = edit_request(FormData([("prompt", "a cat"), ("n", "2"), ("image", "left out"), ("mask", "left out")]))
    assert (asked.prompt, asked.n) == ("a cat", 2)


def test_an_upload_may_have_16_times_the_pixels_of_an_image_and_never_more_than_the_cap(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 2)).save(tmp_path / "a.png")
    caps: list[int] = []

    def decode(data: bytes, place: Path, cap: int) -> Image.Image:
        caps.append(cap)
        return Image.new("RGB", (8, 2))

    monkeypatch.setattr(uploads, "decode", decode)
    for most in (None, 100, PIXEL_CAP):
        monkeypatch.setattr(studio, "most_pixels", most)
        image_size(studio, tmp_path / "a.png")
    assert caps == [PIXEL_CAP, 1600, PIXEL_CAP]


def test_pixel_limit_of_uploads(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "home", most_pixels=100)
    Image.new("RGB", (40, 100 * UPLOAD_PIXELS // 40)).save(tmp_path / "most.png")
    Image.new("RGB", (40, 100 * UPLOAD_PIXELS // 40 + 1)).save(tmp_path / "more.png")
    assert image_size(studio, tmp_path / "most.png") == (40, 40)
    with pytest.raises(LimnerError, match="40 x 41 = 1640"):
        image_size(studio, tmp_path / "more.png")
    studio.store.close()
