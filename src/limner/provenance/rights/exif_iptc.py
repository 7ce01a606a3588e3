"""Rights and location in EXIF (CIPA DC-008) and IPTC-IIM (version 4.2)."""

from __future__ import annotations

from limner.core.datasets import Rights
from limner.provenance.metadata_blocks import read_tags
from limner.provenance.rights.opt_out import find_opt_out, one_line

_ARTIST, _COPYRIGHT, _DESCRIPTION, _GPS, _EXIF = 0x013B, 0x8298, 0x010E, 0x8825, 0x8769
_COMMENT = 0x9286
_XP_COMMENT, _XP_AUTHOR, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F
_READ = (_ARTIST, _COPYRIGHT, _DESCRIPTION, _EXIF, _XP_COMMENT, _XP_AUTHOR, _XP_KEYWORDS, _XP_SUBJECT)
_LATITUDE, _LONGITUDE = 2, 4

_IPTC = 0x0404
_INSTRUCTIONS, _KEYWORDS, _BY_LINE, _CREDIT, _SOURCE, _COPYRIGHT_NOTICE, _CAPTION = 40, 25, 80, 110, 115, 116, 120
_FIELDS = 10_000


def exif_rights(exif: bytes) -> Rights:
    """Author, copyright notice and opt-outs in words. exif: from its TIFF header."""
    tags = read_tags(exif, _READ)
    texts = [_text(tags.get(tag, b"")) for tag in (_DESCRIPTION, _COPYRIGHT)]
    texts += [_wide(tags.get(tag, b"")) for tag in (_XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT)]
    if _EXIF in tags:
        texts.append(_comment(read_tags(exif, (_COMMENT,), _EXIF).get(_COMMENT, b"")))
    opt_out = find_opt_out(*texts)
    return Rights(
        author=one_line(_text(tags.get(_ARTIST, b""))) or one_line(_wide(tags.get(_XP_AUTHOR, b""))),
        licence=one_line(_text(tags.get(_COPYRIGHT, b""))),
        training="refused" if opt_out else None,
        statement=f"{opt_out!r} in EXIF" if opt_out else None,
    )


def has_location(exif: bytes) -> bool:
    """Whether EXIF data has a latitude or longitude."""
    tags = read_tags(exif, (_LATITUDE, _LONGITUDE), _GPS)
    return _LATITUDE in tags or _LONGITUDE in tags


def iptc_resource(resources: bytes) -> bytes:
    """The IIM data among Photoshop's image resources ("8BIM", id, Pascal name, size, data, each padded to even)."""
    at = 0
    while resources[at : at + 4] == b"8BIM":
        name = at + 6
        size = name + (resources[name] + 2) // 2 * 2 if name < len(resources) else name
        begin, length = size + 4, int.from_bytes(resources[size : size + 4], "big")
        if int.from_bytes(resources[at + 4 : at + 6], "big") == _IPTC:
            return resources[begin : begin + length]
        at = begin + length + length % 2
    return b""


def iptc_rights(data: bytes) -> Rights:
    """By-line, copyright notice, credit or source, and opt-outs in words, of IIM data."""
    fields = _iptc_fields(data)

    def first(*numbers: int) -> str | None:
        lines = (one_line("; ".join(fields.get(number, []))) for number in numbers)
        return next((line for line in lines if line is not None), None)

    spoken = (_INSTRUCTIONS, _KEYWORDS, _COPYRIGHT_NOTICE, _CAPTION)
    opt_out = find_opt_out(*(each for number in spoken for each in fields.get(number, [])))
    return Rights(
        author=first(_BY_LINE),
        licence=first(_COPYRIGHT_NOTICE),
        source=first(_CREDIT, _SOURCE),
        training="refused" if opt_out else None,
        statement=f"{opt_out!r} in IPTC" if opt_out else None,
    )


def _text(data: bytes) -> str:
    """A text that should be ASCII, but may be UTF-8 or Windows-1252.

    A copyright notice has two parts separated by NUL: the photographer's and the editor's.
    """
    parts = [part for part in data.split(b"\0") if part.strip()]
    return "; ".join(_decoded(part).strip() for part in parts)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _wide(data: bytes) -> str:
    """A text of Windows' own tags: UTF-16, little-endian whatever the byte order of the rest."""
    return data[: len(data) // 2 * 2].decode("utf-16-le", "replace").partition("\0")[0]


def _comment(data: bytes) -> str:
    """The user comment, which begins with eight bytes that name its encoding."""
    if data.startswith(b"UNICODE\0"):
        return " ".join(data[8:].decode(order, "replace") for order in ("utf-16-le", "utf-16-be"))
    return _text(data[8:])


def _iptc_fields(data: bytes) -> dict[int, list[str]]:
    """The texts of the application record by number, up to the first broken field."""
    found: dict[int, list[str]] = {}
    at = 0
    for _ in range(_FIELDS):
        if data[at : at + 1] != b"\x1c" or at + 5 > len(data):
            break
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        if size & 0x8000:  # an extended size, which no program writes
            break
        if record == 2 and at + 5 + size <= len(data):
            found.setdefault(number, []).append(_text(data[at + 5 : at + 5 + size]))
        at += 5 + size
    return found
