"""A zip archive of pictures, read in place: nothing of it is ever written anywhere."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import Entry, Fault, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, quoted, short_line
from limner.data.entries.budget import SAMPLE_BYTES, ZIP_METHODS, archive_bytes
from limner.data.entries.kinds import kind_of, local
from limner.data.entries.places import ZIP_ERRORS, ZipPlace, leads_out, legible, zip_file
from limner.data.entries.trees import Level, entries

_ENCRYPTED = 0x1


class Zip:
    title = "zip archive of pictures"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) == "zip"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        path = local(reference)
        try:
            members = zip_file(path).infolist()
        except LimnerError:
            raise
        except (*ZIP_ERRORS, OSError) as error:
            raise LimnerError(
                f"{quoted(path)} is no zip archive, or a damaged one ({short_line(str(error))})", "make it anew"
            ) from error
        levels = _levels(path, members)
        yield from levels[""].lost
        levels[""] = Level(levels[""].files, levels[""].folders)
        yield from entries(levels.__getitem__, path.stem)


def _levels(archive: Path, members: list[zipfile.ZipInfo]) -> dict[str, Level]:
    """The folders of an archive by their paths, "" the archive itself, which tells what no folder can hold."""
    files: dict[str, dict[str, Place]] = {"": {}}
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
                "make several archives of it",
            )
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if fault := _fault(member):
            lost.append(Skipped(legible(name), fault))
        elif not any(_hidden(part) for part in parts):
            for depth in range(len(parts) - 1):
                _open(files, folders, parts, depth)
            level = files["/".join(parts[:-1])]
            if parts[-1] in level:
                told = f"{quoted(name)} is in the archive twice; the last one counts"
                lost.append(Skipped(legible(name), Fault("stray", told)))
            level[parts[-1]] = ZipPlace(archive, name, member.CRC, member.file_size)
    levels = {path: Level(files[path], sorted(folders[path])) for path in files}
    levels[""] = Level(files[""], sorted(folders[""]), lost)
    return levels


def _open(files: dict[str, dict[str, Place]], folders: dict[str, set[str]], parts: list[str], depth: int) -> None:
    """Make a member's folder at a depth known, and known to the folder that it is in."""
    below = "/".join(parts[: depth + 1])
    files.setdefault(below, {})
    folders.setdefault(below, set())
    folders["/".join(parts[:depth])].add(parts[depth])


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def _fault(member: zipfile.ZipInfo) -> Fault | None:
    """What keeps a member from being read, None for nothing."""
    name = member.filename
    if leads_out(name):
        return Fault("stray", f"{quoted(name)} would lie outside of the archive; it is left alone")
    if name.count("/") > 100:
        return Fault("stray", f"{quoted(name)} lies more than 100 folders deep; it is left alone")
    if member.flag_bits & _ENCRYPTED:
        return Fault("unreadable", f"{quoted(name)} needs a password; make the archive anew without one")
    if member.compress_type not in ZIP_METHODS:
        return Fault("unreadable", f"{quoted(name)} is neither stored nor deflated; make the archive anew with deflate")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return Fault("stray", f"{quoted(name)} is no file but a link or a device; it is left alone")
    most = BYTE_CAP if member.compress_type == zipfile.ZIP_STORED else min(SAMPLE_BYTES, BYTE_CAP)
    if member.file_size > most:
        return Fault("unreadable", f"{quoted(name)} unpacks to more than {most // 2**20} MiB; it is left alone")
    return None


plugin = Zip()
