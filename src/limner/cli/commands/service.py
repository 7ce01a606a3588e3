"""Commands of the service: serve, worker, and API keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, Parameter

from limner.cli.commands.shared import stop_on_signal
from limner.cli.flags import command_for
from limner.cli.output import print_line
from limner.core.accounts import Limits, Role
from limner.core.logs import LogFormat
from limner.server.settings import Settings

keys = App(name="keys")


def _serve(request: Settings) -> None:
    from limner.cli.terminal import Screen
    from limner.server.serve import serve
    from limner.web.site import create_site

    text = "stopping; running requests go back into the queue"
    with Screen() as screen, stop_on_signal(lambda line: screen.note(text)) as stop:
        serve(request, screen.note, stop, create_site)


serve = command_for(Settings, _serve)


def worker(
    *,
    log: Annotated[LogFormat, Parameter(help="Log format: text or json.")] = "text",
    together: Annotated[int, Parameter(help="Maximum number of images of different requests in one batch.")] = 8,
    run_seconds: Annotated[
        float | None, Parameter(help="Maximum duration of a run, in seconds (default: no limit).")
    ] = None,
    quick: Annotated[
        bool, Parameter(help="Execute only checks of datasets, which then wait for no training.", negative="")
    ] = False,
    parent: Annotated[int | None, Parameter(show=False)] = None,
) -> None:
    from limner.core.kinds import QUICK
    from limner.core.logs import configure
    from limner.studio.studio import Studio
    from limner.workers.worker import Worker
    from limner.workers.worker import log as logger

    configure(log)
    with stop_on_signal(lambda line: logger.info("stopping after this step")) as stop:
        own = Worker(Studio(), together=together, seconds=run_seconds, kinds=QUICK if quick else None)
        with empty_folder():
            own.work(lambda: stop() or parent not in (None, os.getppid()))  # the parent process ended


@contextmanager
def empty_folder() -> Iterator[None]:
    """Work in an empty folder, so that a model's name on the hub is never taken for a path of this machine."""
    for name, value in os.environ.items():
        if value and not os.path.isabs(value) and (os.path.exists(value) or name.endswith(("_HOME", "_CACHE", "_DIR"))):
            os.environ[name] = os.path.abspath(value)
    with TemporaryDirectory(prefix="limner-worker-") as folder, chdir(folder):
        yield


@keys.command
def add(
    account: Annotated[str, Parameter(help="Name of the account; created if it does not exist.")],
    *,
    role: Annotated[
        Role | None, Parameter(help="viewer, maker or admin, for a new account (default: maker).", show_default=False)
    ] = None,
    days: Annotated[int | None, Parameter(help="Days until the key expires (default: never).")] = None,
    per_minute: Annotated[int | None, Parameter(help="Maximum number of calls per minute (default: no limit).")] = None,
    pictures_per_day: Annotated[
        int | None, Parameter(help="Maximum number of images in 24 hours (default: no limit).")
    ] = None,
    kept_bytes: Annotated[
        int | None, Parameter(help="Maximum number of bytes stored for the account (default: no limit).")
    ] = None,
) -> None:
    """Create a key and print it. Only its hash is stored, so it is shown this once."""
    from limner.studio.studio import Studio

    limits = Limits(per_minute=per_minute, pictures_per_day=pictures_per_day, kept_bytes=kept_bytes)
    _, secret = Studio().accounts.add_key(account, role, limits, days)
    print_line(secret)


@keys.default
def list_keys() -> None:
    """List the keys with their roles and limits."""
    from limner.cli.terminal import print_keys
    from limner.studio.studio import Studio

    print_keys(Studio().accounts.list())


@keys.command
def revoke(key: Annotated[str, Parameter(help="Id of the key, as `limner keys` lists it.")]) -> None:
    """Revoke a key."""
    from limner.studio.studio import Studio

    print_line(f"{Studio().accounts.revoke(key).id} is revoked")


@keys.command
def role(
    account: Annotated[str, Parameter(help="Name of the account.")],
    role: Annotated[Role, Parameter(help="viewer, maker or admin.")],
) -> None:
    """Change the role of an account."""
    from limner.studio.studio import Studio

    Studio().accounts.change_role(account, role)
