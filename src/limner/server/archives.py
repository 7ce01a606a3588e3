"""Zip archives and forms with several files: unpacked safely, and packed as a stream."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from starlette.datastructures import UploadFile

from limner.core.disk import is_disk_error
from limner.core.errors import LimnerError
from limner.data.entries.unpacked_sizes import ZIP_METHODS
from limner.studio.files import CHUNK_BYTES, MAX_FILES, StudioFiles, is_safe_name

DIRECTORY_BYTES = 400 * MAX_FILES
"""Largest central directory of a zip."""
MAX_FOLDERS = 2000
"""The most folders of an upload, those inside others too: making one takes as long as making ten files."""
EPOCH = (1980, 1, 1, 0, 0, 0)
_NAMES = "use relative names inside the {}, with at most 255 bytes between slashes"


class _BoundedFile(io.FileIO):
    """A file that refuses one large read. `zipfile` would read a central directory of any size at once.

    The directory is parsed only once, by `zipfile` itself, so that no second parser can be deceived.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if wanted > DIRECTORY_BYTES:
            raise LimnerError(f"the zip's directory is larger than {DIRECTORY_BYTES:,} bytes", "send fewer files")
        return super().read(size)


def unzip(archive: Path, folder: Path, limit: int) -> int:
    """Unpack a zip into a new folder and return the size of its files in bytes.

    Raises LimnerError for a file that is no zip, for names outside the folder, for links, and for more than `limit`
    bytes, MAX_FILES files or MAX_FOLDERS folders. What the zip declares about its sizes is not trusted.
    """
    size = 0
    folder.mkdir()
    try:
        with _BoundedFile(archive) as file, zipfile.ZipFile(file) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise LimnerError(f"the zip has {len(members):,} files", f"send at most {MAX_FILES:,}")
            _check_folders("zip", (member.filename for member in members))
            for member in members:
                size = _unpack(opened, member, folder, size, limit)
    except LimnerError:
        raise
    except FileExistsError as error:
        raise LimnerError("the zip has two files with the same name", "rename one of them") from error
    except Exception as error:  # a hostile zip makes the decoder raise nearly anything
        if is_disk_error(error):
            raise
        raise LimnerError("the zip cannot be unpacked", "create it again, without a password") from error
    if not size:
        raise LimnerError("the zip has no files", "add images to it")
    return size


def _check_folders(what: str, names: Iterable[str]) -> None:
    """Raise LimnerError for files in more than MAX_FOLDERS folders."""
    folders: set[str] = set()
    for name in names:
        while (name := name.rpartition("/")[0]) and name not in folders:
            folders.add(name)
            if len(folders) > MAX_FOLDERS:
                raise LimnerError(f"the {what} has more than {MAX_FOLDERS:,} folders", "put more files into each")


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, size: int, limit: int) -> int:
    """Unpack one file and return `size`, the bytes unpacked before, plus its bytes."""
    name = member.filename[:80]
    if not is_safe_name(member.filename) or (member.external_attr >> 16) & 0o170000 == 0o120000:
        raise LimnerError(f"the zip has the file name {name!r}", f"{_NAMES.format('zip')}, and no links")
    if member.compress_type not in ZIP_METHODS:
        raise LimnerError(f"{name!r} in the zip is neither stored nor deflated", "create the zip again with deflate")
    place = folder / member.filename
    place.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, place.open("xb") as target:
        while piece := source.read(CHUNK_BYTES):
            size += len(piece)
            if size > limit:
                raise LimnerError(f"the zip unpacks to more than {limit:,} bytes", "send fewer files")
            target.write(piece)
    return size


class _Buffer:
    """A file object that returns what was written since the last `take`."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        return None

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def zip_stream(blobs: StudioFiles, files: Mapping[str, str], texts: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """Yield stored files as a zip, piece by piece, without a temporary file. files: name -> SHA-256. texts: name ->
    text of a further file.

    The same files give the same bytes. Nothing is compressed, because images are compressed already.
    """
    buffer = _Buffer()
    with zipfile.ZipFile(buffer, "w") as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
        for name, sha256 in sorted(files.items()):
            with (
                blobs.open(sha256) as source,
                archive.open(zipfile.ZipInfo(name, EPOCH), "w", force_zip64=True) as target,
            ):
                while piece := source.read(CHUNK_BYTES):
                    target.write(piece)
                    yield buffer.take()
        for name, text in sorted((texts or {}).items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text)
    yield buffer.take()


def write_form_files(files: Sequence[object], folder: Path) -> int:
    """Write the files of a form into a new folder and return their size in bytes.

    Raises LimnerError for names outside the folder, for two files with the same name, for more than MAX_FOLDERS
    folders, and if there are no files.
    """
    folder.mkdir()
    size = 0
    _check_folders("form", (file.filename or "" for file in files if isinstance(file, UploadFile)))
    for file in files:
        name = (file.filename or "") if isinstance(file, UploadFile) else ""
        if not isinstance(file, UploadFile) or not is_safe_name(name):
            raise LimnerError(f"the form has the file name {name[:80]!r}", _NAMES.format("folder"))
        place = folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as target:
                shutil.copyfileobj(file.file, target, CHUNK_BYTES)
        except (FileExistsError, NotADirectoryError) as error:
            raise LimnerError(f"the form has two files named {name[:80]!r}", "rename one of them") from error
        size += place.stat().st_size
    if not size:
        raise LimnerError("the form has no files", "send them as parts named files")
    return size
