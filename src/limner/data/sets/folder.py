"""A folder of images for training: the images, why files are left out, and a hash of the whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from limner.core.datasets import SUBJECT_IMAGES, ByteSource, Rights
from limner.core.errors import LimnerError
from limner.core.files import expand_home, quoted, read_file
from limner.core.nearest_name import nearest_name
from limner.data.entries.annotations import Annotation, caption_value
from limner.data.entries.byte_sources import FileBytes
from limner.data.entries.sidecars import NO_CAPTION, UNREADABLE, Sidecars, suffix_of
from limner.data.sets.prepared import NO_ROW, TABLE, VALIDATION, MetadataRow, rows_of, split_of
from limner.imaging.decode import decode
from limner.imaging.formats import MASKS, SIDECAR_SUFFIXES, SUFFIXES
from limner.provenance.rights import RightsCounts

FEW = 3
"""With fewer images than this a subject is hardly learned."""
NAMED = 20
"""The most licences, authors and so on that an adapter's header names; the rest are counted together."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A readable image file; `sha256` is of its bytes, `size` is (width, height) in pixels, upright.

    caption: from a file of the same name beside it (`Sidecars`), or from the folder's table. mask:
    an image of the same name in the folder "masks" beside it, or the one that the table names, white where the
    subject is, and mask_sha256 its hash. weight, rights, override: from the table. prepared: whether the table states
    the image's size, as `limner prepare` does.
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
    prepared: bool = False


@dataclass(frozen=True)
class Scan:
    """The images of a folder, sorted by name, and a one-line reason for every file that was left out.

    validation: images that a prepared dataset sets aside, not to be trained on. unused: lines about files that look
    like captions and are not used.
    """

    images: tuple[ImageFile, ...]
    skipped: tuple[str, ...] = ()
    validation: tuple[ImageFile, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def bucketed(self) -> bool:
        """Whether `limner prepare` made the images and not all are square, so that each is trained in its own shape."""
        images = (*self.images, *self.validation)
        return all(image.prepared for image in images) and any(image.size[0] != image.size[1] for image in images)

    @cached_property
    def digest(self) -> str:
        """The dataset's hash: SHA-256 over the sorted hashes of the images, one to a line, each with its caption, the
        hash of its mask, and its weight where it is not 1.
        """
        lines = (
            " ".join(
                (
                    image.sha256,
                    image.caption or "",
                    image.mask_sha256 or "",
                    "" if image.weight == 1 else repr(image.weight),
                )
            ).strip()
            for image in self.images
        )
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    @property
    def smallest(self) -> int:
        """The shortest side among the images, in pixels."""
        return min(min(image.size) for image in self.images)

    @cached_property
    def rights(self) -> dict[str, Any]:
        """Counts of the images' licences, authors and so on, as far as they are known; empty for a plain folder."""
        tally = RightsCounts()
        for image in self.images:
            tally.add(image.rights, image.override)
        return {name: counts for name, counts in tally.summary(NAMED).items() if name != "pictures"}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings to print before training on these images."""
        count = len(self.images)
        if count >= FEW:
            return ()
        images = "image" if count == 1 else "images"
        return (
            f"only {count} {images}: use {SUBJECT_IMAGES[0]} to {SUBJECT_IMAGES[1]}, with different views and light",
        )


def scan(path: str | Path) -> Scan:
    """Read a folder of images, a prepared dataset, or one image file. Of a dataset with parts, the training part.

    Raises LimnerError where no image is left.
    """
    path = expand_home(path)
    if not os.path.lexists(path):
        raise _missing(path)
    if not path.is_dir():
        sidecars = _FolderSidecars([path])
        return Scan((_image(path, NO_ROW, sidecars.of(path)),), unused=tuple(sidecars.unused()))
    place, beside = split_of(path), path / VALIDATION
    found = _scan_folder(place)
    if place == path or not (beside / TABLE).is_file():
        return found
    validation = _scan_folder(beside)
    unused = found.unused + validation.unused
    return Scan(found.images, found.skipped + validation.skipped, validation.images, unused)


def check_images(path: str | Path) -> None:
    """Raise LimnerError, as `scan` does, where no image is left. Images after the first readable one are not read."""
    path = expand_home(path)
    if not path.is_dir():
        scan(path)
        return
    folder = split_of(path)
    rows = rows_of(folder)
    paths, skipped = _entries(folder, rows)
    sidecars = _FolderSidecars(paths)
    described = ((path, rows.get(path, NO_ROW), sidecars.of(path)) for path in paths)
    if not any(isinstance(_attempt(each), ImageFile) for each in described):
        _readable(folder, paths, skipped, rows)


def _scan_folder(folder: Path) -> Scan:
    rows = rows_of(folder)
    paths, skipped = _entries(folder, rows)
    return _readable(folder, paths, skipped, rows)


def _entries(folder: Path, rows: Mapping[Path, MetadataRow]) -> tuple[list[Path], list[str]]:
    """Files with an image's suffix and files that the table names, sorted by name; and why others are left out."""
    paths, skipped, named = set(rows), [], {path.relative_to(folder).parts[0] for path in rows}
    for entry in _listed(folder):
        suffix = entry.suffix.lower()
        if entry.is_dir():
            known = entry.name == MASKS or entry.name in named
            skipped += _folder_notice(entry) if not known else []
        elif suffix in SUFFIXES:
            paths.add(entry)
        elif suffix not in SIDECAR_SUFFIXES:
            skipped.append(f"{quoted(entry)} has no image suffix; save it as JPEG or PNG to use it")
    return sorted(paths, key=lambda path: path.relative_to(folder).as_posix()), skipped


def _listed(folder: Path) -> list[Path]:
    """Entries of a folder, sorted by name, without hidden files."""
    try:
        return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda at: at.name)
    except OSError as error:
        raise LimnerError(
            f"the folder {str(folder)!r} cannot be listed ({error.strerror})", f"allow it: chmod u+rx {str(folder)!r}"
        ) from error


