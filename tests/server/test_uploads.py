"""The picture and the mask of an edit: what is wholly transparent is painted anew, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from starlette.datastructures import UploadFile

from limner.core.accounts import Caller
from limner.server.problems import Refusal
from limner.server.uploads import taken
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


def test_what_is_wholly_transparent_is_white_in_the_mask(studio: Studio) -> None:
    mask = covered([[0, 1, 127, 255], [0, 0, 128, 254]])
    kept = taken(studio, Caller(), upload(Image.new("RGB", (4, 2), "red")), upload(mask))
    with Image.open(studio.files.local_path(kept["mask"])) as found:
        assert (found.mode, np.asarray(found).tolist()) == ("L", [[255, 0, 0, 0], [255, 255, 0, 0]])
    with Image.open(studio.files.local_path(kept["image"])) as found:
        assert found.getpixel((0, 0)) == (255, 0, 0)
    assert taken(studio, Caller(), upload(Image.new("RGB", (4, 2), "red")), None) == {"image": kept["image"]}


@pytest.mark.parametrize("size", [(4, 3), (5, 2), (2, 4), (8, 4)])
def test_a_mask_is_of_the_pictures_size(studio: Studio, size: tuple[int, int]) -> None:
    mask = Image.new("RGBA", size)
    with pytest.raises(Refusal, match=rf"the mask is {size[0]} x {size[1]} and the image 4 x 2") as caught:
        taken(studio, Caller(), upload(Image.new("RGB", (4, 2))), upload(mask))
    assert caught.value.status == 422 and caught.value.errors == [{"pointer": "/mask", "detail": caught.value.problem}]


def test_a_mask_is_transparent_somewhere(studio: Studio) -> None:
    for mask in (Image.new("RGB", (4, 2)), covered([[255, 1], [1, 255]]).resize((4, 2), Image.Resampling.NEAREST)):
        with pytest.raises(Refusal, match="the mask is transparent nowhere"):
            taken(studio, Caller(), upload(Image.new("RGB", (4, 2))), upload(mask))
