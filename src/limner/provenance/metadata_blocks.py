"""Finds the metadata blocks in an image file: EXIF, IPTC, XMP, texts and content credentials, as bytes."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from limner.imaging.formats import media_type, png_chunks
from limner.provenance.xmp import find_packet

CAP = 2**22
"""The most of one block that is read, in bytes; compressed blocks are unpacked up to this size."""
BLOCKS = 20_000
"""The most segments or chunks of a file that are read; a PNG of 100 MiB has about 13,000."""

TAGS, BYTES = 1000, 2**22
"""The most tags of a directory that are read, and the most bytes of one."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value by its TIFF type."""

_ALIKE, _TEXTS, _TEXT = 8, 100, 2**16

_EXIF, _XMP, _MORE_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_RESOURCES = b"Photoshop 3.0\0"
_XMP_TEXT = b"XML:com.adobe.xmp"
_PROFILES = tuple(b"Raw profile type " + kind for kind in (b"exif", b"APP1", b"iptc", b"xmp"))
_TAG_XMP, _TAG_IPTC, _TAG_RESOURCES, _TAG_CREDENTIALS = 700, 33723, 34377, 0xCD41


@dataclass
class MetadataBlocks:
    """Metadata blocks of an image file.

    exif: from the TIFF header. xmp: whole packets. resources: Photoshop's image resources. iptc: bare IIM. texts: of a
    PNG, by keyword. credentials: whether there is a box for content credentials. profiles: how many texts of a PNG
    were blocks.
    """

    exif: list[bytes] = field(default_factory=list[bytes])
    xmp: list[bytes] = field(default_factory=list[bytes])
    resources: bytes = b""
    iptc: bytes = b""
    texts: dict[str, str] = field(default_factory=dict[str, str])
    credentials: bool = False
    profiles: int = 0


def read_blocks(data: bytes) -> MetadataBlocks:
    """The blocks in the bytes of an image file; of a truncated or lying file those that are complete.

    JPEG (ISO 10918-1, annex B; XMP part 3, section 1.1.3), PNG (third edition, section 11), WebP (RFC 9649), TIFF 6.0.
    Other files are only searched for an XMP packet and for content credentials.
    """
    if reader := _READERS.get(media_type(data) or ""):
        return reader(data)
    packet = find_packet(data)
    return MetadataBlocks(xmp=[packet] if packet else [], credentials=b"jumb" in data)


def read_tags(data: bytes, tags: Collection[int], pointer: int | None = None) -> dict[int, bytes]:
    """The values of some tags of the first TIFF directory (TIFF 6.0, section 2), or of the one that `pointer` names.

    Broken entries are skipped. Pillow's EXIF reader is not used because it is not bounded: it turns all values of a
    directory that a tag points to into Python objects, so that 4 MiB of rationals take seconds and 77 MiB, and a TIFF
    of 512 MiB over 100 times as much. It also reports errors by process-wide warnings.
    """
    order = _byte_order(data)
    if order is None:
        return {}

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    at = number(4, 4)
    if pointer is not None:
        first = read_tags(data, (pointer,)).get(pointer, b"")
        at = int.from_bytes(first[:4], order) if len(first) >= 4 else 0
    if not 8 <= at <= len(data) - 2:
        return {}
    found: dict[int, bytes] = {}
    for entry in range(at + 2, at + 2 + 12 * min(number(at, 2), TAGS), 12):
        if entry + 12 > len(data):
            break
        tag = number(entry, 2)
        if tag not in tags or tag in found:
            continue
        size = _SIZES.get(number(entry + 2, 2), 0) * number(entry + 4, 4)
        place = entry + 8 if size <= 4 else number(entry + 8, 4)
        if 0 < size <= BYTES and place + size <= len(data):
            found[tag] = data[place : place + size]
    return found


