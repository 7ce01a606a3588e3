"""A folder of photographs: what is in it, what is left out and why, and a hash of the whole."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limner.core.datasets import Rights
from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.data.entries.notes import text_of, words
from limner.data.entries.places import FilePlace
from limner.data.sets.prepared import NO_ROW, TABLE, VALIDATION, Row, rows_of, split_of
from limner.imaging.decode import decode
from limner.imaging.formats import BESIDE, MASKS, SUFFIXES
from limner.provenance.rights import Tally

FEW = 3
"""With fewer pictures than this a subject is hardly learnt."""


NAMED = 20
"""The most licences, authors and the like that an adapter names of its pictures; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A readable picture file; `sha256` is of its bytes, `size` is (width, height) in pixels, upright.

    caption: what a text file of the same name beside it says ("01.txt" beside "01.jpg"), or the folder's table. mask: a
    picture of the same name in the folder "masks" beside it, or the one that the table names, white where the subject
    is, and mask_sha256 the hash of that. weight, rights, override: as the table tells.
    """

    path: Path
    sha256: str
    size: tuple[int, int]
    caption: str | None = None
    mask: Path | None = None
    mask_sha256: str | None = None
    weight: float = 1.0
    rights: Rights = NO_ROW.rights
    override: str | None = None


@dataclass(frozen=True)
class Scan:
    """The photographs, sorted by name, and a one-line reason for everything that was left out.

    validation: those that a prepared dataset sets aside, not to be learnt from.
    """

    photographs: tuple[Photograph, ...]
    skipped: tuple[str, ...] = ()
    validation: tuple[Photograph, ...] = ()

    @cached_property
    def digest(self) -> str:
        """The dataset's hash: SHA-256 over the sorted hashes of the pictures, one to a line, each with its caption, the
        hash of its mask, and its weight where it is not 1.
        """
        lines = (
            " ".join(
                (
                    photo.sha256,
                    photo.caption or "",
                    photo.mask_sha256 or "",
                    "" if photo.weight == 1 else repr(photo.weight),
                )
            ).strip()
            for photo in self.photographs
        )
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    @property
    def smallest(self) -> int:
        """The shortest side among the pictures, in pixels."""
        return min(min(photo.size) for photo in self.photographs)

    @cached_property
    def rights(self) -> dict[str, Any]:
        """Counts of what is known of the pictures' rights: licences, authors and so on; empty for a plain folder."""
        tally = Tally()
        for photo in self.photographs:
            tally.add(photo.rights, photo.override)
        return {name: counts for name, counts in tally.told(NAMED).items() if name != "pictures"}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know before training on these pictures."""
        count = len(self.photographs)
        if count >= FEW:
            return ()
        pictures = "picture" if count == 1 else "pictures"
        return (f"only {count} {pictures}: a subject is learnt better from {FEW} to 10 in different views and light",)


def scan(path: str | Path) -> Scan:
    """Read a folder of pictures, a prepared dataset, or one picture file; raises LimnerError where not one picture is
    left. Of a dataset with parts the one for training is read.
    """
    path = Path(os.path.expanduser(path))
    if not os.path.lexists(path):
        raise _missing(path)
    if not path.is_dir():
        return Scan((_photograph(path),))
    place, beside = split_of(path), path / VALIDATION
    found = _scanned(place)
    if place == path or not (beside / TABLE).is_file():
        return found
    aside = _scanned(beside)
    return Scan(found.photographs, found.skipped + aside.skipped, aside.photographs)


def _scanned(folder: Path) -> Scan:
    rows = rows_of(folder)
    pictures, skipped = _entries(folder, rows)
    return _readable(folder, pictures, skipped, rows)


def _entries(folder: Path, rows: Mapping[Path, Row]) -> tuple[list[Path], list[str]]:
    """The files with a picture's suffix and those that the table names, sorted by name, and the reasons why others are
    left out.
    """
    pictures, skipped, named = set(rows), [], {path.relative_to(folder).parts[0] for path in rows}
    for entry in _listed(folder):
        suffix = entry.suffix.lower()
        if entry.is_dir():
            known = entry.name == MASKS or entry.name in named
            skipped += _folder_notice(entry) if not known else []
        elif suffix in SUFFIXES:
            pictures.add(entry)
        elif suffix not in BESIDE:
            skipped.append(f"{quoted(entry)} has no picture's suffix and is left out; save it as JPEG or PNG to use it")
    for path, row in rows.items():
        if row.refused is not None:
            pictures.discard(path)
            skipped.append(
                f"{quoted(path)} is not to be trained on ({row.refused}); prepare it with --despite to say why"
            )
    return sorted(pictures, key=lambda path: path.relative_to(folder).as_posix()), skipped


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name, without hidden files."""
    try:
        return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda at: at.name)
    except OSError as error:
        raise LimnerError(
            f"the folder {str(folder)!r} cannot be listed ({error.strerror})", f"allow it: chmod u+rx {str(folder)!r}"
        ) from error


