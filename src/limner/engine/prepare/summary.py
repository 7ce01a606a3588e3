"""What the report tells: what became of all entries, with some of them to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from limner.core.datasets import Box, Fault
from limner.core.image_faults import FAULTS, Action
from limner.data.diversity.balance import FieldCounts
from limner.engine.prepare.record import Record

State = Literal["kept", "flagged", "evened out", "dropped", "stray"]
EXAMPLES, SHOWN = 12, 120
"""Examples of each fault, and pictures on the contact sheet of the page."""


@dataclass(frozen=True)
class Shown:
    """An entry to look at. faults: the kind and the words of each. picture: its thumbnail's name in the staging folder.
    name: what it is called now.
    """

    key: str
    state: State
    faults: tuple[tuple[str, str], ...]
    picture: str | None = None
    box: Box | None = None
    size: tuple[int, int] | None = None
    name: str | None = None
    caption: str | None = None

    @property
    def told(self) -> tuple[str, ...]:
        """What is wrong with it."""
        return tuple(told for _, told in self.faults)


@dataclass
class Story:
    """parts: pictures in train, validation and test. by_fault: how often each fault was found. states: how many entries
    ended how. notes: what was mended, and how often. counts, origins: of the fields and of the captions of what is in
    the dataset. examples: of each fault. sheet: pictures of the dataset, evenly chosen.
    """

    actions: dict[str, Action]
    staying: int
    entries: int = 0
    parts: list[int] = field(default_factory=lambda: [0, 0, 0])
    by_fault: Counter[str] = field(default_factory=Counter)
    states: Counter[State] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    located: int = 0
    counts: FieldCounts = field(default_factory=FieldCounts)
    origins: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Shown]] = field(default_factory=dict)
    sheet: list[Shown] = field(default_factory=list)

    @property
    def kept(self) -> int:
        return sum(self.parts)

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        pictures = _pictures(self.entries - self.states["stray"])
        left = self.states["dropped"]
        told = (
            f"{self.kept} of {pictures} are in the dataset"
            if left or self.states["evened out"]
            else (f"all {pictures} are in the dataset" if self.kept > 1 else "the picture is in the dataset")
        )
        more = [
            *([f"{left} left out"] if left else []),
            *([f"{self.states['evened out']} set aside for balance"] if self.states["evened out"] else []),
            *([f"{self.states['flagged']} to look at"] if self.states["flagged"] else []),
        ]
        return "; ".join([told, *more])

    def state(self, faults: Sequence[Fault], stays: bool, has_place: bool) -> State:
        """How an entry ended."""
        if any(self.actions[fault.kind] == "drop" for fault in faults):
            return "dropped"
        if not has_place:
            return "stray"
        if not stays:
            return "evened out"
        return "flagged" if faults else "kept"

    def take(self, record: Record, faults: Sequence[Fault], shown: Shown) -> None:
        """Take in one entry as it ended."""
        self.entries += 1
        self.states[shown.state] += 1
        self.located += record.located
        self.notes.update(record.notes)
        if shown.state == "dropped":  # it counts for what it was left out for
            faults = [fault for fault in faults if self.actions[fault.kind] == "drop"]
        for fault in faults:
            self.by_fault[fault.kind] += 1
            found = self.examples.setdefault(fault.kind, [])
            if len(found) < EXAMPLES:
                found.append(shown)

    def faults(self) -> list[dict[str, Any]]:
        """Each kind of fault that was found, those that left most pictures out first."""
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


def _pictures(count: int) -> str:
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"