def _folder_notice(folder: Path) -> list[str]:
    """A line about a nested folder that is named as an image, holds images or cannot be listed; else none."""
    try:
        count = sum(entry.suffix.lower() in SUFFIXES for entry in _listed(folder))
    except LimnerError as error:
        return [str(error)]
    if count:
        images = "image" if count == 1 else "images"
        return [f"the folder {quoted(folder)} with {count} {images} is left out; move them up to use them"]
    return [f"{quoted(folder)} is a folder, not an image file; remove it"] if folder.suffix.lower() in SUFFIXES else []


def _readable(folder: Path, paths: list[Path], skipped: list[str], rows: Mapping[Path, MetadataRow]) -> Scan:
    """The scan of these files, without unreadable ones and exact duplicates."""
    images: dict[str, ImageFile] = {}
    sidecars = _FolderSidecars(paths)
    with ThreadPoolExecutor(2) as threads:
        described = ((path, rows.get(path, NO_ROW), sidecars.of(path)) for path in paths)
        for found in threads.map(_attempt, described):
            if isinstance(found, LimnerError):
                skipped.append(str(found))
            elif (first := images.setdefault(found.sha256, found)) is not found:
                skipped.append(f"{quoted(found.path)} is the same file as {quoted(first.path)} and is left out")
    if not images:
        raise _nothing(folder, skipped)
    return Scan(tuple(images.values()), tuple(skipped), unused=tuple(sidecars.unused()))


