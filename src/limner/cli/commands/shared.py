"""What several commands use: output flags, running a request with its report, and stopping on Ctrl-C."""

from __future__ import annotations

import atexit
import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from limner.cli.output import print_line
from limner.core.collection import collection_paused
from limner.core.events import ArtifactCreated
from limner.core.execution import Execution
from limner.core.kinds import KINDS
from limner.core.requests import KnownRequest

if TYPE_CHECKING:
    from limner.cli.terminal import Screen
    from limner.core.runs import Run
    from limner.studio.studio import Studio

Out = Annotated[Path | None, Parameter(help="Folder for the result.")]
Folder = Annotated[Path, Parameter(help="Folder for the result.")]
IMAGES = "Images (file, id or SHA-256), or runs (all their images)."
"""Help of arguments that name images of the history."""


def list_images(ids: Sequence[int]) -> str:
    """Images by their ids, for a sentence: "image 7", or "2 images (7, 8)"."""
    return f"image {ids[0]}" if len(ids) == 1 else f"{len(ids)} images ({', '.join(map(str, ids))})"


@contextmanager
def executed(
    request: KnownRequest,
    execution: Execution,
    out: Path | None,
    resume: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Iterator[tuple[Screen, Run]]:
    """Execute a request in this process, showing its events; yields the screen and the run when it has ended."""
    from limner.cli.terminal import Screen

    if not resume:  # before the studio is imported, which takes as long as all before it
        request = request.expanded()
        with collection_paused():
            check = KINDS[request.kind].load_check()
        check(request, execution, out)
    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin(request.kind, request.summary)
        studio = one_run_studio()
        more: dict[str, Any] = {} if tags is None else {"tags": tags}
        run = studio.run(request, out, resume=resume, listener=screen.show, stop=stop, execution=execution, **more)
        yield screen, run


def one_run_studio() -> Studio:
    """The studio of a process that executes one run, unless that process is one of several."""
    with collection_paused():
        from limner.studio.studio import Studio

    atexit.register(gc.freeze)  # the memory goes back as a whole, so the collector need not search it a last time
    return Studio(ends="RANK" not in os.environ)


def run_and_report(
    request: KnownRequest, execution: Execution, out: Path | None, what: str = "report", resume: bool = False
) -> ArtifactCreated:
    """Execute a request, print its verdict and the path of its report, and return the event of that report."""
    with executed(request, execution, out, resume) as (screen, _):
        screen.end()
    page = next(made for made in screen.made if made.what == what)
    print_line(page.details["verdict"])
    print_line(page.path)
    return page


@contextmanager
def stop_on_signal(note: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the run to stop after its step, a second one stops it at once.

    Yields the function that returns whether to stop. note: prints a line.
    """
    asked = False

    def on_signal(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        note("stopping after this step; press Ctrl-C again to stop at once")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
