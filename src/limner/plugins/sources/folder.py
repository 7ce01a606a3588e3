"""A folder of images with its subfolders, or one image file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import ByteSource, Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import check_file, quoted
from limner.data.entries.byte_sources import FileBytes, escaped_name
from limner.data.entries.folders import FolderListing, folder_entries
from limner.data.entries.links import LinkPolicy
from limner.data.entries.references import local_path, reference_kind
from limner.imaging.formats import MASKS, SUFFIXES
from limner.store.files import MARKER

SHEET = re.compile(r"contact-\d+\.jpg")
"""Contact sheets of a prepared dataset."""


class FolderSource:
    """Images in a tree of folders."""

    title = "folder of images"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "tree"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=False)

    def linked_entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=True)

    def _entries(self, reference: str, follow: bool) -> Iterator[Entry | Skipped]:
        path = local_path(reference)
        if path.is_dir():
            yield from folder_entries(FolderWalk(path, follow).listing, path.resolve().name)
        else:
            yield from _single_file(path, LinkPolicy(path.parent, follow))


class FolderWalk:
    """Lists the folders of a tree. A link to a folder is followed once, and never into the tree itself.

    follow: whether links that lead out of the tree are followed.
    """

    def __init__(self, root: Path, follow: bool = False) -> None:
        self.root, self.links = root, LinkPolicy(root, follow)
        self.visited = [root.resolve()]

    def listing(self, folder: str) -> FolderListing:
        """The contents of a folder by its path in the tree."""
        at = self.root / folder
        files: dict[str, ByteSource] = {}
        folders: list[str] = []
        lost: list[Skipped] = []
        for name in _names(at, folder, lost):
            key = escaped_name(f"{folder}/{name}" if folder else name)
            if fault := self.links.fault(at / name):
                lost.append(Skipped(key, fault))
                continue
            if not (at / name).is_dir():
                try:
                    _check(at / name)
                    files[name] = FileBytes(at / name)
                except LimnerError as error:
                    lost.append(Skipped(key, Fault("unreadable", str(error))))
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                lost.append(Skipped(key, Fault("stray", f"{quoted(name)} is a folder, not an image file; rename it")))
            if self._is_new(at / name):
                folders.append(name)
            else:
                problem = f"{quoted(name)} is a link to a folder that is read already; remove it"
                lost.append(Skipped(key, Fault("stray", problem)))
        return FolderListing(files, folders, lost, os.path.lexists(at / MARKER))

    def _is_new(self, folder: Path) -> bool:
        """Whether to list a folder: it is not a link, or a link to a folder that is not read otherwise."""
        if not folder.is_symlink():
            return True
        target = folder.resolve()
        if any(target.is_relative_to(known) or known.is_relative_to(target) for known in self.visited):
            return False
        self.visited.append(target)
        return True


def _names(at: Path, folder: str, lost: list[Skipped]) -> list[str]:
    """The names in a folder, sorted, without hidden files. A subfolder that cannot be listed is added to `lost`."""
    try:
        names = os.listdir(at)
        own = MARKER in names  # a prepared dataset with contact sheets
        return sorted(name for name in names if not name.startswith(".") and not (own and SHEET.fullmatch(name)))
    except OSError as error:
        problem = f"the folder {quoted(at)} cannot be listed ({error.strerror}); allow it: chmod u+rx {quoted(at)}"
        if not folder:
            raise LimnerError(*problem.split("; ", 1)) from error
        lost.append(Skipped(escaped_name(folder), Fault("unreadable", problem)))
        return []


def _check(path: Path) -> None:
    """Raise LimnerError for anything but a regular file that may be read."""
    check_file(path)
    if not os.access(path, os.R_OK):
        raise LimnerError(f"{quoted(path)} may not be read by you", f"allow it: chmod u+r {quoted(path)}")


def _single_file(path: Path, links: LinkPolicy) -> Iterator[Entry | Skipped]:
    """One image file, which may be a link, with its sidecar files."""
    _check(path)
    beside_it = path.parent / MASKS
    stem, masks = path.stem, (MASKS,) if beside_it.is_dir() and links.fault(beside_it) is None else ()

    def listing(folder: str) -> FolderListing:
        at = path.parent / folder
        names = [name for name in os.listdir(at) if Path(name).stem == stem and not (at / name).is_dir()]
        faults = {name: fault for name in names if at / name != path and (fault := links.fault(at / name))}
        names = [name for name in names if name not in faults]
        beside = [name for name in names if Path(name).suffix.lower() not in SUFFIXES]
        kept = names if folder else [path.name, *beside]
        lost = [Skipped(escaped_name(name), fault) for name, fault in faults.items()]
        return FolderListing({name: FileBytes(at / name) for name in kept}, () if folder else masks, lost)

    yield from (found for found in folder_entries(listing) if isinstance(found, Entry) or found.fault.kind != "stray")


plugin = FolderSource()
