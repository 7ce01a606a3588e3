"""Photographs as one array, ready for training."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from limner.core.errors import LimnerError

from .crop import square
from .files import read_file, shown
from .folder import Photograph, Scan
from .photographs import decode


def load_pixels(scan: Scan, side: int) -> np.ndarray:
    """The pictures of a scan in its order, cropped to squares: (n, side, side, 3), uint8.

    Raises LimnerError when a file vanished or changed since the scan.
    """
    pixels = np.empty((len(scan.photographs), side, side, 3), dtype=np.uint8)
    with ThreadPoolExecutor(2) as threads:
        for index, picture in enumerate(threads.map(partial(_picture, side=side), scan.photographs)):
            pixels[index] = picture
    return pixels


def _picture(photograph: Photograph, side: int) -> np.ndarray:
    """One photograph as (side, side, 3), uint8."""
    try:
        data = read_file(photograph.path)
    except LimnerError as error:
        raise LimnerError(f"a picture is gone since it was scanned: {error.problem}", "start again") from error
    if hashlib.sha256(data).hexdigest() != photograph.sha256:
        raise LimnerError(f"{shown(photograph.path)} has changed since it was scanned", "start again")
    return np.asarray(square(decode(data, photograph.path), side))
