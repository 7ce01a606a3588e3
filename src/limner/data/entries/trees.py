"""A tree of folders with pictures, wherever it lies: its entries, with what the files beside them tell."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from limner.core.datasets import Entry, Fault, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.data.entries.notes import Note, caption_note, json_note, note
from limner.data.entries.places import legible
from limner.data.entries.tables import Row, rows
from limner.imaging.formats import BESIDE, MASKS, SUFFIXES

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
CAPTIONS = (".txt", ".caption")
METADATA = ("metadata.jsonl", "metadata.csv")
"""Tables of the pictures of a folder and of those below it, as Hugging Face's imagefolder has them."""

NAMES = ("file_name", "image_file_name")
REPEATS = re.compile(r"([1-9]\d{0,2})_(\S.*)")
"""The name of a kohya folder: how often its pictures are to be shown, and what they show."""

_MISSING = Note()


@dataclass(frozen=True, slots=True)
class Level:
    """What lies in one folder. files: by name. folders: names. lost: what is neither."""

    files: Mapping[str, Place]
    folders: Sequence[str] = ()
    lost: Sequence[Skipped] = ()


@dataclass(slots=True)
class _Told:
    """What the tables of one folder tell, by the pictures' names from that folder on; what is used is taken out."""

    folder: str
    notes: dict[str, Note] = field(default_factory=dict[str, Note])


def entries(level_of: Callable[[str], Level], root: str = "") -> Iterator[Entry | Skipped]:
    """The pictures of a tree, each folder's before those of the folders in it, by name.

    level_of: what lies in a folder, by its path from the root on, "" for the root. root: the name of the root. Beside a
    picture may lie its caption (.txt, .caption) and a .json of caption and rights; a folder may have METADATA, and a
    folder `masks` of masks beside pictures; a folder `10_sks dog` gives repeats, and a caption where none is.
    """
    told: list[_Told] = []
    ahead: list[tuple[str, tuple[_Told, ...]]] = [("", ())]
    while ahead:
        folder, above = ahead.pop()
        level = level_of(folder)
        yield from level.lost
        here = _Told(folder)
        yield from _tables(level, here)
        if here.notes:
            told.append(here)
            above = (here, *above)
        masks, folders = yield from _masks(level, level_of, folder)
        yield from _pictures(level, folder, masks, above, posixpath.basename(folder) or root)
        ahead += [(_joined(folder, name), above) for name in sorted(folders, reverse=True)]
    for table in told:
        for name in table.notes:
            yield _lost(_joined(table.folder, name), "unreadable", f"{quoted(name)} is told of in metadata and missing")


def _tables(level: Level, here: _Told) -> Iterator[Skipped]:
    """Read the tables of a folder; what is in none of their rows is told."""
    for name in METADATA:
        if name not in level.files:
            continue
        at = _joined(here.folder, name)
        try:
            found = rows(BytesIO(level.files[name].read()), name)
        except LimnerError as error:
            yield _lost(at, "caption", str(error))
            continue
        for row in found:
            picture = _named(row) if isinstance(row, Row) else None
            if isinstance(row, Row) and picture:
                here.notes.setdefault(picture, note(row.values, NAMES))
            else:
                said = row if isinstance(row, LimnerError) else f"line {row.line} of {quoted(name)} names no file_name"
                yield _lost(at, "caption", str(said))


def _named(row: Row) -> str | None:
    """The picture's path that a row names, in its plainest form."""
    name = next((row.values[name] for name in NAMES if row.values.get(name)), None)
    return posixpath.normpath(name.replace("\\", "/")) if isinstance(name, str) else None


def _masks(
    level: Level, level_of: Callable[[str], Level], folder: str
) -> Generator[Skipped, None, tuple[dict[str, Place], Sequence[str]]]:
    """Returns the masks by the names of their pictures without suffix, and the folders that hold no masks."""
    stems = {_stem(name) for name in level.files if _is_picture(name)}
    if not stems or MASKS not in level.folders:
        return {}, level.folders
    beside = level_of(_joined(folder, MASKS))
    masks: dict[str, Place] = {}
    yield from beside.lost
    for name, place in sorted(beside.files.items()):
        if not _is_picture(name):
            continue
        if _stem(name) in stems:
            masks.setdefault(_stem(name), place)
        else:
            yield _lost(_joined(folder, f"{MASKS}/{name}"), "mask", f"the mask {quoted(name)} is of no picture here")
    return masks, [name for name in level.folders if name != MASKS]


def _pictures(
    level: Level, folder: str, masks: Mapping[str, Place], above: tuple[_Told, ...], called: str
) -> Iterator[Entry | Skipped]:
    """The pictures of one folder, with all that is told of them."""
    kohya = REPEATS.fullmatch(called)
    repeats, shows = (int(kohya[1]), kohya[2]) if kohya else (1, None)
    keys: set[str] = set()
    stems = {_stem(name) for name in level.files if _is_picture(name)}
    for name, place in sorted(level.files.items()):
        path = _joined(folder, name)
        if not _is_picture(name):
            yield from _stray(name, path, stems)
            continue
        found = _note(level, name, path, above)
        key = legible(path)
        while key in keys:
            key += "~"
        keys.add(key)
        caption = found.caption or (legible(shows) if shows else None)
        mask = masks.get(_stem(name))
        repeated = found.weight or repeats
        yield Entry(key, place, legible(folder), caption, found.fields, found.rights, mask, repeated, found.faults)


def _note(level: Level, name: str, path: str, above: tuple[_Told, ...]) -> Note:
    """What is told of a picture: by files of its own name, then by the tables of the nearest folder."""
    found = Note()
    for suffix, read in (*((suffix, caption_note) for suffix in CAPTIONS), (".json", json_note)):
        if beside := level.files.get(_stem(name) + suffix):
            found = found.over(read(beside))
    for table in above:
        inside = path[len(table.folder) :].lstrip("/") if table.folder else path
        found = found.over(table.notes.pop(inside, _MISSING))
    return found


def _stray(name: str, path: str, stems: Collection[str]) -> Iterator[Skipped]:
    """What is told of a file that is no picture. stems: the names of the pictures beside it, without suffix."""
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in ARCHIVES:
        yield _lost(path, "stray", f"{quoted(name)} is an archive; name it as a source of its own")
    elif suffix in CAPTIONS and stems and _stem(name) not in stems:
        yield _lost(path, "stray", f"the text {quoted(name)} is of no picture here; a caption has its picture's name")
    elif suffix not in BESIDE:
        yield _lost(path, "stray", f"{quoted(name)} has no picture's suffix; save it as JPEG or PNG to use it")


def _is_picture(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _lost(path: str, kind: str, told: str) -> Skipped:
    return Skipped(legible(path), Fault(kind, told))
