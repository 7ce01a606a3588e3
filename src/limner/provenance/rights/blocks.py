"""Where a picture's file keeps what it says of itself: EXIF, IPTC, XMP, texts and content credentials, as bytes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from itertools import islice

from limner.imaging.png_chunks import png_chunks
from limner.provenance.rights import tiff

CAP = 2**22
"""The most of one block that is read, in bytes; what is packed is unpacked no further."""
BLOCKS = 20_000
"""The most parts of a file that are looked through; a PNG of 100 MiB has some 13,000."""

_ALIKE, _TEXTS, _TEXT = 8, 100, 2**16

_EXIF, _XMP, _MORE_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_RESOURCES = b"Photoshop 3.0\0"
_XMP_TEXT = b"XML:com.adobe.xmp"
_PROFILES = tuple(b"Raw profile type " + kind for kind in (b"exif", b"APP1", b"iptc", b"xmp"))
_TAG_XMP, _TAG_IPTC, _TAG_RESOURCES, _TAG_CREDENTIALS = 700, 33723, 34377, 0xCD41


@dataclass
class Blocks:
    """What was found. exif: from the head of its TIFF on. xmp: whole packets. resources: Photoshop's. iptc: bare IIM.

    texts: PNG's own, by keyword. credentials: whether there is a box that content credentials are
    kept in. profiles: how many of a PNG's texts are such blocks.
    """

    exif: list[bytes] = field(default_factory=list[bytes])
    xmp: list[bytes] = field(default_factory=list[bytes])
    resources: bytes = b""
    iptc: bytes = b""
    texts: dict[str, str] = field(default_factory=dict[str, str])
    credentials: bool = False
    profiles: int = 0


def blocks_of(data: bytes) -> Blocks:
    """The blocks of a picture's bytes; those of a file that breaks off or lies about lengths as far as they are whole.

    JPEG (ISO 10918-1, annex B; XMP part 3, section 1.1.3), PNG (third edition, section 11), WebP (RFC 9649), TIFF 6.0.
    Other files are only looked through for an XMP packet and for credentials.
    """
    if data.startswith(b"\xff\xd8"):
        return _of_jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _of_png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _of_webp(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _of_tiff(data)
    return Blocks(xmp=_packets_in(data), credentials=b"jumb" in data)


def _of_jpeg(data: bytes) -> Blocks:
    """Segments up to the first scan."""
    found, more, resources, at = Blocks(), list[tuple[int, bytes]](), list[bytes](), 2
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
            resources.append(part[len(_RESOURCES) :])  # one that is long goes on in the next segment
        elif kind == b"\xeb" and part.startswith(b"JP"):
            found.credentials = True
        at += 2 + size
    if more:
        found.xmp.append(b"".join(part for _, part in sorted(more, key=lambda each: each[0]))[:CAP])
    found.resources = b"".join(resources)[:CAP]
    return found


def _of_png(data: bytes) -> Blocks:
    found = Blocks()
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


def _add_text(found: Blocks, kind: bytes, chunk: bytes) -> None:
    """Put what a text chunk says where it belongs; the profiles that ImageMagick writes as hexadecimal digits too."""
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


def _add_profile(found: Blocks, keyword: bytes, text: bytes) -> None:
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
    """A raw profile's bytes: after its name and length on lines of their own, all in hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _of_webp(data: bytes) -> Blocks:
    found, at = Blocks(), 12
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


def _of_tiff(data: bytes) -> Blocks:
    """The file is its own EXIF; the other blocks are tags of its first directory."""
    tags = tiff.directory(data)
    return Blocks(
        exif=[data],
        xmp=[tags[_TAG_XMP][:CAP]] if _TAG_XMP in tags else [],
        resources=tags.get(_TAG_RESOURCES, b"")[:CAP],
        iptc=tags.get(_TAG_IPTC, b"")[:CAP],
        credentials=_TAG_CREDENTIALS in tags,
    )


def _packets_in(data: bytes) -> list[bytes]:
    """An XMP packet anywhere, as in GIF, HEIC and AVIF."""
    begin = data.find(b"<x:xmpmeta")
    end = data.find(b"</x:xmpmeta", begin, begin + CAP) if begin >= 0 else -1
    return [data[begin : end + 12]] if end >= 0 else []
