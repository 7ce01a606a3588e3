"""The list of a kept folder's files: JSON of names and hashes, which anyone may have made up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, cast

from limner.core.errors import LimnerError
from limner.store.patterns import SHA256

LIST_BYTES = 4 * 2**20
FILES = 10_000
"""The most files of a folder."""
FOLDER_BYTES = 64 * 2**30
"""A whole FLUX.1 model of full precision fits."""
REPEATED_BYTES = 2**28
"""Bytes that a folder may have more than its different files have: a list could name one large file many times."""
_SHA256 = re.compile(SHA256)
_PART = re.compile(r"[^\x00-\x1f/\\:]{1,255}")


def write_list(told: Mapping[str, str], place: Path) -> Path:
    """Write the list of a folder's files, the same bytes for the same files."""
    place.write_text(json.dumps(told, sort_keys=True), encoding="utf-8")
    return place


def listed(text: bytes, sha256: str) -> dict[str, str]:
    """Names and hashes of a folder's files, as its list tells; LimnerError for what is no such list."""
    with suppress(ValueError, RecursionError):
        told: object = json.loads(text)
        if isinstance(told, dict):
            files = {str(name): str(its) for name, its in cast(dict[Any, Any], told).items()}
            if all(inside(name) and _SHA256.fullmatch(its) for name, its in files.items()):
                return files
    raise LimnerError(f"{sha256[:12]} is no folder", "name a file as sha256:HASH")


def check_size(told: Mapping[str, str], sizes: Mapping[str, int], sha256: str) -> None:
    """Raise LimnerError for a folder of too many files or bytes. sizes: bytes of each different file, by its hash."""
    whole, different = sum(sizes[its] for its in told.values()), sum(sizes.values())
    if len(told) > FILES:
        raise LimnerError(f"folder {sha256[:12]} holds {len(told):,} files", f"keep at most {FILES:,} in one")
    if whole > FOLDER_BYTES:
        raise LimnerError(f"folder {sha256[:12]} is larger than {FOLDER_BYTES:,} bytes", "leave files out")
    if whole - different > REPEATED_BYTES:
        raise LimnerError(
            f"folder {sha256[:12]} holds the same files again and again", "name each of its large files once"
        )


def inside(name: str) -> bool:
    """Whether a file's name stays in its folder, and is one on every system."""
    parts = PurePosixPath(name).parts
    if any("\ud800" <= letter <= "\udfff" for letter in name):  # no text of any file's name
        return False
    return bool(parts) and len(name) < 1000 and ".." not in parts and all(_PART.fullmatch(part) for part in parts)
