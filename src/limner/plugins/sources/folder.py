"""A folder of pictures, with the folders in it, or one picture file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import Entry, Fault, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.files import check_file, quoted
from limner.data.entries.kinds import kind_of, local
from limner.data.entries.places import FilePlace, legible
from limner.data.entries.trees import Level, entries
from limner.imaging.decode import SUFFIXES
from limner.store.files import MARKER

SHEET = re.compile(r"contact-\d+\.jpg")
"""Sheets of a prepared dataset, beside its folders of pictures."""


class Folder:
    title = "folder of pictures"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) == "tree"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        path = local(reference)
        if path.is_dir():
            yield from entries(Walk(path).level, path.resolve().name)
        else:
            yield from _alone(path)


class Walk:
    """Lists the folders of a tree. A link to a folder is followed once, and never to where the tree itself is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trodden = [root.resolve()]

    def level(self, folder: str) -> Level:
        """What lies in a folder, by its path from the root on."""
        at = self.root / folder
        files: dict[str, Place] = {}
        folders: list[str] = []
        lost: list[Skipped] = []
        for name in _names(at, folder, lost):
            key = legible(f"{folder}/{name}" if folder else name)
            if not (at / name).is_dir():
                try:
                    _check(at / name)
                    files[name] = FilePlace(at / name)
                except LimnerError as error:
                    lost.append(Skipped(key, Fault("unreadable", str(error))))
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                lost.append(Skipped(key, Fault("stray", f"{quoted(name)} is a folder, not a picture file; rename it")))
            if self._leads_on(at / name):
                folders.append(name)
            else:
                told = f"{quoted(name)} is a link to a folder that is read already; remove it"
                lost.append(Skipped(key, Fault("stray", told)))
        return Level(files, folders, lost)

    def _leads_on(self, folder: Path) -> bool:
        """Whether a folder is to be gone into: it is no link, or one to where nothing was read or will be."""
        if not folder.is_symlink():
            return True
        target = folder.resolve()
        if any(target.is_relative_to(known) or known.is_relative_to(target) for known in self.trodden):
            return False
        self.trodden.append(target)
        return True


def _names(at: Path, folder: str, lost: list[Skipped]) -> list[str]:
    """The names in a folder that are not hidden, sorted; a folder below the root that cannot be listed is told."""
    try:
        names = os.listdir(at)
        own = MARKER in names  # a dataset of ours, with sheets that show its pictures
        return sorted(name for name in names if not name.startswith(".") and not (own and SHEET.fullmatch(name)))
    except OSError as error:
        told = f"the folder {quoted(at)} cannot be listed ({error.strerror}); allow it: chmod u+rx {quoted(at)}"
        if not folder:
            raise LimnerError(*told.split("; ", 1)) from error
        lost.append(Skipped(legible(folder), Fault("unreadable", told)))
        return []


def _check(path: Path) -> None:
    """Raise LimnerError for what is no regular file, leads nowhere, or may not be read."""
    check_file(path)
    if not os.access(path, os.R_OK):
        raise LimnerError(f"{quoted(path)} may not be read by you", f"allow it: chmod u+r {quoted(path)}")


def _alone(path: Path) -> Iterator[Entry | Skipped]:
    """One picture file, with what lies beside it."""
    _check(path)
    stem, masks = path.stem, ("masks",) if (path.parent / "masks").is_dir() else ()

    def level(folder: str) -> Level:
        at = path.parent / folder
        names = [name for name in os.listdir(at) if Path(name).stem == stem and not (at / name).is_dir()]
        beside = [name for name in names if Path(name).suffix.lower() not in SUFFIXES]
        kept = names if folder else [path.name, *beside]
        return Level({name: FilePlace(at / name) for name in kept}, () if folder else masks)

    yield from (found for found in entries(level) if isinstance(found, Entry) or found.fault.kind != "stray")


plugin = Folder()
