"""Figures of a training run: always as JSON lines, and by accelerate's trackers when asked for."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.store.files import atomic_file


class Metrics:
    """`metrics.jsonl` in a run's folder, one line per telling, of which a step may have several.

    A resumed run drops lines after its checkpoint.
    """

    def __init__(self, folder: Path, first_step: int, track: Sequence[str], config: dict[str, Any]) -> None:
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
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        for tracker in self.trackers:
            tracker.log(figures, step=step)

    def last(self, name: str) -> float:
        """The figure as it was told last."""
        lines = map(json.loads, reversed(self.path.read_text(encoding="utf-8").splitlines()))
        return float(next(line[name] for line in lines if name in line))

    def close(self) -> None:
        for tracker in self.trackers:
            tracker.finish()


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker whose package is not installed."""
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
