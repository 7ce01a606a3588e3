"""Executes runs in this process: records their start, events, artifacts and end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import ArtifactCreated, Emit, Event, Notice, Progress
from limner.core.preferences import FeedbackSource
from limner.core.runs import Run, Status
from limner.core.workspace import Workspace
from limner.store.blobs import Blobs
from limner.store.files import remove_stale_temporaries, translate_disk_errors
from limner.store.locks import run_lock
from limner.store.paths import cache_folder
from limner.store.removal import remove
from limner.store.runs import Lease, Store
from limner.store.sessions import retry_while_unavailable


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """A request to execute, where its results go, and who receives its events."""

    request: Any
    workspace: Workspace
    emit: Emit


def execute_prepared(runs: Sequence[PreparedRun]) -> Iterator[tuple[PreparedRun, Exception | None]]:
    """Execute one run of any kind, or generate runs with the same batch key in one batch.

    Yields each run when it ends, with the error if it failed.
    """
    from limner.engine.execute import execute, execute_together
    from limner.engine.generate.batching import Job

    if len(runs) > 1:
        jobs = {Job(run.request, run.workspace, run.emit): run for run in runs}
        for job, failure in execute_together(list(jobs)):
            yield jobs[job], failure
        return
    for run in runs:
        try:
            execute(run.request, run.workspace, run.emit)
        except Exception as failure:
            yield run, failure
        else:
            yield run, None


def execute_here(
    store: Store,
    runs: Sequence[Run],
    out: Path | None = None,
    *,
    resume: bool = False,
    batch: int | None = None,
    files: Blobs,
    listener: Callable[[int, Event], None],
    stop: Callable[[], bool],
    feedback: FeedbackSource | None = None,
) -> None:
    """Execute recorded runs in this process: one of any kind, or generate runs with the same batch key.

    files: where copies of result files are stored. out: replaces the folder that was recorded for the results. batch,
    feedback: see Workspace. listener: receives each event with the index of its run. stop: called between steps. Raises
    the first error after all runs have ended.
    """
    prepared: dict[PreparedRun, ExitStack] = {}
    failures: list[Exception] = []
    with ExitStack() as all_runs:
        for index, run in enumerate(runs):
            stack = all_runs.enter_context(ExitStack())
            workspace = stack.enter_context(_recorded(store, run, out, resume=resume, batch=batch, stop=stop))
            workspace = replace(workspace, feedback=feedback)
            stack.callback(discard_previews, store, run, files)
            prepared[
                PreparedRun(run.request, workspace, recorder(store, run, partial(listener, index), copies=files))
            ] = stack
        for each, failure in execute_prepared(list(prepared)):
            try:
                with prepared[each]:  # records the end of this run
                    if failure is not None:
                        raise failure
            except Exception as error:
                failures.append(error)
    if failures:
        raise failures[0]


@contextmanager
def _recorded(
    store: Store, run: Run, out: Path | None, *, resume: bool, batch: int | None, stop: Callable[[], bool]
) -> Generator[Workspace]:
    """Record the start of a run, and its end when the block ends: done, failed or interrupted."""
    folder = store.folder(run.id)
    place = run.out if out is None else str(out)
    out = Path(place) if place else folder / "out"
    workspace = Workspace(
        run.id, folder, out, cache_folder(store.home), resume, stop, batch, home=store.home, execution=run.execution
    )
    with run_lock(folder):
        started = run.started or datetime.now(UTC)
        store.update(run.id, status=Status.RUNNING, out=place, started=started, error=None)
        for written in (out, out.parent, folder):
            remove_stale_temporaries(written)
        try:
            with translate_disk_errors(out):
                yield workspace
        except (Interrupted, KeyboardInterrupt) as error:
            _finish(store, run, Status.INTERRUPTED, str(error) or "stopped")
            raise
        except BaseException as error:
            _finish(store, run, Status.FAILED, str(error) or type(error).__name__)
            raise
        _finish(store, run, Status.DONE, None)


def discard_previews(store: Store, run: Run, files: Blobs, lease: Lease | None = None) -> None:
    """Delete the previews of a run that shows them only while it works. A lost lease leaves them to the next worker."""
    if run.request.keeps_previews or not run.execution.preview_every:
        return
    with suppress(LimnerError):
        places, hashes = store.discard_previews(run.id, lease)
        for place in map(Path, places):
            remove(place, place.parent)
        for sha256 in hashes:
            files.remove(sha256)


def _finish(store: Store, run: Run, status: Status, error: str | None) -> None:
    store.update(run.id, status=status, error=error, finished=datetime.now(UTC))


def recorder(
    store: Store,
    run: Run,
    listener: Callable[[Event], None],
    lease: Lease | None = None,
    files: Blobs | None = None,
    copies: Blobs | None = None,
) -> Emit:
    """A function that records events and artifacts of a run, and passes the events on to `listener`.

    lease, files: of a queued run, whose artifacts are also stored by content. copies: stores copies of the files
    of any other run, but not of its folders, so that the history of the service has them too.
    """

    def record(event: Event) -> None:
        if isinstance(event, ArtifactCreated):
            store.add_artifact(run.id, event.what, event.path, event.sha256, event.details, lease)
        store.add_event(run.id, event, lease)

    def emit(event: Event) -> None:
        reference = None
        if isinstance(event, ArtifactCreated) and files is not None:
            reference = files.save(Path(event.path))
        elif isinstance(event, ArtifactCreated) and copies is not None and Path(event.path).is_file():
            reference = _save_copy(copies, Path(event.path), listener)
        if isinstance(event, ArtifactCreated) and reference is not None:
            event = event.model_copy(update={"details": event.details | {"reference": reference}})
        seconds = 0.0 if lease is None else lease.seconds
        if not isinstance(event, Progress):
            retry_while_unavailable(partial(record, event), seconds)
        if isinstance(event, ArtifactCreated) and files is not None:
            files.save(Path(event.path))  # restores files that were being erased meanwhile
        listener(event)

    return emit


def _save_copy(files: Blobs, file: Path, listener: Callable[[Event], None]) -> str | None:
    """Store a copy of a file, which stays as it is when its owner edits the file; None if that is not possible now.

    `Blobs.save` gives a file on the same disk a second name, so it gets a copy.
    """
    try:
        with TemporaryDirectory() as folder:
            return files.save(Path(shutil.copyfile(file, Path(folder) / file.name)))
    except (OSError, LimnerError) as error:
        listener(Notice(text=f"the service will not list {file.name}: {error}", level="warning"))
        return None
