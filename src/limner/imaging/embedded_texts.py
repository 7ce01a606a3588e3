"""Texts that programs wrote into an image: chunks of a PNG, and the user comment of EXIF."""

from __future__ import annotations

import warnings
from io import BytesIO

from PIL import ExifTags, Image

from limner.core.errors import LimnerError
from limner.imaging.damage import verified_png_info
from limner.imaging.formats import PNG_SIGNATURE

FORMATS = ("PNG", "JPEG", "WEBP")
_ENCODINGS = {b"UNICODE\0": ("utf-16-be", "utf-16-le"), b"ASCII\0\0\0": ("ascii",)}


def embedded_texts(data: bytes) -> dict[str, str]:
    """The texts by name; no pixel is decoded. The user comment of EXIF has the name "parameters", as A1111 uses it.

    Raises LimnerError for an image of too many pixels, and nearly any exception for a damaged file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return _texts(data)
        except Image.DecompressionBombError as error:
            raise LimnerError("the image has too many pixels", "save a smaller copy of it") from error


def _texts(data: bytes) -> dict[str, str]:
    if data.startswith(PNG_SIGNATURE):
        return {name: value for name, value in verified_png_info(data).items() if isinstance(value, str)}
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    text = comment if isinstance(comment, str) else _decoded(comment) if isinstance(comment, bytes) else ""
    return {"parameters": text} if text else {}


def _decoded(comment: bytes) -> str:
    """The text of a user comment. Its first 8 bytes name its encoding; UTF-16 may have either order of bytes."""
    text = ""
    for encoding in _ENCODINGS.get(comment[:8], ("utf-8",)):
        text = (comment[8:] if comment[:8] in _ENCODINGS else comment).decode(encoding, "replace")
        if sum(character < "\u0250" for character in text) * 2 >= len(text):
            break
    return text.strip("\0 ")
