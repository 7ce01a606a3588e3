"""Decodes an image of any format, colour profile and orientation to an upright 8-bit sRGB image."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.imaging.colours import is_deep, stored_gamma, to_rgb
from limner.imaging.damage import is_unfinished_jpeg
from limner.imaging.decoding_cost import FRAMES, check_bytes, check_header, tiff_frames
from limner.imaging.formats import SUFFIXES, damaged_image, format_title, misnamed, pillow_formats, unknown_format
from limner.imaging.png_texts import without_large_texts

__all__ = ["PIXEL_CAP", "SUFFIXES", "DecodedImage", "decode", "load_upright", "open_image", "open_stored", "read_image"]

PIXEL_CAP = 100_000_000
"""The largest image that is decoded, in pixels."""

COUNTED = 4 * 2**20
"""Frames of larger files are not counted, in bytes: a hostile file may have millions of them."""

_COUNT = re.compile(r"\d+")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = frozenset((5, 6, 7, 8))
"""EXIF orientations for which width and height are swapped."""

_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded image, and how it was converted.

    image: upright, 8-bit RGB, sRGB. size: (width, height) of the upright original; `image` may be smaller. format: by
    content, such as "JPEG". mode: Pillow's mode of the file. notes: conversions, in words that are keys in the report
    of a prepared dataset and do not change. frames: their number; 2 means several for very large files, whose frames
    are not counted.
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    mode: str
    notes: tuple[str, ...]
    frames: int


def open_image(path: str | Path) -> Image.Image:
    """The image in a file, upright and sRGB. Raises LimnerError if it cannot be read."""
    return decode(read_file(path), path)


def open_stored(
    source: str | Path | bytes, formats: tuple[str, ...] | None = None, size: tuple[int, int] | None = None
) -> Image.Image:
    """An image as it is stored, without conversion of colours and orientation: for files that Limner wrote itself.

    source: a path, or the bytes of a file. formats: Pillow's names of the formats to try. size: the (width, height)
    that it must have; ValueError for any other one, before pixels are decoded, which bounds the cost of foreign files.
    """
    with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats) as image:
        if size is not None and image.size != size:
            raise ValueError("the image is {} x {}, not {} x {}".format(*image.size, *size))
        image.load()
    return image


def decode(data: bytes, path: str | Path, cap: int = PIXEL_CAP) -> Image.Image:
    """The image in the bytes of a file, upright and sRGB. path: for messages. cap: the most pixels."""
    return read_image(data, path, cap).image


def read_image(
    data: bytes, path: str | Path, cap: int = PIXEL_CAP, least: tuple[int, int] | None = None
) -> DecodedImage:
    """The image in the bytes of a file, with notes about its conversion. Raises LimnerError if it cannot be decoded.

    path: for messages; its suffix is compared with the format found. cap: the most pixels. least: a (width, height). A
    JPEG is decoded at a half, a quarter or an eighth of its size, which is several times faster, as long as both sides
    stay at least twice as long as these.
    """
    with _opened(data, path, cap) as image:
        return _decoded(image, path, least, data)


def load_upright(data: bytes, path: str | Path, cap: int = PIXEL_CAP) -> Image.Image:
    """The image in the bytes of a file, upright, with the mode, levels and transparency of the file: for masks."""
    with _opened(data, path, cap) as image:
        image.load()
        return _upright(image)


@contextmanager
def _opened(data: bytes, path: str | Path, cap: int) -> Iterator[Image.Image]:
    """The image with only its header read and checked. Raises LimnerError for what goes wrong inside the context."""
    if not data:
        raise LimnerError(f"{quoted(path)} is empty (0 bytes)", "copy it again or remove it")
    formats = pillow_formats(data, path)
    check_bytes(data, path)
    try:
        with _header(data, formats) as image:
            if image.width * image.height > cap:
                raise _too_many_pixels(path, f"{image.width} x {image.height} = {image.width * image.height}", cap)
            check_header(image, path)
            if image.format in ("JPEG", "MPO") and is_unfinished_jpeg(data):
                raise damaged_image(data, path, "its end is missing")
            yield image
    except LimnerError:
        raise
    except Image.DecompressionBombError as error:
        counted = _COUNT.search(str(error))
        raise _too_many_pixels(path, counted[0] if counted else "several hundred million", cap) from error
    except UnidentifiedImageError as error:
        raise unknown_format(data, path) from error
    except Exception as error:  # a hostile file makes the decoders raise nearly anything
        raise damaged_image(data, path, str(error)) from error


def _decoded(image: Image.Image, path: str | Path, least: tuple[int, int] | None, data: bytes) -> DecodedImage:
    """Decodes an image whose header was read. data: its file."""
    stored, mode, kind, deep = image.size, image.mode, format_title(image.format), is_deep(image)
    # Asking a PNG would load it and hide how that fails; a TIFF must be asked now, because Pillow rotates it.
    early = _orientation(image) if kind in ("JPEG", "TIFF") else 1
    if kind == "JPEG" and least is not None:
        width, height = least[::-1] if early in _LYING else least
        image.draft(None, (max(1, 2 * width), max(1, 2 * height)))
    image.load()
    orientation = _orientation(image)
    upright = _upright(image)
    rgb, colours = to_rgb(upright, image.info.get("icc_profile"), stored_gamma(image))
    rgb.info = {}  # Pillow would save the old profile and the EXIF data, with the location
    frames, counted = _frames(image, data)
    notes = (
        misnamed(path, kind),
        f"the first of {frames if counted else 'several'} frames" if frames > 1 else None,
        "turned as its EXIF says" if {early, orientation} & _UPRIGHT.keys() else None,
        "16 bits a channel brought to 8" if deep else None,
        *colours,
    )
    size = upright.size
    if kind == "JPEG":
        size = (stored[1], stored[0]) if early in _LYING else stored
    return DecodedImage(rgb, size, kind, mode, tuple(note for note in notes if note), frames)


def _header(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    """The image with only its header read."""
    # Pillow warns from 89 million pixels; PIXEL_CAP replaces that. Warning filters are process-wide: hence the lock.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(BytesIO(without_large_texts(data)), formats=formats)


def _upright(image: Image.Image) -> Image.Image:
    """A loaded image, turned as its EXIF orientation says."""
    orientation = _orientation(image)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if the EXIF data is broken."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF data raises nearly anything, and the pixels are still good
        return 1
    return found if isinstance(found, int) else 1


def _frames(image: Image.Image, data: bytes) -> tuple[int, bool]:
    """The number of frames, and whether all were counted.

    The extra images of an MPO are a preview, a depth map or a gain map, and do not count.
    """
    if image.format == "MPO":
        return 1, True
    if image.format == "TIFF":  # Pillow takes time that grows with the square of the number
        frames = tiff_frames(data)
        return frames, frames < FRAMES
    try:
        if len(data) > COUNTED:
            return 2 if getattr(image, "is_animated", False) else 1, False
        return getattr(image, "n_frames", 1), True
    except Exception:  # the first frame is good, whatever the others are
        return 2, True


def _too_many_pixels(path: str | Path, found: str, cap: int = PIXEL_CAP) -> LimnerError:
    return LimnerError(
        f"{quoted(path)} has too many pixels ({found}); the limit is {cap // 1_000_000} million",
        "save a smaller copy of it",
    )
