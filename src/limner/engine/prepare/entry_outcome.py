"""What became of an entry of a dataset. Processes that draw contact sheets read it, so it imports little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limner.core.datasets import Box, Fault

Outcome = Literal["kept", "flagged", "evened out", "dropped", "stray"]


@dataclass(frozen=True)
class EntryOutcome:
    """What became of an entry. thumbnail: its file name in the staging folder. name: in the dataset, if it is there."""

    key: str
    outcome: Outcome
    faults: tuple[Fault, ...]
    thumbnail: str | None = None
    box: Box | None = None
    size: tuple[int, int] | None = None
    name: str | None = None
    caption: str | None = None

    @property
    def short_key(self) -> str:
        """The last two parts of the key."""
        return "/".join(self.key.split("/")[-2:])

    @property
    def problems(self) -> tuple[str, ...]:
        """The text of each fault."""
        return tuple(fault.message for fault in self.faults)
