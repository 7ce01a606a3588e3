"""Input images of a request (image, mask, control images), fitted to the generated size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import expand_home, read_file
from limner.core.protocols import Control
from limner.core.requests import GenerateRequest
from limner.imaging.crop import fit
from limner.imaging.decode import open_image
from limner.imaging.drawn_masks import DrawnMask, open_mask
from limner.plugins import registry
from limner.provenance.xmp import is_fully_generated
from limner.store.files import sha256_of


@dataclass(frozen=True)
class OpenedInputs:
    """A request's images as they are on disk, by path, without the mask. makers: the plugins that make the control
    images.
    """

    images: dict[str, Image.Image]
    mask: DrawnMask | None
    makers: tuple[Control, ...]


def open_inputs(request: GenerateRequest) -> OpenedInputs:
    """Read a request's images; raise LimnerError if one cannot be read, or if they do not fit together."""
    paths = [path for path in (request.image, *(use.path for use in request.control)) if path]
    images = {path: open_image(path) for path in paths}
    mask = open_mask(request.mask) if request.mask else None
    if mask and request.image and mask.image.size != images[request.image].size:
        image = images[request.image]
        raise LimnerError(
            f"the mask is {mask.image.width} x {mask.image.height} px, and the image {image.width} x {image.height}",
            "use a mask of the image's size",
        )
    if mask and mask.selects_nothing:
        raise LimnerError(f"the mask {request.mask!r} is all black", "make white what should be replaced")
    return OpenedInputs(images, mask, tuple(registry.controls.get(use.kind) for use in request.control))


def mask_notices(request: GenerateRequest, opened: OpenedInputs) -> list[str]:
    """Return what had to be guessed of a request's mask, and a warning if it selects everything."""
    if opened.mask is None:
        return []
    notes = [f"the mask {request.mask!r}: {opened.mask.note}"] if opened.mask.note else []
    if opened.mask.selects_everything:
        notes.append(f"the mask {request.mask!r} is all white, so the whole image is generated anew")
    return notes


@dataclass(frozen=True)
class Inputs:
    """Input images in the generated size.

    size: width and height in pixels. sources: image of each control, guides: its control image. files: path ->
    SHA-256. foreign: the image has no label of a model, and may be a photograph.
    """

    size: tuple[int, int]
    image: Image.Image | None
    mask: Image.Image | None
    sources: tuple[Image.Image, ...]
    guides: tuple[Image.Image, ...]
    files: dict[str, str]
    foreign: bool = False

    def keep_outside_mask(self, pixels: np.ndarray) -> np.ndarray:
        """Return a generated image (h, w, 3) in which the input image replaces, to the bit, what is black in the mask.

        The input image is enlarged if the generated one is.
        """
        if self.mask is None or self.image is None:
            return pixels
        generated = Image.fromarray(pixels)
        image, mask = (fit(source, generated.size) for source in (self.image, self.mask))
        return np.asarray(Image.composite(generated, image, mask))

    def mask_for(self, pixels: np.ndarray) -> np.ndarray | None:
        """Return the mask (h, w) uint8 in the size of an image, white where it was generated; None for all of it."""
        return None if self.mask is None else np.asarray(fit(self.mask, pixels.shape[1::-1]))


def fit_inputs(request: GenerateRequest, opened: OpenedInputs, side: int, multiple: int) -> Inputs:
    """Crop and resize a request's images to the generated size. side: the model's native side in pixels.

    The size is the request's; what it leaves open follows from the first image's shape, at the model's native area.
    """
    images = opened.images
    size = image_size(request, next(iter(images.values())).size if images else None, side, multiple)
    image = mask = None
    if request.image:
        image = fit(images[request.image], size)
    if opened.mask and request.image:
        mask = fit(opened.mask.image, size)
        if not mask.getbbox():
            raise LimnerError(
                f"at {size[0]} x {size[1]} px, nothing white is left of the mask {request.mask!r}",
                "use --width and --height in the image's aspect ratio",
            )
    sources = tuple(fit(images[use.path], size) for use in request.control)
    guides = tuple(maker.guide(source) for maker, source in zip(opened.makers, sources, strict=True))
    named = (*images, *([request.mask] if request.mask else ()))
    files = {path: sha256_of(expand_home(path)) for path in named}
    foreign = request.image is not None and not is_fully_generated(read_file(expand_home(request.image)))
    return Inputs(size, image, mask, sources, guides, files, foreign)


def image_size(request: GenerateRequest, first: tuple[int, int] | None, side: int, multiple: int) -> tuple[int, int]:
    """Return width and height in pixels. first: size of the first input image."""
    if first is None:
        return request.width or side, request.height or side
    width, height = first
    scale = side / math.sqrt(width * height)
    if request.width or request.height:  # the other side follows
        scale = request.width / width if request.width else (request.height or side) / height
    sides = (request.width or width * scale, request.height or height * scale)
    return max(multiple, round(sides[0] / multiple) * multiple), max(multiple, round(sides[1] / multiple) * multiple)
