"""The finished folder: the pictures that stay, the captions to review, what became of all, and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import compress
from pathlib import Path

import numpy as np

from limner.core.choice import evenly
from limner.core.datasets import Fault
from limner.core.events import Emit, Progress, Stage
from limner.core.files import short_line
from limner.core.requests import PrepareRequest
from limner.data.captions import caption_file
from limner.engine.prepare.columns import Gathered
from limner.engine.prepare.contact_sheets import Sheets
from limner.engine.prepare.dataset import Folder, Telling
from limner.engine.prepare.dataset_card import write_card
from limner.engine.prepare.diversity import Variety
from limner.engine.prepare.plan import Plan
from limner.engine.prepare.pool import Crew
from limner.engine.prepare.record import Record
from limner.engine.prepare.report import write_report
from limner.engine.prepare.rows import Told
from limner.engine.prepare.splits import Choice
from limner.engine.prepare.summary import SHOWN, Shown, State, Story
from limner.provenance.rights import RightsCounts

CAPTIONS, OUTCOMES = "captions.csv", "pictures.jsonl"


def fill(
    folder: Path,
    name: str,
    request: PrepareRequest,
    plan: Plan,
    gathered: Gathered,
    wrong: Mapping[int, tuple[Fault, ...]],
    staying: np.ndarray,
    told: Told,
    choice: Choice,
    variety: Variety,
    crew: Crew,
    emit: Emit,
) -> Story:
    """Write all of a dataset, which will be called `name`, into an empty folder; returns what the report tells."""
    total = len(gathered.columns.offsets)
    emit(Stage(name="writing", total=total))
    story, rights = Story(dict(plan.actions), len(staying)), RightsCounts()
    weighted = bool(len(choice.weight)) and not np.allclose(choice.weight, choice.weight[0])
    staged = gathered.staging.pictures
    digits = max(4, len(str(total)))
    sheets = Sheets(folder, staged, crew)
    chosen = set(evenly(range(len(staying)), SHOWN))
    with (
        Folder(folder, staged, told.names, weighted, told.masked, request.kohya, digits) as dataset,
        (folder / OUTCOMES).open("w", encoding="utf-8") as outcomes,
    ):
        entries = _Rows(gathered, wrong, staying, told)
        for number, record in enumerate(gathered.staging.records()):
            faults, row, telling = entries.of(number, record)
            stays = row is not None and bool(choice.kept[row])
            file = None
            if stays:
                assert row is not None and telling is not None
                part, weight = int(choice.part[row]), float(choice.weight[row])
                file = dataset.add(record, telling, part, weight, request.despite)
                rights.add(record.rights, request.despite)
                story.counts.add(telling.fields)
                story.origins[telling.origin] += 1
            state = story.state(faults, stays, record.stamp != "")
            shown = _shown(record, faults, state, file, telling)
            story.take(record, faults, shown)
            sheets.add(shown)
            if row in chosen and stays:
                story.sheet.append(shown)
            outcomes.write(json.dumps(_outcome(record, faults, shown), ensure_ascii=False) + "\n")
            emit(Progress(done=number + 1))
        story.parts = dataset.counts
    names = sheets.close()
    rows = (
        caption_file.CaptionRow(each.key, each.caption, each.origin) for each in compress(told.lines(), choice.kept)
    )
    caption_file.write_captions(folder / CAPTIONS, rows)
    write_report(folder, name, request, gathered, story, told, choice, variety, rights, names)
    write_card(folder, name, request, story, told, rights)
    return story


class _Rows:
    """Which of those that stay a record is. Records are asked for in their order."""

    def __init__(
        self, gathered: Gathered, wrong: Mapping[int, tuple[Fault, ...]], staying: np.ndarray, told: Told
    ) -> None:
        self.numbers, self.wrong, self.staying = gathered.columns.numbers, wrong, staying
        self.place, self.row, self.lines = 0, 0, told.lines()

    def of(self, number: int, record: Record) -> tuple[tuple[Fault, ...], int | None, Telling | None]:
        """All faults of a record, and where it stays, its row and what is told of it."""
        if self.place >= len(self.numbers) or self.numbers[self.place] != number:
            return record.faults, None, None
        place, self.place = self.place, self.place + 1
        faults = (*record.faults, *self.wrong.get(place, ()))
        if self.row >= len(self.staying) or self.staying[self.row] != place:
            return faults, None, None
        row, self.row = self.row, self.row + 1
        return faults, row, next(self.lines)


def _shown(record: Record, faults: tuple[Fault, ...], state: State, name: str | None, telling: Telling | None) -> Shown:
    told = tuple((fault.kind, fault.told) for fault in faults)
    caption = telling and telling.caption
    return Shown(short_line(record.key, 1000), state, told, record.thumbnail, record.box, record.size, name, caption)


def _outcome(record: Record, faults: tuple[Fault, ...], shown: Shown) -> dict[str, object]:
    """What became of one entry, for programs to read."""
    return {
        "original": record.key,
        "file": shown.name,
        "outcome": shown.state,
        "faults": [{"fault": fault.kind, "told": fault.told, "value": fault.value} for fault in faults],
        "mended": list(record.notes),
        "sha256": record.sha256 or None,
        "size": record.size,
        "crop": record.box,
        "brought_to": record.shape,
        "location_stripped": record.located,
        "measures": {name: round(value, 4) for name, value in record.measures.items()},
    }
