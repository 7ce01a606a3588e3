"""Facts of prompts and their images as columns, which are filtered by numpy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.core.discover import Filters, Shape
from limner.core.errors import LimnerError

ROW = np.dtype([("library", "u2"), ("owner", "u2"), ("prompt", "u8"), ("text", "u8"), ("mark", "u8"), ("unsafe", "?")])
"""A prompt. library: 0 once it was erased. text: the first bytes of the SHA-256 of its text, equal in all libraries."""
PICTURE = np.dtype(
    [
        ("row", "u4"),
        ("model", "u2"),
        ("adapter", "u2"),
        ("sampler", "u2"),
        ("width", "u2"),
        ("height", "u2"),
        ("steps", "u2"),
        ("guidance", "f4"),
        ("day", "i4"),
        ("stars", "u1"),
    ]
)
"""Settings of an image of a prompt; 0 where they are unknown. day: days since 1970."""
NAMES = ("library", "owner", "model", "adapter", "sampler")
"""Columns that hold the number of a name."""
MOST_NAMES = 65_535
"""Names of a column; their numbers have 16 bits."""
SQUARE = 1.05
"""Up to this ratio of its sides an image counts as square."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Settings of one image; empty or 0 where they are unknown."""

    model: str = ""
    adapter: str = ""
    sampler: str = ""
    width: int = 0
    height: int = 0
    steps: int = 0
    guidance: float = 0.0
    day: date | None = None
    stars: int = 0


@dataclass(frozen=True, slots=True)
class IndexedPrompt:
    """A prompt to be indexed. prompt: its number in its library. text: see ROW. owner: "" where everybody sees it.

    mark: a number that differs where the prompt is another one with the same number.
    """

    library: str
    prompt: int
    text: str
    owner: str = ""
    unsafe: bool = False
    images: Sequence[ImageSettings] = ()
    mark: int = 0


@dataclass(frozen=True, slots=True)
class Current:
    """What is known now of the only image of each prompt of a library, by the numbers of the prompts.

    stars: of the rated ones. adapted: those that were made with the adapter that is looked for; None where none is.
    """

    library: str
    stars: Mapping[int, int]
    adapted: Collection[int] | None = None


@dataclass
class Numbers:
    """Numbers of names by column; 0 is the empty name."""

    names: dict[str, list[str]] = field(default_factory=lambda: {column: [""] for column in NAMES})

    def of(self, column: str, name: str) -> int:
        """The number of a name, which is added if it is new; 0 once there are too many names of settings.

        Raises LimnerError for too many libraries or owners: a prompt with number 0 would be everybody's.
        """
        known = self._known.setdefault(column, {each: number for number, each in enumerate(self.names[column])})
        if name not in known:
            if len(self.names[column]) > MOST_NAMES:
                if column in ("library", "owner"):
                    what = f"the search index has {MOST_NAMES:,} names of column {column!r}"
                    raise LimnerError(what, "remove libraries, then run `limner discover rebuild`")
                return 0
            known[name] = len(self.names[column])  # not of `known`: removed libraries may have one name
            self.names[column].append(name)
        return known[name]

    def matching(self, column: str, part: str) -> list[int]:
        """Numbers of the names that contain a text, in any case."""
        wanted = part.casefold()
        return [number for number, name in enumerate(self.names[column]) if number and wanted in name.casefold()]

    def __post_init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {}


class Columns:
    """Records of one type in a file, in the order of their addition."""

    def __init__(self, path: Path, kind: np.dtype[np.void], count: int) -> None:
        self.path, self.kind = path, kind
        self.records = np.fromfile(path, kind, count) if count else np.empty(0, kind)
        if len(self.records) != count:
            raise ValueError(f"{path} is shorter than {count} records")

    def add(self, records: NDArray[np.void]) -> None:
        """Add records to the file. Nobody else adds to it meanwhile."""
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(len(self.records) * self.kind.itemsize)
            file.seek(0, 2)
            file.write(records.tobytes())
        self.records = np.concatenate([self.records, records])

    def clear(self, places: NDArray[np.intp]) -> None:
        """Write zeros over some records, in the file too."""
        self.records[places] = np.zeros((), self.kind)
        clear(self.path, places, self.kind.itemsize)


def clear(path: Path, places: NDArray[np.intp], width: int) -> None:
    """Write zeros over some records of a file. width: bytes of a record."""
    if len(places):
        with path.open("r+b") as file:
            for place in places.tolist():
                file.seek(place * width)
                file.write(bytes(width))


