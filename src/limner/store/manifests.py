"""The manifest of a stored folder: JSON of file names and hashes. It is not trusted, because anyone may upload one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, cast

from limner.core.errors import LimnerError
from limner.store.patterns import SHA256

MANIFEST_BYTES = 4 * 2**20
MAX_FILES = 10_000
"""The most files of a folder."""
FOLDER_BYTES = 64 * 2**30
"""The most bytes of a folder: a FLUX.1 model in full precision fits."""
REPEATED_BYTES = 2**28
"""The most bytes of repeated files: a manifest could name one large file many times."""
_SHA256 = re.compile(SHA256)
PART_BYTES = 255
"""The most bytes of a name in a folder, on Linux and macOS."""
_PART = re.compile(r"[^\x00-\x1f/\\:]{1,255}")


def write_manifest(hashes: Mapping[str, str], path: Path) -> Path:
    """Write the manifest of a folder; the same bytes for the same files. hashes: by name."""
    path.write_text(json.dumps(hashes, sort_keys=True), encoding="utf-8")
    return path


def parse_manifest(text: bytes, sha256: str) -> dict[str, str]:
    """Hashes of a folder's files by name. Raises LimnerError if the text is no manifest. sha256: of the folder."""
    with suppress(ValueError, RecursionError):
        parsed: object = json.loads(text)
        if isinstance(parsed, dict):
            files = {str(name): str(file_hash) for name, file_hash in cast(dict[Any, Any], parsed).items()}
            if all(is_safe_name(name) and _SHA256.fullmatch(file_hash) for name, file_hash in files.items()):
                return files
    raise LimnerError(f"{sha256[:12]} is not a folder", "name a file as sha256:HASH")


def check_size(hashes: Mapping[str, str], sizes: Mapping[str, int], sha256: str) -> None:
    """Raise LimnerError for a folder of too many files or bytes. hashes: by name. sizes: in bytes, by hash."""
    total, different = sum(sizes[file_hash] for file_hash in hashes.values()), sum(sizes.values())
    if len(hashes) > MAX_FILES:
        raise LimnerError(f"folder {sha256[:12]} holds {len(hashes):,} files", f"store at most {MAX_FILES:,} in one")
    if total > FOLDER_BYTES:
        raise LimnerError(f"folder {sha256[:12]} is larger than {FOLDER_BYTES:,} bytes", "leave files out")
    if total - different > REPEATED_BYTES:
        raise LimnerError(
            f"folder {sha256[:12]} contains the same files many times", "name each of its large files once"
        )


def is_safe_name(name: str) -> bool:
    """Whether a relative file name stays inside its folder and is valid on every system."""
    parts = PurePosixPath(name).parts
    if any("\ud800" <= letter <= "\udfff" for letter in name):  # surrogates: no file name has them
        return False
    fits = len(name.encode()) < 1000 and all(len(part.encode()) <= PART_BYTES for part in parts)
    return fits and bool(parts) and ".." not in parts and all(_PART.fullmatch(part) for part in parts)
