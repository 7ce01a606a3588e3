"""Where a run may write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import Interrupted


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one run.

    run: its id. folder: its own working files and checkpoints. out: where finished results go.
    cache: what may be shared between runs and rebuilt. resume: go on from the last checkpoint in `folder`.
    stop: asked between steps; when it says yes, the run keeps its state and raises Interrupted.
    """

    run: str
    folder: Path
    out: Path
    cache: Path
    resume: bool = False
    stop: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Raise Interrupted when the user asked the run to stop."""
        if self.stop():
            raise Interrupted("stopped")