def rows_of(prompts: Sequence[IndexedPrompt], hashes: Sequence[int], numbers: Numbers) -> NDArray[np.void]:
    """Records of prompts. hashes: of their texts."""
    places = [(numbers.of("library", each.library), numbers.of("owner", each.owner)) for each in prompts]
    found = [
        (*place, prompt.prompt, text, prompt.mark, prompt.unsafe)
        for place, prompt, text in zip(places, prompts, hashes, strict=True)
    ]
    return np.array(found, ROW)


def pictures_of(prompts: Sequence[IndexedPrompt], first: int, numbers: Numbers) -> NDArray[np.void]:
    """Records of the images of prompts. first: the row of the first prompt."""
    found = [
        (
            row,
            *(numbers.of(column, getattr(image, column)) for column in ("model", "adapter", "sampler")),
            *(min(max(0, value), 65535) for value in (image.width, image.height, image.steps)),
            image.guidance,
            0 if image.day is None else (image.day - date(1970, 1, 1)).days,
            image.stars,
        )
        for row, prompt in enumerate(prompts, first)
        for image in prompt.images
    ]
    return np.array(found, PICTURE)


def matching(
    filters: Filters,
    owner: str | None,
    rows: NDArray[np.void],
    pictures: NDArray[np.void],
    numbers: Numbers,
    current: Current | None = None,
) -> NDArray[np.bool_]:
    """Which prompts (n,) match: visible to the owner, and with an image that matches all settings of the filters."""
    mask = rows["library"] != 0
    if owner is not None:
        owners = rows["owner"]
        mask &= (owners == 0) | np.isin(owners, _named(numbers, "owner", owner)) if owner else owners == 0
    if filters.libraries:
        chosen = [number for name in filters.libraries for number in _named(numbers, "library", name)]
        mask &= np.isin(rows["library"], chosen)
    if not filters.unsafe:
        mask &= ~rows["unsafe"]
    if filters.of_images:
        fits = _fitting(filters, rows, pictures, numbers, current)
        with_image = np.zeros(len(rows), np.bool_)
        with_image[pictures["row"][fits]] = True
        mask &= with_image
    return mask


def _fitting(
    filters: Filters,
    rows: NDArray[np.void],
    pictures: NDArray[np.void],
    numbers: Numbers,
    current: Current | None,
) -> NDArray[np.bool_]:
    fits = np.ones(len(pictures), np.bool_)
    for column in ("model", "sampler"):
        if wanted := getattr(filters, column):
            fits &= np.isin(pictures[column], numbers.matching(column, wanted))
    adapted = np.isin(pictures["adapter"], numbers.matching("adapter", filters.adapter)) if filters.adapter else fits
    starred = pictures["stars"] >= filters.stars
    if current is not None:
        own, prompts = _of_library(current.library, rows, pictures, numbers)
        starred[own] = np.isin(prompts, [each for each, stars in current.stars.items() if stars >= filters.stars])
        if current.adapted is not None:
            adapted[own] = np.isin(prompts, [*current.adapted])
    if filters.adapter:
        fits &= adapted
    if filters.stars:
        fits &= starred
    for column, limits in (("steps", filters.steps), ("guidance", filters.guidance)):
        if limits is not None:
            fits &= (pictures[column] >= limits[0]) & (pictures[column] <= limits[1])
    for day, compare in ((filters.since, np.greater_equal), (filters.until, np.less_equal)):
        if day is not None:
            fits &= (pictures["day"] > 0) & compare(pictures["day"], (day - date(1970, 1, 1)).days)
    if filters.size is not None:
        fits &= _shaped(filters.size, pictures["width"].astype(np.int32), pictures["height"].astype(np.int32))
    return fits


def _of_library(
    library: str, rows: NDArray[np.void], pictures: NDArray[np.void], numbers: Numbers
) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """The pictures of a library, and the numbers of their prompts."""
    of = rows[pictures["row"]]
    own = np.flatnonzero(np.isin(of["library"], _named(numbers, "library", library)))
    return own, of["prompt"][own]


def _shaped(size: Shape | tuple[int, int], width: NDArray[np.int32], height: NDArray[np.int32]) -> NDArray[np.bool_]:
    if isinstance(size, tuple):
        return (width == size[0]) & (height == size[1])
    square = (width <= SQUARE * height) & (height <= SQUARE * width)
    known = (width > 0) & (height > 0)
    by_shape = {Shape.SQUARE: square, Shape.PORTRAIT: ~square & (height > width)}
    return known & by_shape.get(size, ~square & (width > height))


def _named(numbers: Numbers, column: str, name: str) -> list[int]:
    return [numbers.names[column].index(name)] if name in numbers.names[column] else []
