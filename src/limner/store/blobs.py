"""Content-addressed files, in a folder or in any file system that fsspec knows, such as s3://bucket.

A reference names a stored file or folder on every machine: `sha256:HASH` is a file, `folder:HASH` a folder, whose hash
is that of its manifest.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from limner.core.errors import LimnerError, Unavailable
from limner.store import patterns
from limner.store.files import MARKER, atomic_file, atomic_folder_once, make_folder, sha256_of, write_files
from limner.store.manifests import MANIFEST_BYTES, check_size, parse_manifest, write_manifest
from limner.store.remote import open_file_system, translate_remote_errors, without_secrets
from limner.store.removal import discard, remove

CHUNK_BYTES = 2**20
BLOCK = 4 * 2**20
"""Bytes that are read ahead from a remote file system."""
TRANSFERS = 8
"""Files that are transferred to or from it at the same time."""
FRESH_SECONDS = 12 * 3600.0
"""Seconds for which a file counts as new: well below the age at which orphans are removed."""
REFERENCE = re.compile(patterns.REFERENCE)
_USER_FILE = ".limner-of-"
_SHA256 = re.compile(patterns.SHA256)
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file. age: seconds since it was written."""

    sha256: str
    bytes: int
    age: float


class Blobs:
    """Files that are stored under their SHA-256 and never change.

    url: a folder, or a URL such as s3://bucket/prefix. cache: folder for local copies of remote files. Every method
    raises Unavailable if the file system cannot be used.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        self._files, self._root = open_file_system(url)
        self._cache = cache
        self._local = "file" in self._files.protocol

    def check(self, user: str) -> None:
        """Raise LimnerError if files cannot be stored. Writes a small file that records the user, see `users`."""
        with self._writing():
            if self._local:
                make_folder(Path(self._root))
            self._files.pipe_file(f"{self._root}/{_USER_FILE}{user}", b"kept by Limner\n")

    def users(self) -> set[str]:
        """The users that have called `check` on this file system."""
        with self._translate_errors():
            return {place.rpartition(_USER_FILE)[2] for place in self._files.glob(f"{self._root}/{_USER_FILE}*")}

    def put(self, file: Path) -> str:
        """Store a file; returns its SHA-256. A file that is stored already is not written again."""
        return self._put_all([file])[0]

    def _put_all(self, files: Sequence[Path]) -> list[str]:
        """Store files; returns the SHA-256 of each."""
        if not self._local:
            return self._each(self._put_remote, files)
        hashes = [sha256_of(file) for file in files]
        places = {Path(self._place(sha256)): file for sha256, file in zip(hashes, files, strict=True)}
        with self._writing():
            write_files({at: functools.partial(_link_or_copy, file) for at, file in places.items() if not _touched(at)})
        return hashes

    def _put_remote(self, file: Path) -> str:
        place = self._place(sha256 := sha256_of(file))
        with self._writing():
            if not self._fresh(place):  # an upload appears there only when it is complete
                self._files.put_file(str(file), place)
        return sha256

    def save(self, path: Path) -> str:
        """Store a file or a folder; returns its reference."""
        if not path.is_dir():
            return f"sha256:{self.put(path)}"
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name != MARKER]
        names = [file.relative_to(path).as_posix() for file in files]
        hashes = dict(zip(names, self._put_all(files), strict=True))
        with tempfile.TemporaryDirectory() as folder:
            return f"folder:{self.put(write_manifest(hashes, Path(folder) / 'files.json'))}"

    def local_path(self, reference: str, suffix: str = "") -> Path:
        """A local path of a file or folder, which nobody may write to. suffix: the name of a file must end so."""
        found = REFERENCE.fullmatch(reference)
        if found is None:
            raise LimnerError(f"{reference!r} is not a reference", "write sha256:HASH or folder:HASH")
        kind, sha256 = found.groups()
        return self.path(sha256, suffix) if kind == "sha256" else self._folder(sha256)

    def folder(self, sha256: str) -> dict[str, str]:
        """Hashes of a folder's files by name. Raises LimnerError if it is not a folder, or too large."""
        hashes = self.manifest(sha256)
        unique = sorted(set(hashes.values()))
        check_size(hashes, dict(zip(unique, self._each(self.size, unique), strict=True)), sha256)
        return hashes

    def manifest(self, sha256: str) -> dict[str, str]:
        """Hashes of a folder's files by name; the files may be missing. Raises LimnerError if it is not a folder."""
        if self.size(sha256) > MANIFEST_BYTES:
            raise LimnerError(f"{sha256[:12]} is not a folder", "name a file as sha256:HASH")
        return parse_manifest(self.read(sha256, 0, MANIFEST_BYTES), sha256)

    def folder_hashes(self, folders: Iterable[str]) -> dict[str, frozenset[str]]:
        """The hashes of the files of each folder; empty for one that is missing, or no folder."""

        def hashes(sha256: str) -> frozenset[str]:
            try:
                return frozenset(self.manifest(sha256).values())
            except Unavailable:
                raise
            except LimnerError:
                return frozenset()

        folders = list(folders)
        return dict(zip(folders, self._each(hashes, folders), strict=True))

    def _folder(self, sha256: str) -> Path:
        place = make_folder(self._cache) / f"{sha256}.folder"
        if not place.is_dir():
            hashes = self.folder(sha256)
            with atomic_folder_once(place) as partial:  # another worker may do so meanwhile
                paths = dict(zip(hashes.values(), self._each(self.path, hashes.values()), strict=True))
                for name, file_hash in hashes.items():
                    (partial / name).parent.mkdir(parents=True, exist_ok=True)
                    _link_or_copy(paths[file_hash], partial / name)
        return place

    def __contains__(self, sha256: str) -> bool:
        with self._translate_errors():
            return bool(self._files.exists(self._place(sha256)))

    def __iter__(self) -> Iterator[Blob]:
        """All stored files, ordered by hash."""
        with self._translate_errors():
            found = cast(dict[str, dict[str, Any]], self._files.find(self._root, detail=True))
        for place, facts in sorted(found.items()):
            sha256 = place.rpartition("/")[2]
            if _SHA256.fullmatch(sha256):
                yield Blob(sha256, int(facts["size"]), _age(facts))

    def size(self, sha256: str) -> int:
        """Size in bytes. Raises LimnerError if there is no such file."""
        with self._found(sha256):
            return int(self._files.size(self._place(sha256)))

    def read(self, sha256: str, first: int, end: int) -> bytes:
        """The bytes from `first` to before `end`, or to the end of the file."""
        with self._found(sha256):
            return bytes(self._files.cat_file(self._place(sha256), start=first, end=end))

    def bytes(self, reference: str) -> int:
        """Size in bytes of a file, or of the files of a folder."""
        kind, _, sha256 = reference.partition(":")
        return self.size(sha256) if kind == "sha256" else sum(map(self.size, self.manifest(sha256).values()))

    @contextmanager
    def open(self, sha256: str) -> Generator[IO[bytes]]:
        """The file, open for reading and seekable."""
        with self._found(sha256), self._files.open(self._place(sha256), "rb", block_size=BLOCK) as file:
            yield file

    def path(self, sha256: str, suffix: str = "") -> Path:
        """A local path of a file, which nobody may write to. suffix: its name must end so."""
        place = self._place(sha256)
        if self._local and not suffix:
            if not self._files.exists(place):
                raise _missing(sha256)
            return Path(place)
        copy = make_folder(self._cache) / f"{sha256}{suffix}"
        if not copy.exists():
            with self.open(sha256) as source, atomic_file(copy) as partial, partial.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
        return copy

    def signed_url(self, sha256: str, seconds: int, media_type: str) -> str | None:
        """A URL from which anyone can fetch the file for so long; None if the file system has no such URLs."""
        more = {"ResponseContentType": media_type} if "s3" in self._files.protocol else {}
        try:
            return str(self._files.sign(self._place(sha256), expiration=seconds, **more))
        except NotImplementedError:
            return None

    def remove(self, sha256: str) -> None:
        """Delete a file, if it exists, and this machine's copies of it."""
        place = self._place(sha256)
        with self._translate_errors():
            if self._local:
                remove(Path(place), Path(self._root))
            elif self._files.exists(place):
                self._files.rm_file(place)
        self.remove_copies(sha256)

    def remove_copies(self, sha256: str) -> None:
        """Delete this machine's copies of a file."""
        for copy in self._cache.glob(f"{sha256}*"):
            discard(copy, self._cache)

    def copies(self) -> Iterator[str]:
        """The hashes of the files of which this machine has copies."""
        for copy in self._cache.glob("?" * 64 + "*"):
            if _SHA256.fullmatch(copy.name[:64]):
                yield copy.name[:64]

    def _place(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise LimnerError(f"{sha256!r} is not a SHA-256", "give 64 hexadecimal digits")
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _fresh(self, place: str) -> bool:
        """Whether a file exists and is new, so that it is not removed as an orphan before somebody refers to it."""
        try:
            return _age(cast(dict[str, Any], self._files.info(place))) < FRESH_SECONDS
        except FileNotFoundError:
            return False

    def _each(self, function: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """The results of a function for all items; computed in parallel for a remote file system."""
        if self._local:
            return [function(item) for item in items]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            return list(pool.map(function, items))

    def _translate_errors(self) -> Any:
        return translate_remote_errors(self.url)

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            with self._translate_errors():
                yield
        except FileNotFoundError as error:
            problem = f"there is no place for files at {without_secrets(self.url)}"
            raise Unavailable(problem, "create that bucket, or name another") from error

    @contextmanager
    def _found(self, sha256: str) -> Generator[None]:
        try:
            with self._translate_errors():
                yield
        except FileNotFoundError as error:
            raise _missing(sha256) from error


def _age(facts: dict[str, Any]) -> float:
    """Seconds since a file was written; each file system has its own key for that time."""
    moment = next((facts[key] for key in ("LastModified", "mtime", "created") if key in facts), 0.0)
    return time.time() - (moment.timestamp() if isinstance(moment, datetime) else float(moment))


def _touched(place: Path) -> bool:
    """Whether a file exists; if so, its age is reset."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    except PermissionError:  # the file is another user's
        return place.exists()
    return True


def _link_or_copy(file: Path, other: Path) -> None:
    """Give a file a second name, by a hard link if the disk supports it."""
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)


def _missing(sha256: str) -> LimnerError:
    """The error for a file that is not stored."""
    return LimnerError(f"there is no file {sha256[:12]}", "upload it, or check its hash")
