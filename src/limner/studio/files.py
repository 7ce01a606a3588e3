"""Stored files as surfaces use them: upload, read and share files and folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from limner.core.accounts import Caller
from limner.store.blobs import CHUNK_BYTES, REFERENCE, Blobs
from limner.store.grants import Grants
from limner.store.manifests import MAX_FILES, is_safe_name
from limner.store.removal import discard

__all__ = ["CHUNK_BYTES", "MAX_FILES", "REFERENCE", "StudioFiles", "discard", "is_safe_name"]


class StudioFiles(Blobs):
    """The stored files. They are found by their hash; `grants` records which account may use which."""

    def __init__(self, url: str, cache: Path, grants: Grants) -> None:
        super().__init__(url, cache)
        self.grants = grants
        self._thumbnails = cache.with_name("thumbnails")

    def upload(self, path: Path, caller: Caller | None = None) -> str:
        """Store a file or folder for a caller's account; returns its reference.

        Raises QuotaExceeded if the account may not store so many bytes.
        """
        caller = caller or Caller()
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files)
        self.grants.check(caller, size)
        reference = self.save(path)
        self.grants.add(caller, reference, size)
        return self.save(path)  # restores files that were being erased meanwhile

    def thumbnail_path(self, sha256: str, side: int) -> Path:
        """Where the thumbnail of an image with this longest side is, or will be. It is deleted with the image."""
        return self._thumbnails / sha256[:2] / f"{sha256}-{side}.webp"

    def remove_copies(self, sha256: str) -> None:
        """Delete this machine's copies of a file, and its thumbnails."""
        super().remove_copies(sha256)
        for place in self._thumbnails.glob(f"{sha256[:2]}/{sha256}-*.webp"):
            discard(place, self._thumbnails)

    def copies(self) -> Iterator[str]:
        """The hashes of the files of which this machine has copies or thumbnails."""
        yield from super().copies()
        for place in self._thumbnails.glob(f"??/{'?' * 64}-*.webp"):
            yield place.name[:64]

    def may_use(self, caller: Caller, reference: str) -> bool:
        """Whether a caller may read a file or folder, and name it in requests."""
        return caller.scope is None or not self.grants.missing(caller.scope, [reference])
