"""Images of a training set as arrays: cropped to the size that is trained on, and read in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.data.sets.folder import ImageFile
from limner.imaging.buckets import Buckets
from limner.imaging.crop import center_square, crop_and_resize, crop_box, size_conditioning
from limner.imaging.decode import decode
from limner.imaging.drawn_masks import DrawnMask, open_mask

Shape = tuple[int, int]
"""Width and height in pixels."""
NEAR = 1.5
"""A prepared image keeps its shape where its area differs from the resolution's by less than this factor."""


@dataclass(frozen=True)
class Crops:
    """Crops of images, all of one size.

    pixels: (n, h, w, 3) uint8. frames: (n, 6) int64, in the terms of SDXL (arXiv 2307.01952, section 2.2): the image's
    height and width, the crop's top and left in the image as it was resized, and the crop's height and width. masks:
    (n, h, w) uint8 or None.
    """

    pixels: np.ndarray
    frames: np.ndarray
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, part: slice) -> Crops:
        return Crops(self.pixels[part], self.frames[part], None if self.masks is None else self.masks[part])

    def mirrored(self) -> Crops:
        """The crops mirrored left to right. Their frames stay: crops are from the middle."""
        return Crops(self.pixels[:, :, ::-1], self.frames, None if self.masks is None else self.masks[:, :, ::-1])

    @classmethod
    def whole(cls, pixels: np.ndarray) -> Crops:
        """Images (n, h, w, 3) that were not cropped."""
        count, height, width = pixels.shape[:3]
        return cls(pixels, np.tile(np.array([height, width, 0, 0, height, width]), (count, 1)))


class CroppedFiles:
    """Image files, cropped to one shape when they are read; memory holds only the part that is asked for.

    masked: read masks too; an image without one counts everywhere. Reading a part raises LimnerError where a file
    vanished or changed since the scan, or a mask does not fit its image.
    """

    def __init__(self, images: Sequence[ImageFile], shape: Shape, masked: bool = False) -> None:
        self.images, self.shape, self.masked = tuple(images), shape, masked

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Crops:
        images, shape = self.images[part], self.shape
        with ThreadPoolExecutor(2) as threads:
            pixels = np.stack(list(threads.map(lambda image: _pixels(image, shape), images)))
        masks = np.stack([_mask_levels(image, shape) for image in images]) if self.masked else None
        return Crops(pixels, np.array([_frame(image.size, shape) for image in images]), masks)


def bucket_shape(size: Shape, resolution: int, multiple: int) -> Shape:
    """The shape in which a prepared image of this size is trained: its own where that suits the resolution.

    It suits where its sides are multiples of `multiple`, as the model needs, and its area is near that of resolution x
    resolution. Any other image gets the bucket of the resolution for which least is cropped.
    """
    across, down = size
    area = across * down / resolution**2
    if across % multiple == down % multiple == 0 and 1 / NEAR < area < NEAR:
        return size
    return Buckets.of(resolution, multiple).nearest(size)


def _box(size: Shape, shape: Shape) -> tuple[int, int, int, int]:
    return (0, 0, *size) if size == shape else crop_box(size, shape)


def _crop(image: Image.Image, shape: Shape) -> Image.Image:
    """The largest crop of a shape from the middle of an image, resized to (width, height)."""
    if shape[0] == shape[1]:
        return center_square(image, shape[0])
    return crop_and_resize(image, _box(image.size, shape), shape)


def _frame(size: Shape, shape: Shape) -> tuple[int, int, int, int, int, int]:
    """What `_crop` does to an image of this (width, height), as `Crops.frames` has it."""
    if shape[0] == shape[1]:
        return size_conditioning(size, shape[0])
    left, top, right, bottom = _box(size, shape)
    across, down = shape[0] / (right - left), shape[1] / (bottom - top)
    return size[1], size[0], round(top * down), round(left * across), shape[1], shape[0]


def _pixels(image: ImageFile, shape: Shape) -> np.ndarray:
    """One image as (h, w, 3), uint8."""
    try:
        data = read_file(image.path)
    except LimnerError as error:
        raise LimnerError(f"an image is gone since it was scanned: {error.problem}", "start again") from error
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise LimnerError(f"{quoted(image.path)} has changed since it was scanned", "start again")
    return np.asarray(_crop(decode(data, image.path), shape))


def read_mask(image: ImageFile, shape: Shape) -> DrawnMask | None:
    """An image's mask, cropped like the image: white counts, black does not. None where it has none.

    Raises LimnerError if it has another size than its image or nothing white.
    """
    if image.mask is None:
        return None
    mask = open_mask(image.mask)
    if mask.image.size != image.size:
        raise LimnerError(
            f"the mask {quoted(image.mask)} is {mask.image.width} x {mask.image.height}, and its image "
            f"{image.size[0]} x {image.size[1]}",
            "make the mask as large as its image",
        )
    cropped = replace(mask, image=_crop(mask.image, shape))
    if mask.selects_nothing or not cropped.image.getbbox():
        raise LimnerError(f"the mask {quoted(image.mask)} is all black", "paint the part to train on white")
    return cropped


def _mask_levels(image: ImageFile, shape: Shape) -> np.ndarray:
    """An image's mask as (h, w), uint8; all white where it has none."""
    mask = read_mask(image, shape)
    return np.full(shape[::-1], 255, dtype=np.uint8) if mask is None else np.asarray(mask.image)
