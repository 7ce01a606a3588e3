"""What is told of every picture that stays, written down once, and what it adds up to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from limner.core.errors import LimnerError
from limner.core.requests import PrepareRequest
from limner.data.captions.caption_file import caption_key
from limner.data.diversity.balance import FieldCounts, joint_group
from limner.data.keys import key_hash
from limner.engine.prepare.captions import Spoken, telling
from limner.engine.prepare.columns import Gathered
from limner.engine.prepare.dataset import Telling
from limner.engine.prepare.splits import groups_of

NAME, OTHER = "told.jsonl", "…"


@dataclass(frozen=True)
class Told:
    """place: the file with a line for each of n pictures. counts: of their fields. by: the fields that are evened out.
    groups, keys, repeats: (n,) the number of each picture's group, the hash of its key, how often it is to be shown.
    origins: how many captions are from where. captions: how many are the first one, others, and none. unlicensed: how
    many pictures have no licence that is known. masked: whether any has a mask. names: of all fields.
    """

    place: Path
    counts: FieldCounts
    by: tuple[str, ...]
    groups: np.ndarray
    keys: np.ndarray
    repeats: np.ndarray
    origins: Mapping[str, int]
    captions: Counter[str | None]
    unlicensed: int
    masked: bool
    names: tuple[str, ...]

    def lines(self) -> Iterator[Telling]:
        return _lines(self.place)


def tell(
    gathered: Gathered,
    staying: np.ndarray,
    spoken: Spoken | None,
    edits: Mapping[str, str],
    request: PrepareRequest,
) -> Told:
    """Caption each picture that stays and count what is told of it."""
    place = gathered.staging.folder / NAME
    counts, origins, captions = FieldCounts(), Counter[str](), Counter[str | None]()
    masked, unlicensed, first = False, 0, None
    keys = np.empty(len(staying), dtype=np.uint64)
    repeats = np.empty(len(staying))
    said = iter(()) if spoken is None else spoken.lines()
    names: dict[str, None] = {}
    with place.open("w", encoding="utf-8") as file:
        for row, at in enumerate(staying.tolist()):
            record = gathered.record(at)
            told = telling(record, next(said, {}), edits.get(caption_key(record.key)), request)
            counts.add(told.fields)
            origins[told.origin] += 1
            first = first or told.caption
            captions[None if not told.caption else first if told.caption == first else OTHER] += 1
            unlicensed += not record.rights.licence
            masked |= record.mask is not None
            keys[row], repeats[row] = key_hash(record.key), record.repeats
            names |= dict.fromkeys(told.fields)
            file.write(json.dumps(asdict(told), ensure_ascii=False) + "\n")
    by = request.by or _evened(counts)
    for name in by:
        if name not in names:
            raise LimnerError(f"no picture has the field {name!r}", f"balance by one of: {', '.join(names) or 'none'}")
    groups = (
        groups_of([joint_group(each.fields, by) for each in _lines(place)]) if by else np.zeros(len(staying), np.int64)
    )
    return Told(place, counts, by, groups, keys, repeats, origins, captions, unlicensed, masked, tuple(names))


def _lines(place: Path) -> Iterator[Telling]:
    with place.open(encoding="utf-8") as file:
        for line in file:
            yield Telling(**json.loads(line))


def _evened(counts: FieldCounts) -> tuple[str, ...]:
    """What is evened out where nothing is named: the class, or else the folder, of several."""
    tables = counts.tables()
    return next(((name,) for name in ("class", "folder") if name in tables and len(tables[name].rows) > 1), ())
