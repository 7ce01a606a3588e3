"""Image formats: magic bytes, file name suffixes, PNG chunks, and the errors for files that cannot be decoded."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
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
"""Format by file name suffix, in lower case."""

SUFFIXES = frozenset(ENDINGS)
"""File name suffixes of images, in lower case."""

MASKS = "masks"
"""Name of the folder with masks, next to the images."""

SIDECAR_SUFFIXES = frozenset(
    (
        ".txt",
        ".caption",
        ".text",
        ".captions",
        ".cap",
        ".tags",
        ".prompt",
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
"""File name suffixes that are usual next to images and are skipped without a notice."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF")
_TITLES = {"MPO": "JPEG", "DIB": "BMP", "WEBP": "WebP", "HEIF": "HEIC"}
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
}
"""Format by the first bytes of a file."""
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))


def media_type(data: bytes) -> str | None:
    """The media type of an image by its first bytes, such as "image/png"; None for other files.

    Any ISO media file (`ftyp`) that is not AVIF counts as HEIC. The rest of the file may be damaged.
    """
    if data[4:8] == b"ftyp":
        return "image/avif" if _brands(data) & _AVIF_BRANDS else "image/heic"
    if data.startswith(b"RIFF") and data[8:12] != b"WEBP":
        return None
    title = next((title for magic, title in _MAGIC.items() if data.startswith(magic)), None)
    return title and f"image/{title.lower()}"


def pillow_formats(data: bytes, path: str | Path) -> tuple[str, ...]:
    """The Pillow formats that the bytes may be in. Registers the HEIC plugin if it is needed.

    Raises LimnerError for AVIF and HEIC if the installed packages cannot read them.
    """
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        if not features.check("avif"):
            raise LimnerError(f"{quoted(path)} is an AVIF image", "to read it: pip install --upgrade pillow")
        return ("AVIF",)
    if brands & _HEIC_BRANDS:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise LimnerError(f"{quoted(path)} is a HEIC image", "to read it: pip install pillow-heif") from error
        return ("HEIF",)
    return _FORMATS


def format_title(pillow_format: str | None) -> str:
    """The usual name of a Pillow format: "JPEG", "WebP"."""
    return _TITLES.get(pillow_format or "", pillow_format or "image")


def misnamed(path: str | Path, found: str) -> str | None:
    """A note about a file name suffix of another format than the one found; None if they agree."""
    ending = Path(path).suffix.lower()
    if ENDINGS.get(ending, found) == found:
        return None
    return f"named {ending}, and {'an' if found == 'AVIF' else 'a'} {found} inside"


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, offset of the content and declared size of each chunk of a PNG (third edition, section 5.3)."""
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, size
        at += 12 + size


def unknown_format(data: bytes, path: str | Path) -> LimnerError:
    """The error for bytes that no decoder recognises: a damaged image, a text, or something else."""
    if _brands(data) or any(data.startswith(magic) for magic in _MAGIC):
        return damaged_image(data, path, "its header cannot be read")
    content = "text" if _is_text(data[:512]) else "no image of a known format"
    return LimnerError(f"{quoted(path)} holds {content}, whatever its name says", "save the image as JPEG or PNG")


def damaged_image(data: bytes, path: str | Path, reason: str) -> LimnerError:
    """The error for an image that cannot be decoded to its end."""
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "image")
    return LimnerError(
        f"{quoted(path)} is a damaged or unfinished {kind} file ({short_line(reason)})",
        "copy it again, or open it in an image editor and save it again",
    )


def _brands(data: bytes) -> set[bytes]:
    """The brands in the `ftyp` box of an ISO media file (ISO/IEC 14496-12, 4.3); empty for any other file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _is_text(head: bytes) -> bool:
    """Whether the bytes are UTF-8 text without control characters; the last character may be cut off."""
    text = head.decode("utf-8", errors="replace")[:-3]
    return "\ufffd" not in text and all(char.isprintable() or char.isspace() for char in text)
