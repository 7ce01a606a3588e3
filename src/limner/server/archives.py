"""Zips: unpacked by their names alone and in bounds, whatever they say of themselves; packed as they are sent."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from starlette.datastructures import UploadFile

from limner.core.errors import LimnerError
from limner.data.entries.budget import ZIP_METHODS
from limner.studio.files import CHUNK_BYTES, MAX_FILES, StudioFiles, is_safe_name

DIRECTORY_BYTES = 400 * MAX_FILES
"""The most that the list at the end of a zip may take."""
EPOCH = (1980, 1, 1, 0, 0, 0)


class _Bounded(io.FileIO):
    """A file of which nobody reads much at once, as `zipfile` would the whole list at the end before it is known how
    long that is: one reading of where it lies, so that no second one can be misled.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if wanted > DIRECTORY_BYTES:
            raise LimnerError(f"the zip's list of files takes more than {DIRECTORY_BYTES:,} bytes", "send fewer files")
        return super().read(size)


def unzip(archive: Path, folder: Path, most: int) -> int:
    """Unpack a zip into a new folder, by its names alone; bytes that it takes.

    Raises LimnerError for what is no zip, for names that lead out of the folder, for links, and for more than `most`
    bytes or MAX_FILES files, whatever the zip says of itself.
    """
    size = 0
    folder.mkdir()
    try:
        with _Bounded(archive) as file, zipfile.ZipFile(file) as found:
            members = [member for member in found.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise LimnerError(f"the zip holds {len(members):,} files", f"send at most {MAX_FILES:,}")
            for member in members:
                size = _unpack(found, member, folder, size, most)
    except LimnerError:
        raise
    except FileExistsError as error:
        raise LimnerError("the zip holds two files of one name", "name its files apart") from error
    except Exception as error:  # a hostile zip makes the decoder raise nearly anything
        raise LimnerError("the zip cannot be unpacked", "make it anew, without a password") from error
    if not size:
        raise LimnerError("the zip holds no files", "put pictures into it")
    return size


def _unpack(found: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, size: int, most: int) -> int:
    """Unpack one file where `size` bytes were unpacked before; bytes with it."""
    if not is_safe_name(member.filename) or (member.external_attr >> 16) & 0o170000 == 0o120000:
        raise LimnerError(f"the zip holds {member.filename[:80]!r}", "name its files plainly")
    if member.compress_type not in ZIP_METHODS:
        remedy = "make the zip anew with deflate"
        raise LimnerError(f"{member.filename[:80]!r} in the zip is neither stored nor deflated", remedy)
    place = folder / member.filename
    place.parent.mkdir(parents=True, exist_ok=True)
    with found.open(member) as source, place.open("xb") as target:
        while piece := source.read(CHUNK_BYTES):
            size += len(piece)
            if size > most:
                raise LimnerError(f"the zip unpacks to more than {most:,} bytes", "send fewer files")
            target.write(piece)
    return size


class _Sink:
    """Takes what is written and gives it away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        return None

    def given(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def zipped(blobs: StudioFiles, files: dict[str, str]) -> Iterator[bytes]:
    """Kept files as a zip, a piece at a time, nothing of it on disk; the same bytes every time. Pictures do not shrink,
    so nothing is compressed. files: hashes by name.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
        for name, sha256 in sorted(files.items()):
            with (
                blobs.open(sha256) as source,
                archive.open(zipfile.ZipInfo(name, EPOCH), "w", force_zip64=True) as target,
            ):
                while piece := source.read(CHUNK_BYTES):
                    target.write(piece)
                    yield sink.given()
    yield sink.given()


def written(files: Sequence[object], folder: Path) -> int:
    """Write the files of a form into a new folder, by their names; bytes that they take.

    Raises LimnerError for names that lead out of the folder, two files of one name, and no files at all.
    """
    folder.mkdir()
    size = 0
    for file in files:
        name = (file.filename or "") if isinstance(file, UploadFile) else ""
        if not isinstance(file, UploadFile) or not is_safe_name(name):
            raise LimnerError(f"the form holds {name[:80]!r} among its files", "name its files plainly")
        place = folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as target:
                shutil.copyfileobj(file.file, target, CHUNK_BYTES)
        except (FileExistsError, NotADirectoryError) as error:
            raise LimnerError(f"the form holds two files of the name {name[:80]!r}", "name them apart") from error
        size += place.stat().st_size
    if not size:
        raise LimnerError("the form holds no files", "send them as parts named files")
    return size
