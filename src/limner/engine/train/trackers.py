"""Metrics of a training run: always as lines of JSON, and by accelerate's trackers where asked."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.store.files import atomic_file


class MetricsLog:
    """`metrics.jsonl` in a run's folder. A line has a step and some of its figures; a step may have several lines.

    A resumed run drops lines after its checkpoint, which is at `first_step`. config: settings for the trackers.
    """

    def __init__(self, folder: Path, first_step: int, track: Sequence[str], config: Mapping[str, Any]) -> None:
        self.path = folder / "metrics.jsonl"
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if _step_of(line) is not None and (_step_of(line) or 0) <= first_step]
        with atomic_file(self.path) as partial:
            partial.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.trackers = [_tracker(name, folder) for name in track]
        for tracker in self.trackers:
            tracker.store_init_configuration(
                {k: v for k, v in config.items() if isinstance(v, (int, float, str, bool))}
            )

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Write figures of a step."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        for tracker in self.trackers:
            tracker.log(figures, step=step)

    def last(self, name: str) -> float:
        """The newest value of a figure."""
        lines = map(json.loads, reversed(self.path.read_text(encoding="utf-8").splitlines()))
        return float(next(line[name] for line in lines if name in line))

    def close(self) -> None:
        """Finish the trackers."""
        for tracker in self.trackers:
            tracker.finish()


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


def check_trackers(names: Sequence[str]) -> None:
    """Raise LimnerError for a tracker whose package is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise LimnerError(f"tracker {name!r} is not installed", f"pip install {name}")


def _tracker(name: str, folder: Path) -> Any:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    options = {"logging_dir": str(folder)} if name == "tensorboard" else {"dir": str(folder)}
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name]("limner", **options)
        getattr(tracker, "start", lambda: None)()
        return tracker
    except Exception as error:  # a tracker may fail in any way: no account, no network, a version that does not fit
        raise LimnerError(
            f"tracker {name!r} does not start: {error}", f"set it up, or leave out --track {name}"
        ) from error
