"""Where a run may write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.core.errors import Interrupted
from limner.core.moderation import ImageScreen


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one run.

    run: its id. folder: its own working files and checkpoints. out: where finished results go.
    cache: what may be shared between runs and rebuilt. resume: go on from the last checkpoint in `folder`.
    stop: asked between steps; when it says yes, the run keeps its state and raises Interrupted.
    together: how many pictures shall go through the model at once, where one is painted again that was painted in
    company; None for as many as the request says.
    names: what the user calls files by, by their paths, where these were put in the request in place of names.
    processes: the most processes that the run may start, all on this machine; None for as many as the request says.
    screen: judges what a queued run reads; None where nothing is judged.
    home: Limner's own folder, whose credentials sign what is made; the usual one when not given.
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
    home: Path | None = None

    def called(self, path: str) -> str:
        """A path of the request as the user named it."""
        return self.names.get(path, path)

    def check(self) -> None:
        """Raise Interrupted when the user asked the run to stop."""
        if self.stop():
            raise Interrupted("stopped")