def _read_jpeg(data: bytes) -> MetadataBlocks:
    """The blocks in the segments before the first scan."""
    found, more, resources, at = MetadataBlocks(), list[tuple[int, bytes]](), list[bytes](), 2
    for _ in range(BLOCKS):
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        kind, size = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at : at + 1] != b"\xff" or kind in (b"\xda", b"\xd9", b"") or size < 2:
            break
        part = data[at + 4 : at + 2 + size]
        if kind == b"\xe1" and part.startswith(_EXIF) and len(found.exif) < _ALIKE:
            found.exif.append(part[len(_EXIF) :])
        elif kind == b"\xe1" and part.startswith(_XMP) and len(found.xmp) < _ALIKE:
            found.xmp.append(part[len(_XMP) :])
        elif kind == b"\xe1" and part.startswith(_MORE_XMP):
            more.append((int.from_bytes(part[len(_MORE_XMP) + 36 :][:4], "big"), part[len(_MORE_XMP) + 40 :]))
        elif kind == b"\xed" and part.startswith(_RESOURCES):
            resources.append(part[len(_RESOURCES) :])  # a long one continues in the next segment
        elif kind == b"\xeb" and part.startswith(b"JP"):
            found.credentials = True
        at += 2 + size
    if more:
        found.xmp.append(b"".join(part for _, part in sorted(more, key=lambda each: each[0]))[:CAP])
    found.resources = b"".join(resources)[:CAP]
    return found


def _read_png(data: bytes) -> MetadataBlocks:
    found = MetadataBlocks()
    for kind, at, size in islice(png_chunks(data), BLOCKS):
        if kind == b"IEND":
            break
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            _add_text(found, kind, data[at : at + min(size, CAP)])
        elif kind == b"eXIf" and len(found.exif) < _ALIKE:
            found.exif.append(data[at : at + min(size, CAP)].removeprefix(_EXIF))
        elif kind == b"caBX":
            found.credentials = True
    return found


def _add_text(found: MetadataBlocks, kind: bytes, chunk: bytes) -> None:
    """Add a text chunk; ImageMagick's raw profiles, in hexadecimal digits, are added as blocks."""
    keyword, _, rest = chunk.partition(b"\0")
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif packed:
        rest = rest[1:]
    blocks = keyword == _XMP_TEXT or keyword in _PROFILES
    if blocks and found.profiles < _ALIKE:
        found.profiles += 1
        _add_profile(found, keyword, _unpacked(rest, CAP) if packed else rest)
    elif not blocks and len(found.texts) < _TEXTS:
        text = _unpacked(rest, _TEXT) if packed else rest[:_TEXT]
        encoding = "utf-8" if kind == b"iTXt" else "latin-1"
        found.texts.setdefault(keyword.decode("latin-1"), text.decode(encoding, "replace"))


def _add_profile(found: MetadataBlocks, keyword: bytes, text: bytes) -> None:
    raw = text if keyword == _XMP_TEXT else _from_digits(text)
    if keyword.endswith(b"iptc"):
        found.resources += raw.removeprefix(_RESOURCES)
    elif keyword.endswith(b"xmp") or raw.startswith(_XMP):
        found.xmp.append(raw.removeprefix(_XMP))
    else:
        found.exif.append(raw.removeprefix(_EXIF))


def _unpacked(data: bytes, cap: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, cap)
    except zlib.error:
        return b""


def _from_digits(text: bytes) -> bytes:
    """The bytes of a raw profile: its name and length on a line each, then hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _read_webp(data: bytes) -> MetadataBlocks:
    found, at = MetadataBlocks(), 12
    for _ in range(BLOCKS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if len(kind) < 4:
            break
        part = slice(at + 8, at + 8 + min(size, CAP))
        if kind == b"EXIF" and len(found.exif) < _ALIKE:
            found.exif.append(data[part].removeprefix(_EXIF))
        elif kind == b"XMP " and len(found.xmp) < _ALIKE:
            found.xmp.append(data[part])
        elif kind == b"C2PA":
            found.credentials = True
        at += 8 + size + size % 2
    return found


def _read_tiff(data: bytes) -> MetadataBlocks:
    """The blocks of a TIFF: the file itself is EXIF, the others are tags of its first directory."""
    tags = read_tags(data, (_TAG_XMP, _TAG_IPTC, _TAG_RESOURCES, _TAG_CREDENTIALS))
    return MetadataBlocks(
        exif=[data],
        xmp=[tags[_TAG_XMP][:CAP]] if _TAG_XMP in tags else [],
        resources=tags.get(_TAG_RESOURCES, b"")[:CAP],
        iptc=tags.get(_TAG_IPTC, b"")[:CAP],
        credentials=_TAG_CREDENTIALS in tags,
    )


def _byte_order(data: bytes) -> Literal["little", "big"] | None:
    if data[:4] == b"II*\0":
        return "little"
    return "big" if data[:4] == b"MM\0*" else None


_READERS = {"image/jpeg": _read_jpeg, "image/png": _read_png, "image/webp": _read_webp, "image/tiff": _read_tiff}
