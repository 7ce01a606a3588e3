"""All that the sources of a request hold, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.datasets import Entry, Place, Skipped, Source
from limner.core.errors import LimnerError
from limner.core.requests import PrepareRequest
from limner.core.workspace import Workspace
from limner.data.entries.places import FilePlace
from limner.data.entries.text_tables import FieldTable, apply_field_table
from limner.imaging.masks import find_mask
from limner.plugins.registry import sources


def source_of(reference: str) -> Source:
    """The kind of place that a reference names; LimnerError where it is none."""
    for source in sources.all().values():
        if source.claims(reference):
            return source
    titles = ", ".join(source.title for source in sources.all().values())
    there = os.path.lexists(os.path.expanduser(reference))
    problem = "is no source of pictures" if there else "does not exist"
    raise LimnerError(f"{reference!r} {problem}", f"give one of these: {titles}")


def check_sources(request: PrepareRequest, out: Path) -> None:
    """Refuse what is no source before anything is read, and a result that would lie in its own source."""
    for reference in request.sources:
        source_of(reference)
        place, target = Path(reference).expanduser().resolve(), out.resolve()
        if place.exists() and (target.is_relative_to(place) or place.is_relative_to(target)):
            raise LimnerError(
                f"the dataset {str(out)!r} and its source {reference!r} lie in each other", "choose another --out"
            )
    if request.masks is not None and not Path(request.masks).expanduser().is_dir():
        raise LimnerError(f"{request.masks!r} is no folder of masks", "name a folder")


def entries_of(request: PrepareRequest, table: FieldTable | None, workspace: Workspace) -> Iterator[Entry | Skipped]:
    """Entries of all sources in their order, with what the tables and folders beside them tell. Of several sources
    each key begins with its source's name.
    """
    masks = None if request.masks is None else Path(request.masks).expanduser()
    for reference, prefix in zip(request.sources, prefixes([*map(workspace.called, request.sources)]), strict=True):
        for item in source_of(reference).entries(reference):
            item = replace(item, key=prefix + item.key)
            if isinstance(item, Entry):
                item = item if table is None else apply_field_table(table, item)
                item = replace(item, mask=_mask(masks, item) or item.mask) if masks is not None else item
            yield item


def prefixes(references: list[str]) -> list[str]:
    """What the keys of each source begin with: nothing for one alone, else its name, numbered where two share it."""
    if len(references) == 1:
        return [""]
    names, found = [PurePosixPath(reference.rstrip("/")).name or "source" for reference in references], list[str]()
    for name in names:
        fresh = (f"{name}{more}/" for more in ("", *(f"-{number}" for number in range(2, len(names) + 2))))
        found.append(next(prefix for prefix in fresh if prefix not in found))
    return found


def _mask(folder: Path, entry: Entry) -> Place | None:
    """The mask of an entry's name in the folder of masks."""
    place = find_mask(folder, str(PurePosixPath(entry.folder, PurePosixPath(entry.key).name)))
    return None if place is None else FilePlace(place)
