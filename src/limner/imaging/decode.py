"""One photograph, whatever its format, colours and orientation, as an upright 8-bit sRGB picture."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.imaging.decoding_cost import FRAMES, check_bytes, check_header, tiff_frames
from limner.imaging.formats import SUFFIXES, damaged, misnamed, pillow_formats, title, unfinished_jpeg, unknown
from limner.imaging.modes import is_deep, to_rgb

__all__ = ["PIXEL_CAP", "SUFFIXES", "Reading", "decode", "open_photograph", "read_picture"]

PIXEL_CAP = 100_000_000
"""The largest picture that is decoded, in pixels."""

COUNTED = 4 * 2**20
"""Frames of larger files are not counted, in bytes: a hostile file may have millions of them."""

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
"""Orientations whose upright picture is as wide as the stored one is high."""

_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Reading:
    """A picture that was read, and what was done to it.

    image: upright, 8-bit RGB, sRGB. size: width and height of the upright original, which `image` may be a reduction
    of. format: "JPEG", by its content. mode: Pillow's, of the file. notes: clauses in plain words. frames: how many it
    has; at least 2 where there are several, for those of very large files are not counted.
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    mode: str
    notes: tuple[str, ...]
    frames: int


def open_photograph(path: str | Path) -> Image.Image:
    """The picture in a file, sRGB and upright; raises LimnerError."""
    return decode(read_file(path), path)


def decode(data: bytes, path: str | Path, cap: int = PIXEL_CAP) -> Image.Image:
    """The picture in a file's bytes, sRGB and upright; `path` only names it in errors. cap: the most pixels."""
    return read_picture(data, path, cap).image


def read_picture(data: bytes, path: str | Path, cap: int = PIXEL_CAP, least: tuple[int, int] | None = None) -> Reading:
    """The picture in a file's bytes and what was done to it; raises LimnerError.

    path: names it in errors, and its ending is compared with what is inside. cap: the most pixels. least: width and
    height; a JPEG is decoded at a half, a quarter or an eighth of its size, which is several times as fast, as long as
    both sides stay twice as long as these.
    """
    if not data:
        raise LimnerError(f"{quoted(path)} is empty (0 bytes)", "copy it again or remove it")
    formats = pillow_formats(data, path)
    check_bytes(data, path)
    try:
        with _header(data, formats) as image:
            if image.width * image.height > cap:
                raise _too_many_pixels(path, f"{image.width} x {image.height} = {image.width * image.height}", cap)
            check_header(image, path)
            if image.format in ("JPEG", "MPO") and unfinished_jpeg(data):
                raise damaged(data, path, "its end is missing")
            return _reading(image, path, least, data)
    except LimnerError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(path, "far too many") from error
    except UnidentifiedImageError as error:
        raise unknown(data, path) from error
    except Exception as error:  # a hostile file makes the decoders raise nearly anything
        raise damaged(data, path, str(error)) from error


def _reading(image: Image.Image, path: str | Path, least: tuple[int, int] | None, data: bytes) -> Reading:
    """What an open picture holds. data: its file."""
    stored, mode, kind, deep = image.size, image.mode, title(image.format), is_deep(image)
    # Asking a PNG would load it and hide how that fails; a TIFF must be asked now, for Pillow turns it by itself.
    early = _orientation(image) if kind in ("JPEG", "TIFF") else 1
    if kind == "JPEG" and least is not None:
        width, height = least[::-1] if early in _LYING else least
        image.draft(None, (max(1, 2 * width), max(1, 2 * height)))
    image.load()
    orientation = _orientation(image)
    upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
    rgb, colours = to_rgb(upright, image.info.get("icc_profile"))
    rgb.info = {}  # Pillow would write the old profile and EXIF data, with the place, into what is saved of it
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
    return Reading(rgb, size, kind, mode, tuple(note for note in notes if note), frames)


def _header(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    """The picture with nothing but its header read."""
    # Pillow warns from 89 million pixels; our cap speaks instead. Filters belong to the process: hence the lock.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(BytesIO(data), formats=formats)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; broken EXIF data says nothing."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF data raises nearly anything, and the pixels are still good
        return 1
    return found if isinstance(found, int) else 1


def _frames(image: Image.Image, data: bytes) -> tuple[int, bool]:
    """How many frames a picture has, and whether all were counted. What an MPO holds besides is a preview, a depth or a
    gain map, and no frame.
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
        f"{quoted(path)} has more pixels than the {cap // 1_000_000} million that are read ({found})",
        "save a smaller copy of it",
    )
