"""IPTC-IIM (version 4.2), as Photoshop puts it into JPEG and TIFF."""

from __future__ import annotations

from limner.core.datasets import Rights
from limner.provenance.rights.exif import text
from limner.provenance.rights.words import marked_in, told

_IPTC = 0x0404
_INSTRUCTIONS, _KEYWORDS, _BY_LINE, _CREDIT, _SOURCE, _COPYRIGHT, _CAPTION = 40, 25, 80, 110, 115, 116, 120
_FIELDS = 10_000


def resource_in(resources: bytes) -> bytes:
    """The IIM among Photoshop's image resources ("8BIM", id, Pascal name, size, data, each padded to even)."""
    at = 0
    while resources[at : at + 4] == b"8BIM":
        name = at + 6
        size = name + (resources[name] + 2) // 2 * 2 if name < len(resources) else name
        begin, length = size + 4, int.from_bytes(resources[size : size + 4], "big")
        if int.from_bytes(resources[at + 4 : at + 6], "big") == _IPTC:
            return resources[begin : begin + length]
        at = begin + length + length % 2
    return b""


def rights_in(data: bytes) -> Rights:
    """By-line, copyright notice, credit or source, and marks in words."""
    fields = _fields(data)

    def first(*numbers: int) -> str | None:
        return next((said for number in numbers if (said := told("; ".join(fields.get(number, [])))) is not None), None)

    spoken = (_INSTRUCTIONS, _KEYWORDS, _COPYRIGHT, _CAPTION)
    mark = marked_in(*(each for number in spoken for each in fields.get(number, [])))
    return Rights(
        author=first(_BY_LINE),
        licence=first(_COPYRIGHT),
        source=first(_CREDIT, _SOURCE),
        training="refused" if mark else None,
        said=f"{mark!r} in IPTC" if mark else None,
    )


def _fields(data: bytes) -> dict[int, list[str]]:
    """The texts of the application record by number, as far as the bytes are whole."""
    found: dict[int, list[str]] = {}
    at = 0
    for _ in range(_FIELDS):
        if data[at : at + 1] != b"\x1c" or at + 5 > len(data):
            break
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        if size & 0x8000:  # longer than the standard's programs write
            break
        if record == 2 and at + 5 + size <= len(data):
            found.setdefault(number, []).append(text(data[at + 5 : at + 5 + size]))
        at += 5 + size
    return found
