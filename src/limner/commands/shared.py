"""What commands have in common: flags of the same meaning, and how they stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

Out = Annotated[Path | None, Parameter(help="Where the result goes.")]
Place = Annotated[Path, Parameter(help="Where the result goes.")]
Recipe = Annotated[
    Path | None, Parameter(help="YAML file with fields of the request, which flags overrule; see recipes/.")
]


@contextmanager
def stopping(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the run to stop after its step, a second one stops at once."""
    asked = False

    def on_signal(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        say("stopping after this step; press Ctrl-C again to stop at once")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