def _folder_notice(folder: Path) -> list[str]:
    """A line about a nested folder that looks like a picture, holds pictures or cannot be listed; else none."""
    try:
        count = sum(entry.suffix.lower() in SUFFIXES for entry in _listed(folder))
    except LimnerError as error:
        return [str(error)]
    if count:
        pictures = "picture" if count == 1 else "pictures"
        return [f"the folder {quoted(folder)} with {count} {pictures} is left out; move them up to use them"]
    return [f"{quoted(folder)} is a folder, not a picture file; remove it"] if folder.suffix.lower() in SUFFIXES else []


def _readable(folder: Path, pictures: list[Path], skipped: list[str], rows: Mapping[Path, Row]) -> Scan:
    """The scan of a folder's picture files, without the unreadable ones and exact duplicates."""
    photographs: dict[str, Photograph] = {}
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(_attempt, pictures, (rows.get(path, NO_ROW) for path in pictures)):
            if isinstance(found, LimnerError):
                skipped.append(str(found))
            elif (first := photographs.setdefault(found.sha256, found)) is not found:
                skipped.append(f"{quoted(found.path)} is the same file as {quoted(first.path)} and is left out")
    if not photographs:
        raise _nothing(folder, skipped)
    return Scan(tuple(photographs.values()), tuple(skipped))


def _attempt(path: Path, row: Row) -> Photograph | LimnerError:
    try:
        return _photograph(path, row)
    except LimnerError as error:
        return error


def _photograph(path: Path, row: Row = NO_ROW) -> Photograph:
    """Read and decode one picture file, of which a table tells more; raises LimnerError."""
    data = read_file(path)
    mask = next(
        (mask for suffix in sorted(SUFFIXES) if (mask := path.parent / MASKS / (path.stem + suffix)).exists()), row.mask
    )
    return Photograph(
        path,
        hashlib.sha256(data).hexdigest(),
        decode(data, path).size,
        _caption(path, row.text),
        mask,
        hashlib.sha256(read_file(mask)).hexdigest() if mask else None,
        row.weight,
        row.rights,
        row.override,
    )


def _caption(picture: Path, told: str | None) -> str | None:
    """The text beside a picture, or else what the table tells, as one line; raises LimnerError where it is none."""
    path = picture.with_suffix(".txt")
    try:
        beside = words(text_of(FilePlace(path)), f"the caption in {quoted(path)}") if path.is_file() else None
        return beside or words(told, f"the caption in {quoted(TABLE)}")
    except LimnerError as error:
        raise LimnerError(f"{quoted(picture)} is left out: {error.problem}", error.remedy) from error


def _missing(path: Path) -> LimnerError:
    """The line for a path that is not there, with the nearest name beside it."""
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        beside = []
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.5)
    remedy = f"did you mean {str(path.parent / near[0])!r}?" if near else "give a folder of pictures or a picture file"
    return LimnerError(f"{str(path)!r} does not exist", remedy)


def _nothing(folder: Path, reasons: list[str]) -> LimnerError:
    """The line for a folder without one readable picture: empty, or with the first three reasons."""
    remedy = f"put {FEW} to 10 pictures of the subject into it"
    if not reasons:
        what = "holds no picture" if _listed(folder) else "is empty"
        return LimnerError(f"the folder {str(folder)!r} {what}", remedy)
    more = f" | and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return LimnerError(f"no readable picture in {str(folder)!r}: {' | '.join(reasons[:3])}{more}", remedy)
