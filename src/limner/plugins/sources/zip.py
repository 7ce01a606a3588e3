"""A zip archive of images, read in place without unpacking it to disk."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import ByteSource, Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, quoted, short_line
from limner.data.entries.byte_sources import ZIP_ERRORS, ZipBytes, escaped_name, is_outside_archive, zip_file
from limner.data.entries.folders import FolderListing, folder_entries
from limner.data.entries.references import local_path, reference_kind
from limner.data.entries.unpacked_sizes import SAMPLE_BYTES, ZIP_METHODS, archive_bytes

_ENCRYPTED = 0x1
_MOST_FOLDERS = 100_000
"""The most folders of an archive, those inside others too, which are all in memory."""


class ZipSource:
    """Images in a zip archive."""

    title = "zip archive of images"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "zip"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        path = local_path(reference)
        try:
            members = zip_file(path).infolist()
        except LimnerError:
            raise
        except (*ZIP_ERRORS, OSError) as error:
            raise LimnerError(
                f"{quoted(path)} is not a zip archive, or a damaged one ({short_line(str(error))})", "create it again"
            ) from error
        listings = _listings(path, members)
        yield from listings[""].lost
        listings[""] = FolderListing(listings[""].files, listings[""].folders)
        yield from folder_entries(listings.__getitem__, path.stem)


def _listings(archive: Path, members: list[zipfile.ZipInfo]) -> dict[str, FolderListing]:
    """The folders of an archive by path; "" is the archive itself, which lists the members that cannot be read."""
    files: dict[str, dict[str, ByteSource]] = {"": {}}
    folders: dict[str, set[str]] = {"": set()}
    lost: list[Skipped] = []
    left = archive_bytes(archive)
    for member in members:
        name = member.filename
        if member.is_dir():
            continue
        if (left := left - member.file_size) < 0:
            raise LimnerError(
                f"{quoted(archive)} unpacks to more than {archive_bytes(archive):,} bytes",
                "split it into several archives",
            )
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if fault := _fault(member):
            lost.append(Skipped(escaped_name(name), fault))
        elif not any(_hidden(part) for part in parts):
            for depth in range(len(parts) - 1):
                _add_folder(files, folders, parts, depth)
            if len(files) > _MOST_FOLDERS:
                raise LimnerError(
                    f"{quoted(archive)} has more than {_MOST_FOLDERS:,} folders", "put more images into each"
                )
            siblings = files["/".join(parts[:-1])]
            if parts[-1] in siblings:
                problem = f"{quoted(name)} is in the archive twice; the last one counts"
                lost.append(Skipped(escaped_name(name), Fault("stray", problem)))
            siblings[parts[-1]] = ZipBytes(archive, name, member.CRC, member.file_size)
    listings = {path: FolderListing(files[path], sorted(folders[path])) for path in files}
    listings[""] = FolderListing(files[""], sorted(folders[""]), lost)
    return listings


def _add_folder(
    files: dict[str, dict[str, ByteSource]], folders: dict[str, set[str]], parts: list[str], depth: int
) -> None:
    """Add the folder of a member at a depth, and its name to its parent."""
    below = "/".join(parts[: depth + 1])
    files.setdefault(below, {})
    folders.setdefault(below, set())
    folders["/".join(parts[:depth])].add(parts[depth])


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def _fault(member: zipfile.ZipInfo) -> Fault | None:
    """The Fault of a member that cannot be read; None for others."""
    name = member.filename
    if is_outside_archive(name):
        return Fault("stray", f"{quoted(name)} would be outside the archive; it is skipped")
    if name.count("/") > 100:
        return Fault("stray", f"{quoted(name)} is more than 100 folders deep; it is skipped")
    if member.flag_bits & _ENCRYPTED:
        return Fault("unreadable", f"{quoted(name)} needs a password; create the archive again without one")
    if member.compress_type not in ZIP_METHODS:
        return Fault(
            "unreadable", f"{quoted(name)} is neither stored nor deflated; create the archive again with deflate"
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return Fault("stray", f"{quoted(name)} is a link or a device, not a file; it is skipped")
    most = BYTE_CAP if member.compress_type == zipfile.ZIP_STORED else min(SAMPLE_BYTES, BYTE_CAP)
    if member.file_size > most:
        return Fault("unreadable", f"{quoted(name)} unpacks to more than {most // 2**20} MiB; it is skipped")
    return None


plugin = ZipSource()
