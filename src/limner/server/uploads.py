"""Uploads: request bodies as files, images from URLs, and the image and mask of an OpenAI image edit."""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from anyio import open_file
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from PIL import Image
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from limner.core.accounts import Caller
from limner.core.disk import is_disk_error
from limner.core.errors import LimnerError
from limner.core.files import read_file
from limner.fetch import fetch
from limner.imaging.decode import PIXEL_CAP, decode
from limner.server.openai_models import ImageEditRequest
from limner.server.problems import HTTPError, http_status
from limner.studio.files import CHUNK_BYTES
from limner.studio.studio import Studio

FILE_FIELDS = ("image", "image[]", "mask")
UPLOAD_PIXELS = 16
"""An uploaded image may have this many times the pixels of a generated one. Decoding takes 28 bytes per pixel."""
_decoding = BoundedSemaphore(2)


async def save_body(request: Request, place: Path, limit: int) -> int:
    """Write the body of a request to a file and return its size; raises HTTPError (413) above `limit` bytes."""
    size = 0
    async with await open_file(place, "wb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise HTTPError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the upload is larger than {limit:,} bytes", "send less"
                )
            await file.write(piece)
    if not size:
        raise LimnerError("the upload is empty", "send the file's bytes as the body")
    return size


def image_size(studio: Studio, place: Path) -> tuple[int, int]:
    """Decode an uploaded image and return (width, height); raises LimnerError if it cannot be decoded or is too
    large.
    """
    cap = PIXEL_CAP if studio.most_pixels is None else min(PIXEL_CAP, UPLOAD_PIXELS * studio.most_pixels)
    with _decoding:
        return decode(read_file(place), place, cap).size


def store_image_from_url(studio: Studio, caller: Caller, url: str, limit: int) -> str:
    """Download an image of at most `limit` bytes, store it for the caller and return its reference.

    Raises LimnerError if the URL may not be fetched, or is no image.
    """
    body = fetch(url, bytes_most=limit)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "base"
        place.write_bytes(body)
        image_size(studio, place)
        return studio.files.upload(place, caller)


def edit_request(form: FormData) -> ImageEditRequest:
    """Validate the fields of a form besides its files; errors are reported like those of a JSON body."""
    fields = {name: value for name, value in form.multi_items() if name not in FILE_FIELDS}
    try:
        return ImageEditRequest.model_validate(fields)
    except ValidationError as error:
        found: list[Any] = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from error


def form_image(form: FormData) -> UploadFile:
    """Return the one image of a form."""
    found = [*form.getlist("image"), *form.getlist("image[]")]
    if len(found) != 1 or not isinstance(found[0], UploadFile):
        count = f"{len(found)} images" if all(isinstance(file, UploadFile) for file in found) else "no file"
        problem = f"the field image has {count}"
        raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, "send one image", pointer="/image")
    return found[0]


def form_mask(form: FormData) -> UploadFile | None:
    """Return the mask of a form, None without one."""
    found = form.getlist("mask")
    if len(found) > 1 or not all(isinstance(file, UploadFile) for file in found):
        problem = "the field mask is not one file"
        raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, "send one mask", pointer="/mask")
    return next((file for file in found if isinstance(file, UploadFile)), None)


def store_edit_files(studio: Studio, caller: Caller, image: UploadFile, mask: UploadFile | None) -> dict[str, str]:
    """Store the image, and the mask converted to ours: white is generated anew. Returns field name -> reference."""
    with tempfile.TemporaryDirectory() as folder:
        image_file, mask_file = Path(folder) / "image", Path(folder) / "mask.png"
        _write(image, image_file)
        with http_status(HTTPStatus.UNPROCESSABLE_ENTITY, pointer="/image"):
            size = image_size(studio, image_file)
        files = {"image": image_file}
        if mask is not None:
            _write(mask, mask_file)
            _convert_mask(mask_file, size).save(mask_file, format="PNG")
            files["mask"] = mask_file
        return {name: studio.files.upload(file, caller) for name, file in files.items()}


def _convert_mask(mask: Path, size: tuple[int, int]) -> Image.Image:
    """Return an L image: 255 where OpenAI's mask is fully transparent, 0 elsewhere."""
    try:
        with Image.open(mask, formats=("PNG",)) as opened:
            if opened.size != size:
                sizes = " and the image ".join("{} x {}".format(*each) for each in (opened.size, size))
                raise _invalid_file("mask", f"the mask is {sizes}", "make them the same size")
            alpha = opened.convert("RGBA").getchannel("A")
    except HTTPError:
        raise
    except Exception as error:  # a hostile file makes the decoder raise nearly anything
        if is_disk_error(error):
            raise
        raise _invalid_file("mask", "the mask cannot be read as PNG", "save it again as PNG") from error
    white = alpha.point(lambda value: 255 if value == 0 else 0)
    if not white.getbbox():
        problem = "the mask has no transparent pixel"
        raise _invalid_file("mask", problem, "make the part to generate transparent")
    return white


def _write(file: UploadFile, place: Path) -> None:
    with place.open("wb") as target:
        while piece := file.file.read(CHUNK_BYTES):
            target.write(piece)


def _invalid_file(name: str, problem: str, remedy: str) -> HTTPError:
    return HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, remedy, pointer=f"/{name}")
