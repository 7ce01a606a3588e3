"""Maintenance of a home: erasure, retention, backup and restore."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limner.core.accounts import Caller
from limner.core.events import Event
from limner.core.runs import Run, Status
from limner.store.backup import write_backup
from limner.store.blobs import Blobs
from limner.store.erase import EraseSelection, ErasureResult, InUse, RunInProgress, erase
from limner.store.erasures import Erasure, Erasures
from limner.store.improvements import LOW_PRIORITY, repeats_without
from limner.store.prune import clean_machine, prune, remove_orphans
from limner.store.references import mentions_in
from limner.store.restore import restore_backup
from limner.store.runs import Admission, Store
from limner.studio.runs import StudioRuns

__all__ = ["EraseSelection", "Erasure", "ErasureResult", "Erasures", "InUse", "Maintenance", "RunInProgress"]
Listener = Callable[[Event], None]


class Maintenance:
    """Erases, prunes, backs up and restores the database and the files of a home.

    erasures: those that are recorded and can be undone until they are carried out.
    """

    def __init__(self, store: Store, blobs: Blobs, runs: StudioRuns) -> None:
        self._store, self._blobs, self._runs = store, blobs, runs
        self.erasures = Erasures(store, blobs)

    def erase(self, selection: EraseSelection, *, derived: bool = False, dry: bool = False) -> ErasureResult:
        """Erase a selection for good. derived: also all that was made with it. dry: only report what would be erased.

        Improvements of the queue that learnt from the feedback of an erased account are queued again. Raises InUse if
        something else was made with it, and RunInProgress if a run is being executed.
        """
        runs = tuple(self._runs.get(run).id for run in selection.runs)
        selection = dataclasses.replace(selection, runs=runs)
        done = erase(self._store, self._blobs, selection, derived=derived, dry=dry)
        again = {} if dry or selection.owner is None else self._improve_again(done.learnt, selection.owner)
        return dataclasses.replace(done, again=again)

    def _improve_again(self, runs: Iterable[str], account: str) -> dict[str, str]:
        """Queue improvements again whose feedback an account gave, each request once; returns the new ids by the old
        ones. Nobody is charged for it.
        """
        found: dict[str, str] = {}
        queued: dict[tuple[str, str], str] = {}
        for run in map(self._runs.get, runs):
            if run.queue is None or run.deleted or not repeats_without(run, account):
                continue
            key = (run.request.digest, run.owner)
            if key not in queued:
                queued[key] = self._waiting(run) or self._repeat(run)
            found[run.id] = queued[key]
        return found

    def _waiting(self, run: Run) -> str | None:
        """The run of the same request and account that has not begun; it will not learn from what is erased."""
        alike = (each for each in self._store.unfinished(run.request.digest) if each.owner == run.owner)
        return next((each.id for each in alike if each.status is Status.QUEUED and each.queue == run.queue), None)

    def _repeat(self, run: Run) -> str:
        return self._store.create(
            run.request,
            queue=run.queue,
            priority=LOW_PRIORITY,
            caller=Caller(account=run.owner),
            admission=Admission(run.policy or ""),
            execution=run.execution,
        ).id

    def prune(self, older_than: timedelta | None, protected: Iterable[str] = ()) -> ErasureResult:
        """Erase runs and uploads of this age, and delete files that nothing refers to.

        Runs stay that have a favourite or collected image, and what they and newer runs use. older_than: None to delete
        only unreferenced files. protected: texts with references of files that stay in any case.
        """
        mentions = set[str]().union(*map(mentions_in, protected))
        done = ErasureResult()
        if older_than is not None:
            done = prune(self._store, self._blobs, datetime.now(UTC) - older_than, mentions)
        orphans = remove_orphans(self._store, self._blobs, mentions)
        self.clean()
        return dataclasses.replace(done, orphans=orphans)

    def clean(self) -> None:
        """Delete what this machine still has of runs and files that were erased."""
        self.erasures.finish()
        clean_machine(self._store, self._blobs)

    def backup(self, path: Path, listener: Listener = lambda event: None) -> None:
        """Write all rows, stored files and credentials into one archive. Others may write meanwhile."""
        write_backup(self._store, self._blobs, path, listener)

    def restore(self, archive: Path, *, replace: bool = False, listener: Listener = lambda event: None) -> None:
        """Restore a backup, which is checked before anything is written.

        Raises LimnerError if there are runs already and `replace` is False.
        """
        restore_backup(self._store, self._blobs, archive, replace, listener)

    def check_files(self) -> None:
        """Raise LimnerError if files cannot be stored."""
        self._blobs.check(self._store.fingerprint)
