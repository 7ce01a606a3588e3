"""Commands about what was done."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def runs(*, count: Annotated[int, Parameter(help="How many.")] = 20) -> None:
    from limner.cli.terminal import print_runs
    from limner.studio.studio import Studio

    print_runs(Studio().runs.list(count))


def show(run: Annotated[str, Parameter(help="Id of a run, or the start of it.")]) -> None:
    from limner.cli.terminal import print_run
    from limner.studio.studio import Studio

    studio = Studio()
    found, artifacts = studio.runs.show(run)
    print_run(found, artifacts, studio.runs.events(found.id))
