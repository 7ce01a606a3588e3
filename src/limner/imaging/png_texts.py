"""Removes texts from a PNG that are sound but larger than Pillow accepts, such as workflows of image generators."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from limner.imaging.formats import PNG_SIGNATURE, png_chunks

TEXT_CAP, TEXTS_CAP = 2**20, 64 * 2**20
"""The largest unpacked text, and the most bytes of all texts of an image: the limits of Pillow's reader."""


def without_large_texts(data: bytes) -> bytes:
    """The same file without the texts that exceed the limits; no pixel changes. Other files are returned unchanged.

    Texts with a wrong checksum stay, so that the decoder notices the damage. Unpacks at most TEXTS_CAP bytes in all.
    """
    if not data.startswith(PNG_SIGNATURE):
        return data
    kept, begin = list[bytes](), 0
    for first, end in _large_texts(data):
        kept.append(data[begin:first])
        begin = end
    return b"".join([*kept, data[begin:]]) if begin else data


def _large_texts(data: bytes) -> Iterator[tuple[int, int]]:
    """The first byte of each chunk with a text over the limits, and the byte after it."""
    left = TEXTS_CAP
    for kind, at, size in png_chunks(data):
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        length = _unpacked_length(kind, data[at : at + size], min(left, TEXT_CAP))
        if (length is None or length > left) and _is_sound(data, at, size):
            yield at - 8, at + size + 4
        left -= min(left, length or TEXT_CAP)


def _unpacked_length(kind: bytes, chunk: bytes, most: int) -> int | None:
    """The bytes of the text in a chunk (PNG, third edition, 11.3.3); None if it unpacks to more than `most`."""
    _, _, rest = chunk.partition(b"\0")
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] == b"\0"):
        return len(rest)
    packed = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    unpacker = zlib.decompressobj()
    try:
        length = len(unpacker.decompress(packed, max(1, most)))
    except zlib.error:
        return 0  # the decoder ignores such a text
    return None if unpacker.unconsumed_tail else length


def _is_sound(data: bytes, at: int, size: int) -> bool:
    """Whether the checksum of the chunk with this content is right."""
    return data[at + size : at + size + 4] == zlib.crc32(data[at - 4 : at + size]).to_bytes(4, "big")
