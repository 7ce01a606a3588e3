"""Commands of the queue of the service: list its jobs, stop them, change their order, and resume them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from limner.cli.output import print_line
from limner.core.errors import LimnerError

if TYPE_CHECKING:
    from limner.core.runs import Run
    from limner.studio.studio import Studio

queue = App(name="queue")
Job = Annotated[str, Parameter(help="Id of a run of the queue, or the start of it.")]
LISTED = 1000
"""Most running and most waiting jobs that are listed."""


@queue.default
def list_queue() -> None:
    """List the running jobs and the waiting ones in their order."""
    from limner.cli.terminal import print_queue
    from limner.core.runs import Status
    from limner.studio.runs import QUEUE
    from limner.studio.studio import Studio

    runs = Studio().runs
    running = runs.list(LISTED, None, Status.RUNNING, None, QUEUE)
    jobs = [*running, *runs.waiting(LISTED)]
    print_queue(jobs, runs.states([run.id for run in jobs]))


@queue.command
def stop(*jobs: Job) -> None:
    """Stop jobs: a waiting one at once, a running one after its current step."""
    from limner.studio.studio import Studio

    studio = Studio()
    for run in _named(studio, jobs, "stop"):
        ended = studio.runs.cancel(run.id).status.ended
        print_line(f"{run.id} {'is stopped' if ended else 'stops after its current step'}.")


@queue.command
def up(job: Job, *, first: Annotated[bool, Parameter(help="To the front of the queue.", negative=())] = False) -> None:
    """Let a waiting job change places with the one before it."""
    _move(job, up=True, whole=first)


@queue.command
def down(job: Job, *, last: Annotated[bool, Parameter(help="To the end of the queue.", negative=())] = False) -> None:
    """Let a waiting job change places with the one after it."""
    _move(job, up=False, whole=last)


@queue.command
def stop_after(job: Job) -> None:
    """Let a job end, and stop the jobs of the same account that wait behind it."""
    from limner.studio.studio import Studio

    studio = Studio()
    (run,) = _named(studio, (job,), "stop-after")
    stopped = studio.runs.withdraw_behind(run)
    for each in stopped:
        print_line(f"{each} is stopped.")
    if not stopped:
        print_line("no job waits behind it")


@queue.command
def resume(*jobs: Job) -> None:
    """Queue failed and stopped jobs again; training continues from its last checkpoint."""
    from limner.studio.studio import Studio

    studio = Studio()
    for run in _named(studio, jobs, "resume"):
        print_line(f"{studio.retry(run).id} waits again.")


def _move(job: str, *, up: bool, whole: bool) -> None:
    """Move a job by one place, or as far as it goes, and print its place."""
    from limner.studio.studio import Studio

    studio = Studio()
    (run,) = _named(studio, (job,), "up" if up else "down")
    while studio.runs.move(run.id, up=up) and whole:
        pass
    state = studio.runs.states([run.id]).get(run.id)
    place = None if state is None else state.position
    print_line(f"{run.id} is number {place} of the queue." if place else f"{run.id} does not wait any more.")


def _named(studio: Studio, jobs: tuple[str, ...], command: str) -> list[Run]:
    """The runs of the queue with these ids. Raises LimnerError for another one, before anything is done."""
    if not jobs:
        raise LimnerError("no job is given", f"write: limner queue {command} RUN")
    runs = [studio.runs.get(job) for job in jobs]
    for run in runs:
        if run.queue is None:
            raise LimnerError(f"run {run.id} is not in the queue", "it is executed where it was submitted")
    return runs
