"""Entries of a tree of folders, on disk or in an archive, with the annotations in the files next to the images."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from limner.core.datasets import ByteSource, Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.data.entries.annotations import Annotation, parse_annotation
from limner.data.entries.byte_sources import escaped_name
from limner.data.entries.sidecars import METADATA, NAMES, Sidecars, stem_of, suffix_of
from limner.data.entries.text_tables import TableRow, read_rows
from limner.imaging.formats import MASKS, SIDECAR_SUFFIXES, SUFFIXES

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
REPEATS = re.compile(r"([1-9]\d{0,2})_(\S.*)")
"""The name of a kohya folder: repeats of its images, and what they show."""

_MISSING = Annotation()


@dataclass(frozen=True, slots=True)
class FolderListing:
    """The contents of one folder. files: by name. folders: names. lost: what cannot be read. prepared: by Limner."""

    files: Mapping[str, ByteSource]
    folders: Sequence[str] = ()
    lost: Sequence[Skipped] = ()
    prepared: bool = False


@dataclass(slots=True)
class _FolderTables:
    """Annotations in the tables of one folder, by the path of the image in it; used ones are removed."""

    folder: str
    annotations: dict[str, Annotation] = field(default_factory=dict[str, Annotation])


def folder_entries(list_folder: Callable[[str], FolderListing], root: str = "") -> Iterator[Entry | Skipped]:
    """The images of a tree, those of a folder before those of its subfolders, by name.

    list_folder: lists a folder by its path in the tree, "" for the root. root: the name of the root. Next to an image
    there may be `Sidecars`; a folder may have METADATA and a folder `masks`; a folder named `10_sks dog` sets the
    repeats, and the caption of images without one.
    """
    tables: list[_FolderTables] = []
    ahead: list[tuple[str, tuple[_FolderTables, ...]]] = [("", ())]
    while ahead:
        folder, above = ahead.pop()
        listing = list_folder(folder)
        yield from listing.lost
        here = _FolderTables(folder)
        yield from _read_tables(listing, here)
        if here.annotations:
            tables.append(here)
            above = (here, *above)
        masks, folders = yield from _masks(listing, list_folder, folder)
        yield from _images(listing, folder, masks, above, posixpath.basename(folder) or root)
        ahead += [(_joined(folder, name), above) for name in sorted(folders, reverse=True)]
    for table in tables:
        for name in table.annotations:
            yield _lost(
                _joined(table.folder, name), "unreadable", f"{quoted(name)} is named in the metadata but missing"
            )


def _read_tables(listing: FolderListing, here: _FolderTables) -> Iterator[Skipped]:
    """Read the tables of a folder into `here`; yields the rows that cannot be used."""
    for name in METADATA:
        if name not in listing.files:
            continue
        at = _joined(here.folder, name)
        try:
            found = read_rows(BytesIO(listing.files[name].read()), name)
        except LimnerError as error:
            yield _lost(at, "caption", str(error))
            continue
        for row in found:
            image = _image_path(row) if isinstance(row, TableRow) else None
            if isinstance(row, TableRow) and image:
                here.annotations.setdefault(image, parse_annotation(row.values, NAMES))
            else:
                problem = row if isinstance(row, LimnerError) else f"line {row.line} of {quoted(name)} has no file_name"
                yield _lost(at, "caption", str(problem))


def _image_path(row: TableRow) -> str | None:
    """The normalized path of the image that a row names."""
    name = next((row.values[name] for name in NAMES if row.values.get(name)), None)
    return posixpath.normpath(name.replace("\\", "/")) if isinstance(name, str) else None


def _masks(
    listing: FolderListing, list_folder: Callable[[str], FolderListing], folder: str
) -> Generator[Skipped, None, tuple[dict[str, ByteSource], Sequence[str]]]:
    """Returns the masks by the names of their images without suffix, and the other folders."""
    stems = {stem_of(name) for name in listing.files if _is_image(name)}
    if not stems or MASKS not in listing.folders:
        return {}, listing.folders
    beside = list_folder(_joined(folder, MASKS))
    masks: dict[str, ByteSource] = {}
    yield from beside.lost
    for name, place in sorted(beside.files.items()):
        if not _is_image(name):
            continue
        if stem_of(name) in stems:
            masks.setdefault(stem_of(name), place)
        else:
            yield _lost(_joined(folder, f"{MASKS}/{name}"), "mask", f"the mask {quoted(name)} belongs to no image here")
    return masks, [name for name in listing.folders if name != MASKS]


def _images(
    listing: FolderListing,
    folder: str,
    masks: Mapping[str, ByteSource],
    above: tuple[_FolderTables, ...],
    folder_name: str,
) -> Iterator[Entry | Skipped]:
    """The images of one folder with their annotations."""
    kohya = REPEATS.fullmatch(folder_name)
    repeats, shows = (int(kohya[1]), kohya[2]) if kohya else (1, None)
    keys: set[str] = set()
    sidecars = Sidecars(listing.files, [name for name in listing.files if _is_image(name)])
    unused = dict(sidecars.unused(not listing.prepared))
    for name, place in sorted(listing.files.items()):
        path = _joined(folder, name)
        if not _is_image(name):
            yield from _stray(name, path, unused.get(name))
            continue
        beside = sidecars.of(name)
        for other, reason in beside.unused.items():
            yield _lost(_joined(folder, other), "stray", f"{quoted(other)} {reason}")
        found = _from_tables(beside.annotation, path, above)
        key = escaped_name(path)
        while key in keys:
            key += "~"
        keys.add(key)
        caption = found.caption or (escaped_name(shows) if shows else None)
        mask = masks.get(stem_of(name))
        repeated = found.weight or repeats
        yield Entry(key, place, escaped_name(folder), caption, found.fields, found.rights, mask, repeated, found.faults)


def _from_tables(found: Annotation, path: str, above: tuple[_FolderTables, ...]) -> Annotation:
    """The annotation from the files next to an image, completed by the tables of the nearest folder, and so on."""
    for table in above:
        inside = path[len(table.folder) :].lstrip("/") if table.folder else path
        found = found.over(table.annotations.pop(inside, _MISSING))
    return found


def _stray(name: str, path: str, unused: str | None) -> Iterator[Skipped]:
    """The fault of a file that is not an image, if any. unused: why it is not used although it looks like a caption."""
    suffix = suffix_of(name)
    if suffix in ARCHIVES:
        yield _lost(path, "stray", f"{quoted(name)} is an archive; name it as a source of its own")
    elif unused is not None:
        yield _lost(path, "stray", f"{quoted(name)} {unused}")
    elif suffix not in SIDECAR_SUFFIXES:
        yield _lost(
            path, "stray", f"{quoted(name)} does not have the suffix of an image; save it as JPEG or PNG to use it"
        )


def _is_image(name: str) -> bool:
    return suffix_of(name) in SUFFIXES


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _lost(path: str, kind: str, problem: str) -> Skipped:
    return Skipped(escaped_name(path), Fault(kind, problem))
