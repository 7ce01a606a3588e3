"""Pictures that a painting begins from or is guided by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import read_file
from limner.core.protocols import Control
from limner.core.requests import GenerateRequest
from limner.imaging.decode import open_image
from limner.plugins import registry
from limner.provenance.xmp import is_fully_generated
from limner.store.files import sha256_of


@dataclass(frozen=True)
class Given:
    """A request's pictures as they are on disk, by their paths, and what makes guides of them."""

    pictures: dict[str, Image.Image]
    makers: tuple[Control, ...]


def open_inputs(request: GenerateRequest) -> Given:
    """Read a request's pictures; raises LimnerError for what cannot be read or does not fit together."""
    paths = [path for path in (request.image, request.mask, *(use.path for use in request.control)) if path]
    pictures = {path: open_image(path) for path in paths}
    if request.mask and request.image and pictures[request.mask].size != pictures[request.image].size:
        raise LimnerError(
            f"the mask is {_told(pictures[request.mask])}, and the image {_told(pictures[request.image])}",
            "make a mask of the image's own size",
        )
    if request.mask and not pictures[request.mask].convert("L").getbbox():
        raise LimnerError(f"the mask {request.mask!r} is all black", "paint white what shall be painted anew")
    return Given(pictures, tuple(registry.controls.get(use.kind) for use in request.control))


@dataclass(frozen=True)
class Inputs:
    """Pictures of the size that is painted. guides: for each control of the request. files: path -> SHA-256.

    foreign: the image does not say of itself that a model painted it, and may be a photograph.
    """

    size: tuple[int, int]
    image: Image.Image | None
    mask: Image.Image | None
    photographs: tuple[Image.Image, ...]
    guides: tuple[Image.Image, ...]
    files: dict[str, str]
    foreign: bool = False


def fit_inputs(request: GenerateRequest, given: Given, side: int, multiple: int) -> Inputs:
    """Cut and resize a request's pictures to the size that is painted; side: the model's own in pixels.

    That is what the request says, or what it leaves open as the first picture has it, at the model's own area.
    """
    opened = given.pictures
    size = painted_size(request, next(iter(opened.values())).size if opened else None, side, multiple)
    image = mask = None
    if request.image:
        image = fitted(opened[request.image], size)
    if request.mask and request.image:
        mask = fitted(opened[request.mask].convert("L"), size)
        if not mask.getbbox():
            raise LimnerError(
                f"nothing white is left of the mask {request.mask!r} at {size[0]} x {size[1]}",
                "choose a --width and --height of the image's own shape",
            )
    photographs = tuple(fitted(opened[use.path], size) for use in request.control)
    guides = tuple(maker.guide(photograph) for maker, photograph in zip(given.makers, photographs, strict=True))
    files = {path: sha256_of(Path(path).expanduser()) for path in opened}
    foreign = request.image is not None and not is_fully_generated(read_file(Path(request.image).expanduser()))
    return Inputs(size, image, mask, photographs, guides, files, foreign)


def painted_size(request: GenerateRequest, given: tuple[int, int] | None, side: int, multiple: int) -> tuple[int, int]:
    """Width and height in pixels."""
    if given is None:
        return request.width or side, request.height or side
    width, height = given
    scale = side / math.sqrt(width * height)
    if request.width or request.height:  # the other side follows
        scale = request.width / width if request.width else (request.height or side) / height
    sides = (request.width or width * scale, request.height or height * scale)
    return max(multiple, round(sides[0] / multiple) * multiple), max(multiple, round(sides[1] / multiple) * multiple)


def fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture in the shape of `size`, resized to it; a picture of that size is left as it is."""
    if picture.size == size:
        return picture
    scale = max(size[0] / picture.width, size[1] / picture.height)
    width, height = size[0] / scale, size[1] / scale
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))


def _told(picture: Image.Image) -> str:
    return f"{picture.width} x {picture.height}"
