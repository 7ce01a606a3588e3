"""The files next to images that describe them: captions and JSON of the same name, and what only looks like them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from limner.core.datasets import ByteSource
from limner.data.entries.annotations import CAPTIONS, Annotation, read_caption_file, read_json_file
from limner.imaging.formats import SUFFIXES

METADATA = ("metadata.jsonl", "metadata.csv")
"""Tables of the images in a folder and below it, as in Hugging Face's imagefolder."""

NAMES = ("file_name", "image_file_name")
"""Columns of these tables that name an image."""

TEXTS = (".txt", ".caption")
_READERS = {**dict.fromkeys(TEXTS, read_caption_file), ".json": read_json_file}
"""By suffix in any case, in order of preference."""
_UNREAD_TEXTS = (".text", ".captions", ".cap", ".tags", ".prompt")
_UNREAD = frozenset((*_UNREAD_TEXTS, ".md", ".rst", ".csv", ".tsv", ".jsonl", ".yaml", ".yml", ".toml", ".xml"))
_TABLES = frozenset((".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".xml", ".parquet"))
_CAPTION_TABLE = re.compile(r"caption|metadata|meta_|prompt|tags|labels", re.I)

ORPHAN = "belongs to no image here; give it the name of its image"
SECOND = f"has another caption, which is not used: {', '.join(_READERS)} are read in this order"
UNREAD = "is not read; save the caption as .txt"
UNREAD_TABLE = f"is not read as captions; name it {METADATA[1]}, with the columns file_name and text"
UNREADABLE = "is not used; it is not a JSON object, or a value in it is too long"
NO_CAPTION = f"has no caption under {', '.join(CAPTIONS[:-1])} or {CAPTIONS[-1]}"
"""Why a file that looks like a caption is not used."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the files next to one image say. parts: of each file by name, in order of preference."""

    parts: Mapping[str, Annotation]

    @property
    def annotation(self) -> Annotation:
        """All parts together; the first one with a caption decides."""
        return reduce(Annotation.over, self.parts.values(), Annotation())

    @property
    def unused(self) -> dict[str, str]:
        """Why a caption is not used, by file name."""
        first = self.annotation.caption
        return {name: SECOND for name, part in self.parts.items() if part.caption and part.caption != first}


class Sidecars:
    """The files of one folder besides its images, by the image that they describe.

    files: of the folder, by name. images: names of the images in it, which have sidecar files.
    """

    def __init__(self, files: Mapping[str, ByteSource], images: Collection[str]) -> None:
        self._stems = {stem_of(name) for name in images}
        self._others = {name: place for name, place in sorted(files.items()) if suffix_of(name) not in SUFFIXES}
        self._by_stem: dict[str, list[str]] = {}
        for name in self._others:
            if suffix_of(name) in _READERS:
                self._by_stem.setdefault(stem_of(name), []).append(name)
        order = list(_READERS)
        for names in self._by_stem.values():
            names.sort(key=lambda name: (order.index(suffix_of(name)), not name.endswith(suffix_of(name)), name))

    def of(self, image: str) -> Sidecar:
        """What the files with the name of an image say."""
        names = self._by_stem.get(stem_of(image), ())
        return Sidecar({name: _READERS[suffix_of(name)](self._others[name]) for name in names})

    def unused(self, tables: bool = True) -> Iterator[tuple[str, str]]:
        """Files that look like captions and are not read, each with the reason. tables: whether to look for tables."""
        for name in self._others:
            suffix, described = suffix_of(name), stem_of(name) in self._stems
            if suffix in (*TEXTS, *_UNREAD_TEXTS) and self._stems and not described:
                yield name, ORPHAN
            elif suffix in _UNREAD and described:
                yield name, UNREAD
            elif tables and suffix in _TABLES and not described and _CAPTION_TABLE.search(name):
                yield from [(name, UNREAD_TABLE)] if name not in METADATA else []


def suffix_of(name: str) -> str:
    """The suffix of a file name, in lower case."""
    return posixpath.splitext(name)[1].lower()


def stem_of(name: str) -> str:
    """A file name without its suffix."""
    return posixpath.splitext(name)[0]
