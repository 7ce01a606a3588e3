"""The picture and the mask that an edit brings."""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from fastapi.exceptions import RequestValidationError
from PIL import Image
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.files import read_file
from limner.imaging.decode import PIXEL_CAP, decode
from limner.server.openai_models import Edit
from limner.server.problems import Refusal
from limner.studio.files import CHUNK_BYTES
from limner.studio.studio import Studio

FILES = ("image", "image[]", "mask")
LARGER = 16
"""An uploaded image may have this many times the pixels of a generated one: decoding takes 28 bytes for each."""
_decoding = BoundedSemaphore(2)


def edit_of(form: FormData) -> Edit:
    """What is said in a form besides its files; refused as a body of JSON would be."""
    said = {name: value for name, value in form.multi_items() if name not in FILES}
    try:
        return Edit.model_validate(said)
    except ValidationError as error:
        found: list[Any] = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from error


def image_of(form: FormData) -> UploadFile:
    """The one picture of a form."""
    found = [*form.getlist("image"), *form.getlist("image[]")]
    if len(found) != 1 or not isinstance(found[0], UploadFile):
        said = f"{len(found)} pictures" if all(isinstance(file, UploadFile) for file in found) else "no file"
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{said} came as image", "send one", pointer="/image")
    return found[0]


def mask_of(form: FormData) -> UploadFile | None:
    """The mask of a form, if it has one."""
    found = form.getlist("mask")
    if len(found) > 1 or not all(isinstance(file, UploadFile) for file in found):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the mask is not one file", "send one", pointer="/mask")
    return next((file for file in found if isinstance(file, UploadFile)), None)


def size_of(studio: Studio, place: Path) -> tuple[int, int]:
    """Width and height of an image that was sent; raises LimnerError for what cannot be decoded or is too large."""
    cap = PIXEL_CAP if studio.most_pixels is None else min(PIXEL_CAP, LARGER * studio.most_pixels)
    with _decoding:
        return decode(read_file(place), place, cap).size


def taken(studio: Studio, who: Caller, image: UploadFile, mask: UploadFile | None) -> dict[str, str]:
    """Keep the picture, and the mask as ours are: white is painted anew. References by the names of request fields."""
    with tempfile.TemporaryDirectory() as folder:
        place, cover = Path(folder) / "image", Path(folder) / "mask.png"
        _write(image, place)
        try:
            size = size_of(studio, place)
        except LimnerError as error:
            raise _unfit("image", str(error)) from error
        found = {"image": place}
        if mask is not None:
            _write(mask, cover)
            _whitened(cover, size).save(cover, format="PNG")
            found["mask"] = cover
        return {name: studio.files.upload(file, who) for name, file in found.items()}


def _whitened(mask: Path, size: tuple[int, int]) -> Image.Image:
    """What is wholly transparent as white, all else black."""
    try:
        with Image.open(mask, formats=("PNG",)) as opened:
            if opened.size != size:
                told = " and the image ".join("{} x {}".format(*each) for each in (opened.size, size))
                raise _unfit("mask", f"the mask is {told}; make them the same")
            alpha = opened.convert("RGBA").getchannel("A")
    except Refusal:
        raise
    except Exception as error:  # a hostile file makes the decoder raise nearly anything
        raise _unfit("mask", "the mask is no PNG that can be read") from error
    white = alpha.point(lambda value: 255 if value == 0 else 0)
    if not white.getbbox():
        raise _unfit("mask", "the mask is transparent nowhere; make transparent what shall be painted anew")
    return white


def _write(file: UploadFile, place: Path) -> None:
    with place.open("wb") as target:
        while piece := file.file.read(CHUNK_BYTES):
            target.write(piece)


def _unfit(name: str, said: str) -> Refusal:
    problem, _, remedy = said.partition("; ")
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, problem, remedy, pointer=f"/{name}")
