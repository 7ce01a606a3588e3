"""One bar for many requests that are painted as parts of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.core.events import Emit, Event, Made, Notice, Progress, Stage


@dataclass
class JointProgress:
    """Tells their progress as that of one stage, and each notice once. made: by part and seed, what was painted."""

    name: str
    emit: Emit
    total: int = 0
    done: dict[int, int] = field(default_factory=dict[int, int])
    said: set[str] = field(default_factory=set[str])
    made: dict[tuple[int, int], Path] = field(default_factory=dict[tuple[int, int], Path])
    begun: bool = False

    def listen(self, part: int, details: Mapping[str, Any]) -> Callable[[Event], None]:
        """What takes in the events of one part. details: what is added to those of its pictures."""

        def take(event: Event) -> None:
            if isinstance(event, Stage):
                self._stage(event)
            elif isinstance(event, Progress):
                self.done[part] = event.done
                self.emit(Progress(done=sum(self.done.values()), total=self.total))
            elif isinstance(event, Made):
                if event.what == "picture":
                    self.made[part, event.details["seed"]] = Path(event.path)
                self.emit(event.model_copy(update={"details": event.details | dict(details)}))
            elif not isinstance(event, Notice) or event.text not in self.said:
                self.said |= {event.text} if isinstance(event, Notice) else set()
                self.emit(event)

        return take

    def _stage(self, event: Stage) -> None:
        if event.total is not None and not self.begun:
            self.begun = True
            self.emit(Stage(name=self.name, total=self.total or None))
