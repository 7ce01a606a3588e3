"""Small copies of the images that a library of prompts names, where they are files in the folder of its source."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.imaging.decode import decode
from limner.imaging.formats import SUFFIXES
from limner.imaging.thumbnails import thumbnail
from limner.store.files import atomic_file, make_folder
from limner.studio.images import decoding

LARGEST = 64 * 2**20
"""Bytes of the largest image of a library that is decoded."""
THUMBNAILS = "thumbnails"


def local_image(source: str, image: str) -> Path | None:
    """The file of an image of a library; None where it is no file in the folder of the source, or too large.

    source: of the library, a file or a folder. image: a path, also one below that folder.
    """
    if not image or "\0" in image or "://" in image or not source or "\0" in source:
        return None
    try:
        root = Path(source)
        if not root.is_absolute() or not root.exists():
            return None
        folder = (root if root.is_dir() else root.parent).resolve()
        found = (folder / image).resolve()
        inside = found.is_relative_to(folder) and found.suffix.lower() in SUFFIXES
        return found if inside and found.is_file() and found.stat().st_size <= LARGEST else None
    except (OSError, RuntimeError):
        return None


def make_thumbnail(source: str, image: str, folder: Path, side: int) -> Path:
    """The WebP of an image with this longest side, made once in a folder of the library.

    Raises LimnerError for what `local_image` does not find, and for a file that is no image.
    """
    place = local_image(source, image)
    if place is None:
        raise LimnerError(f"the image {quoted(image)} is not in the folder of the library", "open another one")
    made = folder / THUMBNAILS / f"{_key(place).hexdigest()}-{side}.webp"
    if not made.exists():
        make_folder(made.parent)
        with decoding:
            data = thumbnail(decode(read_file(place), place), side)
        with atomic_file(made) as partial:
            partial.write_bytes(data)
    return made


def file_mark(path: Path) -> int:
    """A number of 64 bits for an image file as it is now. Raises OSError where it is gone."""
    return int.from_bytes(_key(path).digest()[:8], "big")


def _key(path: Path) -> Any:
    """A hash of the path, time and size of a file."""
    facts = path.stat()
    return hashlib.sha256(f"{os.fspath(path)} {facts.st_mtime_ns} {facts.st_size}".encode("utf-8", "surrogateescape"))
