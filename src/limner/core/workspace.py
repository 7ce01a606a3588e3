"""The folders and settings that an executor gets for one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.core.errors import Interrupted
from limner.core.execution import Execution
from limner.core.moderation import ImageScreen
from limner.core.preferences import FeedbackSource


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders and settings of one run.

    run: its id. folder: working files and checkpoints. out: where results go. cache: files that may be shared between
    runs and rebuilt. resume: resume from the last checkpoint in `folder`. stop: asked between steps; if it returns
    True, the run saves its state and raises Interrupted. together: batch size to reproduce an image that was generated
    in a batch with others; None for the request's own. names: the user's names of files, by the paths that replaced
    them in the request. processes: most processes that the run may start, on this machine; None for no limit. screen:
    moderates what a queued run reads; None without moderation. local: whether a person at this machine asked for the
    run, so that folders named in an adapter's header may be opened. home: Limner's folder, whose credentials sign
    images; the default one if None.
    execution: how the request is executed. feedback: reads the recorded feedback that the run may use; None where
    there is none.
    """

    run: str
    folder: Path
    out: Path
    cache: Path
    resume: bool = False
    stop: Callable[[], bool] = lambda: False
    together: int | None = None
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    processes: int | None = None
    screen: ImageScreen | None = None
    local: bool = True
    home: Path | None = None
    execution: Execution = field(default_factory=Execution)
    feedback: FeedbackSource | None = None

    def called(self, path: str) -> str:
        """A path of the request under the user's name for it."""
        return self.names.get(path, path)

    def check(self) -> None:
        """Raise Interrupted if the run should stop."""
        if self.stop():
            raise Interrupted("stopped")
