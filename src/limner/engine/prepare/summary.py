"""What is in a dataset before it is written, and a summary of what became of all entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limner.core.datasets import Fault
from limner.core.image_faults import FAULTS, Action
from limner.core.requests import PrepareRequest
from limner.core.text import counted
from limner.data.diversity.balance import FieldCounts
from limner.engine.prepare.captions import CaptionTable
from limner.engine.prepare.columns import StagedImages
from limner.engine.prepare.diversity import DatasetDiversity
from limner.engine.prepare.entry_outcome import EntryOutcome, Outcome
from limner.engine.prepare.plan import ImagePlan
from limner.engine.prepare.splits import Splits
from limner.engine.prepare.staging import Record
from limner.provenance.rights import RightsCounts

EXAMPLES, SHOWN = 12, 120
"""The most examples of each fault, and images on the page's contact sheet."""


@dataclass(frozen=True)
class DatasetContents:
    """Everything that is known of a dataset before it is written.

    name: of its folder. request: with files as the user named them. faults: of images compared with others, by place.
    remaining: the places of images that are not left out. captions, splits: of these, in their order.
    """

    name: str
    request: PrepareRequest
    plan: ImagePlan
    staged: StagedImages
    faults: Mapping[int, tuple[Fault, ...]]
    remaining: np.ndarray
    captions: CaptionTable
    splits: Splits
    diversity: DatasetDiversity


@dataclass
class Summary:
    """Counts of a dataset, and examples to show.

    parts: images in train, validation and test. by_fault: number of each fault. outcomes: number of entries by outcome.
    notes: number of each repair. located: images whose location was removed. counts, origins: fields and caption
    origins of the images in the dataset. examples: by fault. sheet: images of the dataset, evenly chosen.
    """

    actions: dict[str, Action]
    entries: int = 0
    parts: list[int] = field(default_factory=lambda: [0, 0, 0])
    by_fault: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    located: int = 0
    counts: FieldCounts = field(default_factory=FieldCounts)
    origins: Counter[str] = field(default_factory=Counter)
    rights: RightsCounts = field(default_factory=RightsCounts)
    examples: dict[str, list[EntryOutcome]] = field(default_factory=dict)
    sheet: list[EntryOutcome] = field(default_factory=list)

    @property
    def images(self) -> int:
        """The number of images in the dataset."""
        return sum(self.parts)

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        count = self.entries - self.outcomes["stray"]
        if self.outcomes["dropped"] or self.outcomes["evened out"]:
            result = f"{self.images:,} of {counted(count, 'image')} are in the dataset"
        else:
            result = f"all {count:,} images are in the dataset" if self.images > 1 else "the image is in the dataset"
        more: dict[Outcome, str] = {
            "dropped": "left out",
            "evened out": "set aside for balance",
            "flagged": "to look at",
        }
        parts = [f"{self.outcomes[name]:,} {text}" for name, text in more.items() if self.outcomes[name]]
        if cut := sum(count for kind, count in self.by_fault.items() if self.actions[kind] == "cut"):
            parts.append(f"bars cut away from {cut:,}")
        return "; ".join([result, *parts])

    def outcome(self, faults: Sequence[Fault], kept: bool, is_entry: bool) -> Outcome:
        """The outcome of an entry with these faults. kept: whether it is in the dataset."""
        if any(self.actions[fault.kind] == "drop" for fault in faults):
            return "dropped"
        if not is_entry:
            return "stray"
        if not kept:
            return "evened out"
        return "flagged" if any(self.actions[fault.kind] != "cut" for fault in faults) else "kept"

    def add(self, record: Record, entry: EntryOutcome) -> None:
        """Count one entry."""
        self.entries += 1
        self.outcomes[entry.outcome] += 1
        self.located += record.located
        self.notes.update(record.notes)
        faults = entry.faults
        if entry.outcome == "dropped":  # it counts for the faults that dropped it
            faults = [fault for fault in faults if self.actions[fault.kind] == "drop"]
        for fault in faults:
            self.by_fault[fault.kind] += 1
            found = self.examples.setdefault(fault.kind, [])
            if len(found) < EXAMPLES:
                found.append(entry)

    def faults(self) -> list[dict[str, Any]]:
        """Each fault that was found, with its action and count; those that drop most images first."""
        order = sorted(self.by_fault, key=lambda kind: (self.actions[kind] != "drop", -self.by_fault[kind], kind))
        return [
            {
                "fault": kind,
                "title": FAULTS[kind].title,
                "action": self.actions[kind],
                "count": self.by_fault[kind],
            }
            for kind in order
        ]
