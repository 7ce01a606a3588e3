"""Checks whether an image file is complete. Decoders show most damaged files without an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image, UnidentifiedImageError

from limner.core.errors import LimnerError
from limner.imaging.png_texts import without_large_texts

FEW = 64
"""This many extra bytes may be left there by a camera or a program."""
_WARNING = re.compile(r"Corrupt JPEG data: (?P<what>.*)|Premature end of JPEG file")
_SPARE = re.compile(r"(\d+) extraneous bytes before marker 0x(d[0-7])?")
_HARMLESS = "bad ICC marker"
_SCAN, _END = 0xDA, b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class JpegDamage:
    """What is wrong with a JPEG's data.

    certain: whether a part of the image is lost. Extra bytes are only padding, or damage that the decoder recovered
    from.
    """

    message: str
    certain: bool


def jpeg_damage(data: bytes) -> JpegDamage | None:
    """The damage that libjpeg warns of in a JPEG that Pillow decoded without error; None if there is none.

    The JPEG is decoded again in grey at an eighth of its size, which reads all of its data and costs little. No decoder
    notices a change that leaves the data valid. Raises LimnerError if simplejpeg is not installed.
    """
    try:
        import simplejpeg
    except ImportError as error:
        raise LimnerError("simplejpeg, which checks JPEGs, is missing", "pip install 'limner[prepare]'") from error
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, min_factor=1, strict=True)
    except ValueError as error:
        return _from_warning(str(error), data)
    return None


def is_unfinished_jpeg(data: bytes) -> bool:
    """Whether the first scan of a JPEG has no end (ITU-T T.81, B.1.1), as in a download padded with zeros.

    The decoder takes the padding for grey blocks and does not warn.
    """
    at = 2
    while data[at : at + 1] == b"\xff":
        while data[at + 1 : at + 2] == b"\xff":  # fill bytes
            at += 1
        if data[at + 1 : at + 2] == bytes([_SCAN]):
            return data.find(_END, at) < 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def verified_png_info(data: bytes) -> dict[str, Any]:
    """The texts and other metadata of a PNG, after its checksums were verified; no pixel is decoded.

    Texts beyond the limits of `without_large_texts` are missing.

    Raises PIL.UnidentifiedImageError for other files, and nearly any exception for a damaged PNG.
    """
    with Image.open(BytesIO(without_large_texts(data)), formats=("PNG",)) as image:
        info = {str(key): value for key, value in image.info.items()}
        image.verify()
    return info


def has_wrong_checksum(data: bytes) -> bool:
    """Whether a PNG is damaged, by its checksums; False for formats without checksums."""
    try:
        verified_png_info(data)
    except UnidentifiedImageError:
        return False
    except Exception:  # a hostile file makes the decoder raise nearly anything
        return True
    return False


def _from_warning(warning: str, data: bytes) -> JpegDamage | None:
    """None for a warning that does not concern the image data, and for features that only simplejpeg lacks."""
    found = _WARNING.search(warning)
    what = found and (found["what"] or "premature end")
    if not what or what == _HARMLESS:
        return None
    spare = _SPARE.match(what)
    if spare and not spare[2]:
        count, end = int(spare[1]), data.rfind(b"\xff\xd9")
        padding = len(set(data[max(0, end - count) : end])) <= 1
        return JpegDamage(f"{count:,} bytes too many in its data", count > FEW and not padding)
    return JpegDamage("a part of its data is missing or wrong", True)
