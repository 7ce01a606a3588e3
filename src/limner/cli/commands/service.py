"""Commands of the service: serve, and the worker beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from limner.cli.commands.shared import stopping
from limner.cli.flags import command_for
from limner.core.logs import LogFormat
from limner.server.settings import Settings


def _serve(request: Settings) -> None:
    from limner.cli.terminal import Screen
    from limner.server.serve import serve

    told = "stopping; what is being carried out is put back"
    with Screen() as screen, stopping(lambda text: screen.note(told)) as stop:
        serve(request, screen.note, stop)


serve = command_for(Settings, None, _serve)


def worker(
    *,
    log: Annotated[LogFormat, Parameter(help="How to log: text or json.")] = "text",
    together: Annotated[int, Parameter(help="The most pictures of different requests that are painted at once.")] = 8,
    run_seconds: Annotated[float | None, Parameter(help="How long a run may take (default: as it needs).")] = None,
    parent: Annotated[int | None, Parameter(show=False)] = None,
) -> None:
    from limner.core.logs import configure
    from limner.studio.studio import Studio
    from limner.workers.worker import Worker
    from limner.workers.worker import log as told

    configure(log)
    with stopping(lambda text: told.info("stopping after this step")) as stop:
        own = Worker(Studio(), together=together, seconds=run_seconds)
        with empty_folder():
            own.work(lambda: stop() or parent not in (None, os.getppid()))  # nobody's child stops


@contextmanager
def empty_folder() -> Iterator[None]:
    """Work in an empty folder, so that a model's name on the hub is never taken for a path of this machine."""
    for name, value in os.environ.items():
        if value and not os.path.isabs(value) and (os.path.exists(value) or name.endswith(("_HOME", "_CACHE", "_DIR"))):
            os.environ[name] = os.path.abspath(value)
    with TemporaryDirectory(prefix="limner-worker-") as folder, chdir(folder):
        yield
