"""Which format a picture file is in, by its first bytes and never by its name."""

from __future__ import annotations

import importlib
from pathlib import Path

from PIL import features

from limner.core.errors import LimnerError
from limner.core.files import quoted, short_line

ENDINGS: dict[str, str] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WebP",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".hif": "HEIC",
    ".avif": "AVIF",
}
"""Format by file name ending, in lower case."""

SUFFIXES = frozenset(ENDINGS)
"""File name endings of pictures, in lower case."""

MASKS = "masks"
"""The folder beside the pictures that holds their masks."""

BESIDE = frozenset(
    (
        ".txt",
        ".caption",
        ".json",
        ".jsonl",
        ".md",
        ".rst",
        ".csv",
        ".tsv",
        ".yaml",
        ".yml",
        ".toml",
        ".xml",
        ".xmp",
        ".log",
        ".html",
        ".parquet",
        ".db",
        ".ini",
        ".py",
    )
)
"""File name endings of what lies beside pictures and is passed over without a word."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF")
_TITLES = {"MPO": "JPEG", "DIB": "BMP", "WEBP": "WebP", "HEIF": "HEIC"}
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
}
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_SCAN, _END = 0xDA, b"\xff\xd9"


def pillow_formats(data: bytes, path: str | Path) -> tuple[str, ...]:
    """The Pillow formats that the bytes may be in, with the plugin for HEIC registered where it is needed."""
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        if not features.check("avif"):
            raise LimnerError(f"{quoted(path)} is an AVIF picture", "to read it: pip install --upgrade pillow")
        return ("AVIF",)
    if brands & _HEIC_BRANDS:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise LimnerError(f"{quoted(path)} is a HEIC picture", "to read it: pip install pillow-heif") from error
        return ("HEIF",)
    return _FORMATS


def title(pillow_format: str | None) -> str:
    """What people call a format that Pillow names: "JPEG", "WebP"."""
    return _TITLES.get(pillow_format or "", pillow_format or "picture")


def misnamed(path: str | Path, found: str) -> str | None:
    """A clause on a name that promises another format than the one found; None where it promises that or nothing."""
    ending = Path(path).suffix.lower()
    if ENDINGS.get(ending, found) == found:
        return None
    return f"named {ending}, and {'an' if found == 'AVIF' else 'a'} {found} inside"


def unfinished_jpeg(data: bytes) -> bool:
    """Whether a JPEG's first scan is never ended (ITU-T T.81, B.1.1), as that of a download padded with zeros.

    The decoder takes the padding for grey blocks and says nothing.
    """
    at = 2
    while data[at : at + 1] == b"\xff":
        while data[at + 1 : at + 2] == b"\xff":  # fill bytes
            at += 1
        if data[at + 1 : at + 2] == bytes([_SCAN]):
            return data.find(_END, at) < 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def unknown(data: bytes, path: str | Path) -> LimnerError:
    """The line for bytes that no decoder takes: a broken picture, a text, or something else."""
    if _brands(data) or any(data.startswith(signature) for signature in _SIGNATURES):
        return damaged(data, path, "its header cannot be read")
    text = "text" if _is_text(data[:512]) else "no picture of a known kind"
    return LimnerError(f"{quoted(path)} holds {text}, whatever its name says", "save the picture as JPEG or PNG")


def damaged(data: bytes, path: str | Path, reason: str) -> LimnerError:
    """The line for a picture that does not decode to its end."""
    kind = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), "picture")
    return LimnerError(
        f"{quoted(path)} is a damaged or unfinished {kind} file ({short_line(reason)})",
        "copy it again, or open it in an image editor and save it anew",
    )


def _brands(data: bytes) -> set[bytes]:
    """The brands in the `ftyp` box of an ISO media file (ISO/IEC 14496-12, 4.3); empty for any other file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _is_text(head: bytes) -> bool:
    """Whether the bytes read as text: no control characters but white space, and UTF-8 but for a cut last letter."""
    text = head.decode("utf-8", errors="replace")[:-3]
    return "\ufffd" not in text and all(char.isprintable() or char.isspace() for char in text)