class _FolderSidecars:
    """The files that describe images, in the folders of these images, and which of them are not used."""

    def __init__(self, images: Collection[Path]) -> None:
        folders: dict[Path, list[str]] = {}
        for image in images:
            folders.setdefault(image.parent, []).append(image.name)
        self._sidecars = {folder: Sidecars(_other_files(folder), names) for folder, names in folders.items()}
        self._unused: dict[str, set[str]] = {}
        for sidecars in self._sidecars.values():
            self._add(sidecars.unused())

    def of(self, image: Path) -> Annotation:
        """What the files beside an image say, with the faults of text files only."""
        beside = self._sidecars[image.parent].of(image.name)
        found = beside.annotation
        self._add(beside.unused.items())
        objects = {name: part for name, part in beside.parts.items() if suffix_of(name) == ".json"}
        self._add((name, UNREADABLE) for name, part in objects.items() if part.faults)
        if not found.caption:
            self._add((name, NO_CAPTION) for name, part in objects.items() if not part.faults)
        texts = (part.faults for name, part in beside.parts.items() if name not in objects)
        return replace(found, faults=tuple(chain.from_iterable(texts)))

    def _add(self, unused: Iterable[tuple[str, str]]) -> None:
        for name, reason in unused:
            self._unused.setdefault(reason, set()).add(name)

    def unused(self) -> Iterator[str]:
        """A line for each reason why captions are not used, with the first three files."""
        for reason, names in sorted(self._unused.items()):
            shown, more = ", ".join(map(quoted, sorted(names)[:3])), len(names) - 3
            yield f"{'each of ' if len(names) > 1 else ''}{shown}{f' and {more} more' if more > 0 else ''} {reason}"


def _other_files(folder: Path) -> dict[str, ByteSource]:
    """The regular files of a folder by name, without images and hidden files; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name: FileBytes(folder / entry.name)
                for entry in entries
                if suffix_of(entry.name) not in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
            }
    except OSError:
        return {}


def _attempt(described: tuple[Path, MetadataRow, Annotation]) -> ImageFile | LimnerError:
    try:
        return _image(*described)
    except LimnerError as error:
        return error


def _image(path: Path, row: MetadataRow, beside: Annotation) -> ImageFile:
    """Read and decode one image file with its row of the table and the files beside it; raises LimnerError."""
    for fault in beside.faults:
        raise LimnerError(f"{quoted(path)} is left out: {fault.message}")
    row = replace(row, rights=beside.rights.over(row.rights))
    if row.refused is not None:
        raise _refused(path, row)
    data = read_file(path)
    size = decode(data, path).size
    mask = next(
        (mask for suffix in sorted(SUFFIXES) if (mask := path.parent / MASKS / (path.stem + suffix)).exists()), row.mask
    )
    return ImageFile(
        path,
        hashlib.sha256(data).hexdigest(),
        size,
        beside.caption or _table_caption(path, row.text),
        mask,
        hashlib.sha256(read_file(mask)).hexdigest() if mask else None,
        row.weight,
        row.rights,
        row.override,
        row.size == size,
    )


def _refused(path: Path, row: MetadataRow) -> LimnerError:
    problem = f"{quoted(path)} is not to be trained on ({row.refused})"
    return LimnerError(problem, "prepare it with --despite to say why")


def _table_caption(image: Path, text: str | None) -> str | None:
    """The caption in the folder's table, as one line; LimnerError if it is not a caption."""
    try:
        return caption_value(text, f"the caption in {quoted(TABLE)}")
    except LimnerError as error:
        raise LimnerError(f"{quoted(image)} is left out: {error.problem}", error.remedy) from error


def _missing(path: Path) -> LimnerError:
    """The error for a path that does not exist, with the nearest name beside it."""
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        beside = []
    near = nearest_name(path.name, beside)
    remedy = f"did you mean {str(path.parent / near)!r}?" if near else "give a folder of images or an image file"
    return LimnerError(f"{str(path)!r} does not exist", remedy)


def _nothing(folder: Path, reasons: list[str]) -> LimnerError:
    """The error for a folder without one readable image: it is empty, or the first three reasons."""
    remedy = f"put {SUBJECT_IMAGES[0]} to {SUBJECT_IMAGES[1]} images of the subject into it"
    if not reasons:
        what = "holds no image" if _listed(folder) else "is empty"
        return LimnerError(f"the folder {str(folder)!r} {what}", remedy)
    more = f" | and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return LimnerError(f"no readable image in {str(folder)!r}: {' | '.join(reasons[:3])}{more}", remedy)
