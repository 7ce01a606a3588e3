"""Rejects images that take far longer to decode than their size suggests."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.imaging.formats import PNG_SIGNATURE, png_chunks

SCANS = 100
"""The most scans of a JPEG; each one processes all pixels. Encoders write at most a few dozen."""

PIECES = 2**16
"""The most strips or tiles of a TIFF."""

CHUNKS = 1000
"""The most chunks of a PNG that are not pixel data, such as texts; at most PIECES are pixel data."""

PADDING = 4
"""The most pixels in all tiles of a TIFF, per pixel of the image, if they are many."""

RUNS_CAP = 4_000_000
"""The most pixels of a run-length encoded BMP, which Pillow decodes in Python."""

FRAMES = 1000
"""Frames of a TIFF are counted up to this number."""

_SMALL = 2**22
_PIXELS = (b"IDAT", b"fdAT", b"fcTL")
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_PLAIN, _SCAN, _END = (0x01, 0xD8), 0xDA, 0xD9
"""JPEG markers: those without a segment (besides restarts), start of scan, end of image."""
_STRIPS, _TILES, _TILE_WIDTH, _TILE_HEIGHT = 273, 324, 322, 323


def check_bytes(data: bytes, path: str | Path) -> None:
    """Raise LimnerError if the structure of the file makes it slow to open or decode. Linear in `data`."""
    if data.startswith(b"\xff\xd8") and _scans(data) > SCANS:
        raise _too_long(path, f"more than {SCANS} scans")
    if data.startswith(PNG_SIGNATURE) and _has_many_chunks(data):
        raise _too_long(path, f"more than {CHUNKS} chunks besides its pixels, or more than {PIECES} of pixels")
    for tag, count in next(_directories(data), ()):
        if tag in (_STRIPS, _TILES) and count > PIECES:
            raise _too_long(path, f"{count} strips or tiles")


def check_header(image: Image.Image, path: str | Path) -> None:
    """Raise LimnerError if the header of the image makes it slow to decode."""
    pixels = image.width * image.height
    tiles = getattr(image, "tile", ())
    if tiles and tiles[0][0] == "bmp_rle" and pixels > RUNS_CAP:
        raise _too_long(path, f"{pixels} pixels in runs")
    tags = getattr(image, "tag_v2", {})
    if _TILE_WIDTH in tags and _TILE_HEIGHT in tags:
        sides = (image.width, int(tags[_TILE_WIDTH])), (image.height, int(tags[_TILE_HEIGHT]))
        width, height = (-(-side // max(tile, 1)) * max(tile, 1) for side, tile in sides)
        if width * height > max(PADDING * pixels, _SMALL):
            raise _too_long(path, f"tiles of {width * height} pixels")


def tiff_frames(data: bytes) -> int:
    """The number of frames of a TIFF, counted up to FRAMES."""
    return max(1, sum(1 for _ in _directories(data)))


def _scans(data: bytes) -> int:
    """The number of scans of a JPEG before its end (ITU-T T.81, B.1.1); counting stops above SCANS."""
    at, scans = 2, 0
    while scans <= SCANS and (found := _MARKER.search(data, at)):
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        if marker not in _PLAIN:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans


def _has_many_chunks(data: bytes) -> bool:
    """Whether a PNG has more chunks than an image needs; counting stops there."""
    counts = {True: 0, False: 0}
    for kind, _, _ in png_chunks(data):
        counts[kind in _PIXELS] += 1
        if counts[True] > PIECES or counts[False] > CHUNKS:
            return True
    return False


def _directories(data: bytes) -> Iterator[list[tuple[int, int]]]:
    """The directories of a TIFF, at most FRAMES: for the first one its tags with their number of values."""
    order, version = {b"II": "<", b"MM": ">"}.get(data[:2]), data[2:4]
    if order is None or version not in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return
    big = b"+" in version
    number, counted, entry = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    width = struct.calcsize(order + entry)
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + number, data, 8 if big else 4)
        while at and at not in seen and len(seen) < FRAMES:
            (count,) = struct.unpack_from(order + counted, data, at)
            first = at + struct.calcsize(order + counted)
            entries = data[first : first + count * width] if not seen else b""
            whole = len(entries) // width * width
            seen.add(at)
            yield [(tag, many) for tag, _, many in struct.iter_unpack(order + entry, entries[:whole])]
            (at,) = struct.unpack_from(order + number, data, first + count * width)
    except (struct.error, OverflowError):  # a chain that points outside the file ends there
        return


def _too_long(path: str | Path, reason: str) -> LimnerError:
    return LimnerError(
        f"{quoted(path)} takes too long to decode ({reason})", "open it in an image editor and save it again"
    )
