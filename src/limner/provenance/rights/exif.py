"""EXIF (CIPA DC-008): whose a picture is, and whether it tells where it was taken."""

from __future__ import annotations

from limner.core.datasets import Rights
from limner.provenance.rights import tiff
from limner.provenance.rights.words import marked_in, told

_ARTIST, _COPYRIGHT, _DESCRIPTION, _GPS, _EXIF = 0x013B, 0x8298, 0x010E, 0x8825, 0x8769
_COMMENT = 0x9286
_XP_COMMENT, _XP_AUTHOR, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F
_LATITUDE, _LONGITUDE = 2, 4


def rights_in(exif: bytes) -> Rights:
    """Author, copyright notice and marks in words, from the head of the TIFF on."""
    tags = tiff.directory(exif)
    texts = [text(tags.get(tag, b"")) for tag in (_DESCRIPTION, _COPYRIGHT)]
    texts += [_wide(tags.get(tag, b"")) for tag in (_XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT)]
    if _EXIF in tags:
        texts.append(_comment(tiff.directory(exif, _EXIF).get(_COMMENT, b"")))
    mark = marked_in(*texts)
    return Rights(
        author=told(text(tags.get(_ARTIST, b""))) or told(_wide(tags.get(_XP_AUTHOR, b""))),
        licence=told(text(tags.get(_COPYRIGHT, b""))),
        training="refused" if mark else None,
        said=f"{mark!r} in EXIF" if mark else None,
    )


def located(exif: bytes) -> bool:
    """Whether there is a latitude or longitude."""
    tags = tiff.directory(exif, _GPS)
    return _LATITUDE in tags or _LONGITUDE in tags


def text(data: bytes) -> str:
    """A text that should be ASCII and is what the program had: UTF-8, or else Windows' Latin letters.

    A copyright notice is the photographer's, NUL, and the editor's.
    """
    parts = [part for part in data.split(b"\0") if part.strip()]
    return "; ".join(_decoded(part).strip() for part in parts)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _wide(data: bytes) -> str:
    """Windows' own fields: UTF-16, whatever the order of the rest."""
    return data[: len(data) // 2 * 2].decode("utf-16-le", "replace").partition("\0")[0]


def _comment(data: bytes) -> str:
    """The user's comment, after eight bytes that name its encoding."""
    if data.startswith(b"UNICODE\0"):
        return " ".join(data[8:].decode(order, "replace") for order in ("utf-16-le", "utf-16-be"))
    return text(data[8:])
