"""Files by what is in them: content-addressed, in a folder or in any store that fsspec knows, such as s3://bucket.

A reference names what is kept wherever it is wanted: `sha256:HASH` is a file, `folder:HASH` a folder, whose hash is
that of the list of its files.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from limner.core.errors import LimnerError, Unavailable
from limner.store import patterns
from limner.store.files import MARKER, atomic_file, atomic_folder_once, make_folder, sha256_of
from limner.store.manifests import LIST_BYTES, check_size, listed, write_list
from limner.store.remote import reach, reached, shown
from limner.store.removal import discard, remove

CHUNK_BYTES = 2**20
BLOCK = 4 * 2**20
"""Bytes that are read ahead of a reader, from a store that is elsewhere."""
AT_ONCE = 8
"""Files that go to or come from such a store at the same time."""
FRESH = 12 * 3600.0
"""Seconds for which a file counts as just kept: well below the age at which orphans are swept."""
REFERENCE = re.compile(patterns.REFERENCE)
_MARK = ".limner-of-"
_SHA256 = re.compile(patterns.SHA256)
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file as its store lists it. age: seconds since it was kept."""

    sha256: str
    bytes: int
    age: float


class Blobs:
    """Files that are found by their SHA-256, and never change.

    url: a folder, or a URL such as s3://bucket/prefix. cache: a folder for copies of what is elsewhere. Every method
    raises Unavailable where the store cannot be used.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        self._files, self._root = reach(url)
        self._cache = cache
        self._local = "file" in self._files.protocol

    def check(self, user: str) -> None:
        """Raise LimnerError, in one line, where files cannot be kept; leaves a small mark there that says who does."""
        with self._writing():
            if self._local:
                make_folder(Path(self._root))
            self._files.pipe_file(f"{self._root}/{_MARK}{user}", b"kept by Limner\n")

    def users(self) -> set[str]:
        """Who left a mark here."""
        with self._reached():
            return {place.rpartition(_MARK)[2] for place in self._files.glob(f"{self._root}/{_MARK}*")}

    def put(self, file: Path) -> str:
        """Keep a file's bytes; returns their SHA-256. What is there already is not written again."""
        sha256 = sha256_of(file)
        place = self._place(sha256)
        with self._writing():
            if self._local:
                if not _touched(Path(place)):
                    with atomic_file(Path(place)) as partial:
                        _same(file, partial)
            elif not self._fresh(place):  # such stores show an upload when it is whole
                self._files.put_file(str(file), place)
        return sha256

    def keep(self, place: Path) -> str:
        """Keep a file or a folder; returns its reference."""
        if not place.is_dir():
            return f"sha256:{self.put(place)}"
        files = [file for file in sorted(place.rglob("*")) if file.is_file() and file.name != MARKER]
        patterns = [file.relative_to(place).as_posix() for file in files]
        told = dict(zip(patterns, self._each(self.put, files), strict=True))
        with tempfile.TemporaryDirectory() as folder:
            return f"folder:{self.put(write_list(told, Path(folder) / 'files.json'))}"

    def bring(self, reference: str, suffix: str = "") -> Path:
        """What a reference names, on this machine; the name of a file ends in `suffix`. Nobody may write to it."""
        found = REFERENCE.fullmatch(reference)
        if found is None:
            raise LimnerError(f"{reference!r} names nothing that is kept", "write sha256:HASH or folder:HASH")
        kind, sha256 = found.groups()
        return self.path(sha256, suffix) if kind == "sha256" else self._folder(sha256)

    def folder(self, sha256: str) -> dict[str, str]:
        """Names and hashes of a kept folder's files; LimnerError for what is none, and for one that is too large."""
        told = self.names(sha256)
        each = sorted(set(told.values()))
        check_size(told, dict(zip(each, self._each(self.size, each), strict=True)), sha256)
        return told

    def names(self, sha256: str) -> dict[str, str]:
        """Names and hashes of a folder's files, which may be gone; LimnerError for what is no folder."""
        if self.size(sha256) > LIST_BYTES:
            raise LimnerError(f"{sha256[:12]} is no folder", "name a file as sha256:HASH")
        return listed(self.read(sha256, 0, LIST_BYTES), sha256)

    def lists(self, folders: Iterable[str]) -> dict[str, frozenset[str]]:
        """The hashes of the files of each folder; none for what is gone, or no folder."""

        def held(sha256: str) -> frozenset[str]:
            try:
                return frozenset(self.names(sha256).values())
            except Unavailable:
                raise
            except LimnerError:
                return frozenset()

        each = list(folders)
        return dict(zip(each, self._each(held, each), strict=True))

    def _folder(self, sha256: str) -> Path:
        place = make_folder(self._cache) / f"{sha256}.folder"
        if not place.is_dir():
            told = self.folder(sha256)
            with atomic_folder_once(place) as partial:  # another worker may do so meanwhile
                paths = dict(zip(told.values(), self._each(self.path, told.values()), strict=True))
                for name, its in told.items():
                    (partial / name).parent.mkdir(parents=True, exist_ok=True)
                    _same(paths[its], partial / name)
        return place

    def __contains__(self, sha256: str) -> bool:
        with self._reached():
            return bool(self._files.exists(self._place(sha256)))

    def __iter__(self) -> Iterator[Blob]:
        """All that is kept, in order of the hashes."""
        with self._reached():
            told = cast(dict[str, dict[str, Any]], self._files.find(self._root, detail=True))
        for place, facts in sorted(told.items()):
            sha256 = place.rpartition("/")[2]
            if _SHA256.fullmatch(sha256):
                yield Blob(sha256, int(facts["size"]), _age(facts))

    def size(self, sha256: str) -> int:
        """Bytes; LimnerError where there is no such file."""
        with self._found(sha256):
            return int(self._files.size(self._place(sha256)))

    def read(self, sha256: str, first: int, end: int) -> bytes:
        """The bytes from the first to before the end, as many of them as there are."""
        with self._found(sha256):
            return bytes(self._files.cat_file(self._place(sha256), start=first, end=end))

    def bytes(self, reference: str) -> int:
        """How much is kept by a reference: a file, or the files of a folder."""
        kind, _, sha256 = reference.partition(":")
        return self.size(sha256) if kind == "sha256" else sum(map(self.size, self.names(sha256).values()))

    @contextmanager
    def open(self, sha256: str) -> Generator[IO[bytes]]:
        """The file, seekable, to be read."""
        with self._found(sha256), self._files.open(self._place(sha256), "rb", block_size=BLOCK) as file:
            yield file

    def path(self, sha256: str, suffix: str = "") -> Path:
        """A file on this machine with these bytes, of a name that ends in `suffix`; nobody may write to it."""
        place = self._place(sha256)
        if self._local and not suffix:
            if not self._files.exists(place):
                raise missing(sha256)
            return Path(place)
        copy = make_folder(self._cache) / f"{sha256}{suffix}"
        if not copy.exists():
            with self.open(sha256) as source, atomic_file(copy) as partial, partial.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
        return copy

    def signed(self, sha256: str, seconds: int, media_type: str) -> str | None:
        """A URL at which anyone may fetch the file for so long; None where the store knows none."""
        more = {"ResponseContentType": media_type} if "s3" in self._files.protocol else {}
        try:
            return str(self._files.sign(self._place(sha256), expiration=seconds, **more))
        except NotImplementedError:
            return None

    def remove(self, sha256: str) -> None:
        """Let go of a file, which may be gone already, and of this machine's copies."""
        place = self._place(sha256)
        with self._reached():
            if self._local:
                remove(Path(place), Path(self._root))
            elif self._files.exists(place):
                self._files.rm_file(place)
        self.forget(sha256)

    def forget(self, sha256: str) -> None:
        """Remove this machine's copies of a file."""
        for copy in self._cache.glob(f"{sha256}*"):
            discard(copy, self._cache)

    def copies(self) -> Iterator[str]:
        """The hashes of those files of which this machine has copies of its own."""
        for copy in self._cache.glob("?" * 64 + "*"):
            if _SHA256.fullmatch(copy.name[:64]):
                yield copy.name[:64]

    def _place(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise LimnerError(f"{sha256!r} is no SHA-256", "give 64 hexadecimal digits")
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _fresh(self, place: str) -> bool:
        """Whether a file is there and young, so that no sweep takes it before somebody refers to it."""
        try:
            return _age(cast(dict[str, Any], self._files.info(place))) < FRESH
        except FileNotFoundError:
            return False

    def _each(self, act: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """What `act` makes of each item; several at once where the store is elsewhere."""
        if self._local:
            return [act(item) for item in items]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(act, items))

    def _reached(self) -> Any:
        return reached(self.url)

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            with self._reached():
                yield
        except FileNotFoundError as error:
            problem = f"there is no place for files at {shown(self.url)}"
            raise Unavailable(problem, "make that bucket, or name another") from error

    @contextmanager
    def _found(self, sha256: str) -> Generator[None]:
        try:
            with self._reached():
                yield
        except FileNotFoundError as error:
            raise missing(sha256) from error


def _age(facts: dict[str, Any]) -> float:
    """Seconds since a file was written, as its store tells: each has a word of its own for when."""
    moment = next((facts[word] for word in ("LastModified", "mtime", "created") if word in facts), 0.0)
    return time.time() - (moment.timestamp() if isinstance(moment, datetime) else float(moment))


def _touched(place: Path) -> bool:
    """Whether a file is there, which then counts as new."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    except PermissionError:  # another user's
        return place.exists()
    return True


def _same(file: Path, other: Path) -> None:
    """The file once more under another name, which costs nothing where the disk allows that."""
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)


def missing(sha256: str) -> LimnerError:
    """The error for a file that is not kept."""
    return LimnerError(f"there is no file {sha256[:12]}", "upload it, or look its name up")
