"""The entries of all sources of a dataset, one after another, moderated before they are read."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import cast

from limner.core.datasets import ByteSource, Entry, LinkedSource, Rights, Skipped, Source, TrainingRefused
from limner.core.errors import LimnerError
from limner.core.files import expand_home
from limner.core.moderation import ImageScreen
from limner.core.requests import PrepareRequest
from limner.core.workspace import Workspace
from limner.data.entries.byte_sources import BytesInMemory, FileBytes, UnreadableBytes, escaped_name
from limner.data.entries.links import LinkPolicy
from limner.data.entries.text_tables import FieldTable, apply_field_table
from limner.engine.prepare.image import Job
from limner.imaging.decode import decode
from limner.imaging.masks import find_mask
from limner.plugins.registry import sources


def source_of(reference: str) -> Source:
    """The source plugin of a reference. Raises LimnerError if there is none."""
    for source in sources.all().values():
        if source.claims(reference):
            return source
    titles = ", ".join(source.title for source in sources.all().values())
    exists = os.path.lexists(expand_home(reference))
    problem = "is not a source of images" if exists else "does not exist"
    raise LimnerError(f"{reference!r} {problem}", f"give one of these: {titles}")


def check_sources(request: PrepareRequest, out: Path) -> None:
    """Raise LimnerError for a reference that is not a source, and for a result inside its own source."""
    for reference in request.sources:
        source_of(reference)
        place, target = expand_home(reference).resolve(), out.resolve()
        if place.exists() and (target.is_relative_to(place) or place.is_relative_to(target)):
            raise LimnerError(
                f"the dataset {str(out)!r} and its source {reference!r} are inside each other", "choose another --out"
            )
    if request.masks is not None and not expand_home(request.masks).is_dir():
        raise LimnerError(f"{request.masks!r} is not a folder of masks", "give a folder")


def entries_of(request: PrepareRequest, table: FieldTable | None, workspace: Workspace) -> Iterator[Entry | Skipped]:
    """The entries of all sources in order, with the fields of the table and the masks of the folder of masks.

    With several sources, each key begins with the name of its source.
    """
    masks = None if request.masks is None else LinkPolicy(expand_home(request.masks), request.follow_links)
    for reference, prefix in zip(request.sources, prefixes([*map(workspace.called, request.sources)]), strict=True):
        source = source_of(reference)
        follows = isinstance(source, LinkedSource) and request.follow_links
        entries = cast(LinkedSource, source).linked_entries if follows else source.entries
        for item in entries(reference):
            item = replace(item, key=prefix + item.key)
            if isinstance(item, Entry):
                item = item if table is None else apply_field_table(table, item)
                item = replace(item, mask=_mask(masks, item) or item.mask) if masks is not None else item
            yield item


def prefixes(references: list[str]) -> list[str]:
    """The prefix of the keys of each source: none for a single source, else its name, numbered if it is not unique."""
    if len(references) == 1:
        return [""]
    names, found = [PurePosixPath(reference.rstrip("/")).name or "source" for reference in references], list[str]()
    for name in names:
        fresh = (f"{name}{more}/" for more in ("", *(f"-{number}" for number in range(2, len(names) + 2))))
        found.append(next(prefix for prefix in fresh if prefix not in found))
    return found


def _mask(masks: LinkPolicy, entry: Entry) -> ByteSource | None:
    """The mask with an entry's name in the folder of masks."""
    place = find_mask(masks.root, str(PurePosixPath(entry.folder, PurePosixPath(entry.key).name)))
    if place is None:
        return None
    below = (at for at in (place, *place.parents) if masks.root in at.parents)
    fault = next((fault for at in below if (fault := masks.fault(at))), None)
    return FileBytes(place) if fault is None else UnreadableBytes(escaped_name(place.name), *fault.message.split("; "))


def screened(jobs: Iterable[Job], screen: ImageScreen | None) -> Iterator[Job]:
    """The jobs, once moderation has admitted their images and masks, whose bytes are then kept in memory.

    Raises moderation's RequestRefused or Unable.
    """
    for number, item, stamp in jobs:
        if isinstance(item, Entry) and screen is not None and screen.checks_images:
            item = _screened(item, screen)
        yield number, item, stamp


def _screened(entry: Entry, screen: ImageScreen) -> Entry:
    place, reason = _admitted(entry.data, screen)
    rights = entry.rights if reason is None else Rights(training="refused", statement=reason).over(entry.rights)
    mask = None if entry.mask is None else _admitted(entry.mask, screen)[0]
    return replace(entry, data=place, mask=mask, rights=rights)


def _admitted(place: ByteSource, screen: ImageScreen) -> tuple[ByteSource, str | None]:
    """The bytes of a place after moderation, and the mark that refuses training on them.

    A file that cannot be read now is not read later either: it would not have been moderated.
    """
    reason = None
    try:
        try:
            data = place.read()
        except TrainingRefused as refused:
            data, reason = refused.data, refused.statement
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = decode(data, place.name)
    except LimnerError as error:
        return UnreadableBytes(place.name, error.problem, error.remedy), None
    screen.admit_image(image, hashlib.sha256(data).hexdigest())
    return BytesInMemory(place.name, data), reason
