"""What commands have in common: flags of the same meaning, and how they stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limner.cli.flags import typed
from limner.cli.recipes import read_recipe
from limner.core.errors import LimnerError
from limner.core.events import Made
from limner.core.requests import KnownRequest

Out = Annotated[Path | None, Parameter(help="Where the result goes.")]
Place = Annotated[Path, Parameter(help="Where the result goes.")]
Recipe = Annotated[
    Path | None, Parameter(help="YAML file with fields of the request, which flags overrule; see recipes/.")
]


def one_recipe(arguments: Sequence[str], kind: str, several: str) -> Mapping[str, Any]:
    """The fields of the recipe that was typed, none without one; LimnerError where it holds several requests."""
    path = typed(arguments, "--recipe")
    documents = [{}] if path is None else read_recipe(path, kind)
    if len(documents) > 1:
        raise LimnerError(f"the recipe holds {len(documents)} {several}", "keep one document in the file")
    return documents[0]


def report(request: KnownRequest, out: Path, what: str = "report") -> Made:
    """Carry a request out, and print its verdict and where the page is that it made."""
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen, stopping(screen.note) as stop:
        Studio().run(request, out, listener=screen.show, stop=stop)
        screen.end()
    page = next(made for made in screen.made if made.what == what)
    print(page.details["verdict"])
    print(page.path)
    return page


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
