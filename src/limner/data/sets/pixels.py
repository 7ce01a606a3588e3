"""Photographs as arrays, ready for training."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.data.sets.folder import Photograph, Scan
from limner.imaging.crop import frame, square
from limner.imaging.decode import decode


@dataclass(frozen=True)
class Pictures:
    """Squares cut from photographs.

    pixels: (n, side, side, 3) uint8. frames: (n, 6) int64, the photograph's height and width, the crop's top and left
    in the photograph as it was resized, and the crop's height and width. masks: (n, side, side) uint8 or None.
    """

    pixels: np.ndarray
    frames: np.ndarray
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, which: list[int]) -> Pictures:
        masks = None if self.masks is None else self.masks[which]
        return Pictures(self.pixels[which], self.frames[which], masks)

    def mirrored(self) -> Pictures:
        """The same from right to left; a crop from the middle stays where it was."""
        return Pictures(self.pixels[:, :, ::-1], self.frames, None if self.masks is None else self.masks[:, :, ::-1])

    @classmethod
    def whole(cls, pixels: np.ndarray) -> Pictures:
        """Pictures (n, h, w, 3) that were not cut."""
        count, height, width = pixels.shape[:3]
        return cls(pixels, np.tile(np.array([height, width, 0, 0, height, width]), (count, 1)))


def load_pictures(scan: Scan, side: int, masked: bool = False) -> Pictures:
    """The pictures of a scan in its order, cropped to squares, with their masks when these are wished.

    A picture without a mask counts everywhere. Raises LimnerError when a file vanished or changed since the scan.
    """
    count = len(scan.photographs)
    pixels = np.empty((count, side, side, 3), dtype=np.uint8)
    masks = np.full((count, side, side), 255, dtype=np.uint8) if masked else None
    with ThreadPoolExecutor(2) as threads:
        for index, picture in enumerate(threads.map(partial(_picture, side=side), scan.photographs)):
            pixels[index] = picture
    for index, photograph in enumerate(scan.photographs):
        if masks is not None and photograph.mask is not None:
            masks[index] = _mask(photograph, side)
    return Pictures(pixels, np.array([frame(photograph.size, side) for photograph in scan.photographs]), masks)


def _picture(photograph: Photograph, side: int) -> np.ndarray:
    """One photograph as (side, side, 3), uint8."""
    try:
        data = read_file(photograph.path)
    except LimnerError as error:
        raise LimnerError(f"a picture is gone since it was scanned: {error.problem}", "start again") from error
    if hashlib.sha256(data).hexdigest() != photograph.sha256:
        raise LimnerError(f"{quoted(photograph.path)} has changed since it was scanned", "start again")
    return np.asarray(square(decode(data, photograph.path), side))


def _mask(photograph: Photograph, side: int) -> np.ndarray:
    """A photograph's mask as (side, side), uint8: white counts, black does not."""
    assert photograph.mask is not None
    image: Image.Image = decode(read_file(photograph.mask), photograph.mask)
    if image.size != photograph.size:
        raise LimnerError(
            f"the mask {quoted(photograph.mask)} is {image.width} x {image.height}, and its picture "
            f"{photograph.size[0]} x {photograph.size[1]}",
            "make a mask of the picture's own size",
        )
    values = np.asarray(square(image.convert("L"), side))
    if not values.any():
        raise LimnerError(f"the mask {quoted(photograph.mask)} is all black", "paint what shall be learnt white")
    return values
