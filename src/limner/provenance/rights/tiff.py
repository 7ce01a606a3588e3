"""The directories that TIFF and EXIF keep their tags in (TIFF 6.0, section 2).

Read here and not by Pillow, which tells what is broken by warnings, and those belong to the whole process.
"""

from __future__ import annotations

from typing import Literal

TAGS, BYTES = 1000, 2**22
"""The most tags of a directory that are read, and the most bytes of one."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


def directory(data: bytes, pointer: int | None = None) -> dict[int, bytes]:
    """Tag -> its bytes, of the first directory or of the one that a tag points to; what is broken is left out."""
    order = _order(data)
    if order is None:
        return {}

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    at = number(4, 4)
    if pointer is not None:
        first = directory(data).get(pointer, b"")
        at = int.from_bytes(first[:4], order) if len(first) >= 4 else 0
    if not 8 <= at <= len(data) - 2:
        return {}
    found: dict[int, bytes] = {}
    for entry in range(at + 2, at + 2 + 12 * min(number(at, 2), TAGS), 12):
        if entry + 12 > len(data):
            break
        size = _SIZES.get(number(entry + 2, 2), 0) * number(entry + 4, 4)
        place = entry + 8 if size <= 4 else number(entry + 8, 4)
        if 0 < size <= BYTES and place + size <= len(data):
            found.setdefault(number(entry, 2), data[place : place + size])
    return found


def _order(data: bytes) -> Literal["little", "big"] | None:
    if data[:4] == b"II*\0":
        return "little"
    return "big" if data[:4] == b"MM\0*" else None
