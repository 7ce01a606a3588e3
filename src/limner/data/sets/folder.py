"""A folder of images for training: the images, why files are left out, and a hash of the whole."""

from __future__ import annotations

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
from limner.core.nearest_name import nearest_name
from limner.data.entries.annotations import read_text, text_value
from limner.data.entries.byte_sources import FileBytes
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

    caption: from a text file of the same name beside it ("01.txt" beside "01.jpg"), or from the folder's table. mask:
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

    validation: images that a prepared dataset sets aside, not to be trained on.
    """

    images: tuple[ImageFile, ...]
    skipped: tuple[str, ...] = ()
    validation: tuple[ImageFile, ...] = ()

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
        return (f"only {count} {images}: use 5 to 20, with different views and light",)


def scan(path: str | Path) -> Scan:
    """Read a folder of images, a prepared dataset, or one image file. Of a dataset with parts, the training part.

    Raises LimnerError where no image is left.
    """
    path = Path(os.path.expanduser(path))
    if not os.path.lexists(path):
        raise _missing(path)
    if not path.is_dir():
        return Scan((_image(path),))
    place, beside = split_of(path), path / VALIDATION
    found = _scan_folder(place)
    if place == path or not (beside / TABLE).is_file():
        return found
    validation = _scan_folder(beside)
    return Scan(found.images, found.skipped + validation.skipped, validation.images)


def check_images(path: str | Path) -> None:
    """Raise LimnerError, as `scan` does, where no image is left. Images after the first readable one are not read."""
    path = Path(os.path.expanduser(path))
    if not path.is_dir():
        scan(path)
        return
    folder = split_of(path)
    rows = rows_of(folder)
    paths, skipped = _entries(folder, rows)
    if not any(isinstance(_attempt(path, rows.get(path, NO_ROW)), ImageFile) for path in paths):
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
    for path, row in rows.items():
        if row.refused is not None:
            paths.discard(path)
            skipped.append(
                f"{quoted(path)} is not to be trained on ({row.refused}); prepare it with --despite to say why"
            )
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
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(_attempt, paths, (rows.get(path, NO_ROW) for path in paths)):
            if isinstance(found, LimnerError):
                skipped.append(str(found))
            elif (first := images.setdefault(found.sha256, found)) is not found:
                skipped.append(f"{quoted(found.path)} is the same file as {quoted(first.path)} and is left out")
    if not images:
        raise _nothing(folder, skipped)
    return Scan(tuple(images.values()), tuple(skipped))


def _attempt(path: Path, row: MetadataRow) -> ImageFile | LimnerError:
    try:
        return _image(path, row)
    except LimnerError as error:
        return error


def _image(path: Path, row: MetadataRow = NO_ROW) -> ImageFile:
    """Read and decode one image file with its row of the table; raises LimnerError."""
    data = read_file(path)
    size = decode(data, path).size
    mask = next(
        (mask for suffix in sorted(SUFFIXES) if (mask := path.parent / MASKS / (path.stem + suffix)).exists()), row.mask
    )
    return ImageFile(
        path,
        hashlib.sha256(data).hexdigest(),
        size,
        _caption(path, row.text),
        mask,
        hashlib.sha256(read_file(mask)).hexdigest() if mask else None,
        row.weight,
        row.rights,
        row.override,
        row.size == size,
    )


def _caption(image: Path, text: str | None) -> str | None:
    """The text file beside an image, or else the table's text, as one line; LimnerError where it is not a caption."""
    path = image.with_suffix(".txt")
    try:
        beside = text_value(read_text(FileBytes(path)), f"the caption in {quoted(path)}") if path.is_file() else None
        return beside or text_value(text, f"the caption in {quoted(TABLE)}")
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
    remedy = "put 5 to 20 images of the subject into it"
    if not reasons:
        what = "holds no image" if _listed(folder) else "is empty"
        return LimnerError(f"the folder {str(folder)!r} {what}", remedy)
    more = f" | and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return LimnerError(f"no readable image in {str(folder)!r}: {' | '.join(reasons[:3])}{more}", remedy)
