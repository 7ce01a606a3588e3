"""Executes claimed runs of the queue: brings their files to this machine, moderates them, and stores their results."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from limner.core.accounts import Role
from limner.core.errors import LimnerError
from limner.core.events import Event, Notice
from limner.core.moderation import CheckUnavailable, RequestRefused
from limner.core.requests import Request, replace_references
from limner.core.runs import Run
from limner.core.workspace import Workspace
from limner.store.blobs import REFERENCE
from limner.store.files import translate_disk_errors
from limner.store.paths import cache_folder
from limner.store.prune import owner_file
from limner.store.removal import discard
from limner.store.runs import Lease
from limner.studio.execution import PreparedRun, discard_previews, execute_prepared, recorder
from limner.studio.images import Viewer
from limner.studio.references import check_references, suffix_of
from limner.studio.studio import Studio


@dataclass(frozen=True, eq=False)
class ClaimedRun:
    """A queued run that a worker holds. listener: receives its events. stop: called between its steps."""

    run: Run
    lease: Lease
    listener: Callable[[Event], None] = lambda event: None
    stop: Callable[[], bool] = lambda: False


def execute_claimed(studio: Studio, claimed: Sequence[ClaimedRun]) -> Iterator[tuple[ClaimedRun, Exception | None]]:
    """Execute a claimed run, or several with the same batch key in one batch; the caller records how they end.

    Yields each run when it ends, with the error if it failed. Results are stored by content. A second attempt continues
    from a checkpoint if there is one, and starts again otherwise.
    """
    runs: dict[PreparedRun, tuple[ClaimedRun, AbstractContextManager[PreparedRun]]] = {}
    for item in claimed:
        context = prepared(studio, item)
        try:
            runs[context.__enter__()] = item, context
        except Exception as error:
            yield item, error
    for run, failure in execute_prepared(list(runs)):
        item, context = runs[run]
        try:
            context.__exit__(failure and type(failure), failure, failure and failure.__traceback__)
        except Exception as error:
            failure = error
        yield item, failure


@contextmanager
def prepared(studio: Studio, claimed: ClaimedRun) -> Generator[PreparedRun]:
    """A claimed run as the engine executes it, with its files on this machine.

    Errors and notices name no path of this machine, because they are sent over the network.
    """
    from limner.engine.train.checkpoint import checkpoints

    run, lease = claimed.run, claimed.lease
    folder = studio.store.folder(run.id)
    out = folder / f"out-{lease.attempt}" / run.request.folder_name
    resume = bool(checkpoints(folder))
    _discard_results(studio, lease, folder, keep_previews=resume)
    names: dict[str, str] = {}

    def without_paths(text: str) -> str:
        for path, name in (*names.items(), (str(out), "the results"), (str(studio.home), "LIMNER_HOME")):
            text = text.replace(path, name)
        return text

    record = recorder(studio.store, run, claimed.listener, lease, studio.files)

    def emit(event: Event) -> None:
        record(event.model_copy(update={"text": without_paths(event.text)}) if isinstance(event, Notice) else event)

    screening = studio.gate.screening(run, lease, folder)
    workspace = Workspace(
        run.id,
        folder,
        out,
        cache_folder(studio.home),
        resume,
        claimed.stop,
        names=names,
        processes=os.cpu_count() or 1,
        screen=screening,
        local=False,
        home=studio.home,
        execution=run.execution,
        feedback=studio.feedback.source(viewer_of(studio, run)),
    )
    try:
        with translate_disk_errors(out):
            check_references(run.request)  # an older version may have let in others
            request = replace_references(run.request, partial(_local_path, studio, run.request, names))
            screening.admit(request)
            try:
                yield PreparedRun(request, workspace, screening.through(emit))
            finally:
                discard_previews(studio.store, run, studio.files, lease)
            screening.settle()
    except (RequestRefused, CheckUnavailable):
        discard(out.parent, folder)  # nothing stays that was not moderated
        raise
    except LimnerError as error:
        if type(error) is not LimnerError:
            raise
        raise LimnerError(without_paths(error.problem), without_paths(error.remedy)) from error


def viewer_of(studio: Studio, run: Run) -> Viewer:
    """What the account of a run sees of the image history: all for an admin, and where there are no accounts."""
    keys = studio.accounts.list() if run.owner else []
    admin = not run.owner or any(key.account == run.owner and key.role is Role.ADMIN for key in keys)
    return Viewer(run.owner, None if admin else run.owner, stored=True)


def _local_path(studio: Studio, request: Request, names: dict[str, str], reference: str) -> str:
    """The path of a stored file or folder on this machine, with its reference added to `names`."""
    if REFERENCE.fullmatch(reference) is None:
        return reference
    sha256 = reference.partition(":")[2]
    suffix = suffix_of(request, reference, lambda: studio.files.read(sha256, 0, 512))
    path = str(studio.files.local_path(reference, suffix))
    names[path] = reference
    return path


def _discard_results(studio: Studio, lease: Lease, folder: Path, keep_previews: bool) -> None:
    """Delete the results of earlier attempts, and record in the folder to which database the run belongs."""
    (folder / owner_file(studio.store)).touch()
    studio.store.discard_artifacts(lease, keep=("preview",) if keep_previews else ())
    for old in folder.glob("out-*"):
        discard(old, folder)
