"""The face of it all: requests go in, runs and artifacts come out."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from limner.core.accounts import Caller
from limner.core.errors import Interrupted, LimnerError, invalid
from limner.core.events import Emit, Event, Made, Notice, Progress
from limner.core.moderation import Policy, Refused, Unable
from limner.core.requests import GenerateRequest, Known, TrainRequest, absolute, relocated
from limner.core.runs import Artifact, Run, Status
from limner.core.workspace import Workspace
from limner.moderation.gate import Gate
from limner.plugins.registry import aliases
from limner.store.accounts import Accounts
from limner.store.backup import write_backup
from limner.store.blobs import REFERENCE, Blobs
from limner.store.erase import EraseSelection, ErasureResult, erase
from limner.store.files import remove_stale_temporaries, sha256_of, translate_disk_errors
from limner.store.grants import Grants
from limner.store.locks import Locked, run_lock
from limner.store.paths import cache_folder, home
from limner.store.prune import mark, prune, sweep_machine, sweep_orphans
from limner.store.queue import Queue
from limner.store.references import mentions
from limner.store.removal import discard
from limner.store.restore import read_backup
from limner.store.retry import retry_while_unavailable
from limner.store.runs import Lease, Store
from limner.store.verdicts import Verdicts
from limner.store.webhooks import Webhooks
from limner.studio.references import check_references, suffix_of

if TYPE_CHECKING:
    from limner.provenance.verify import Verification

Listener = Callable[[Event], None]


def _silent(event: Event) -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True, eq=False)
class ClaimedRun:
    """A queued run that a worker holds; its events go to `listener`, `stop` is asked between steps."""

    run: Run
    hold: Lease
    listener: Listener = _silent
    stop: Callable[[], bool] = _never


class Studio:
    """Submits, carries out and remembers requests.

    folder: where runs, artifacts and caches are kept; the user's data folder or LIMNER_HOME when not given.
    files: where the results of queued runs are kept, a folder or a URL; LIMNER_FILES, or a folder of the home.
    policy: by which what is queued is moderated; the shipped one when not given.
    most_pixels: the most pixels that a queued run's pictures may have.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        files: str | None = None,
        policy: Policy | None = None,
        most_pixels: int | None = None,
    ) -> None:
        self.home = Path(folder) if folder is not None else home()
        self.store = Store(self.home)
        self.accounts, self.grants, self.webhooks = Accounts(self.store), Grants(self.store), Webhooks(self.store)
        self.blobs = Blobs(
            files or os.environ.get("LIMNER_FILES") or str(self.home / "files"), cache_folder(self.home) / "files"
        )
        self.verdicts = Verdicts(self.store)
        self.gate, self.most_pixels = Gate(self.verdicts, policy), most_pixels

    def submit(self, request: Known, out: str | Path | None = None, parent: str | None = None) -> Run:
        """Check a request and record it as a run; results will go to `out`, or to the run's own folder."""
        self._check_options(request)
        return self.store.create(absolute(request, aliases()), out=None if out is None else _place(out), parent=parent)

    def enqueue(
        self,
        request: Known,
        *,
        queue: str = "default",
        priority: int = 0,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        caller: Caller | None = None,
        granted: Collection[str] = (),
    ) -> Run:
        """Check a request and record it as a run that waits for a worker, and that belongs to its caller.

        granted: references that the service itself named, which the caller need not hold.

        Its files are named by reference (`sha256:HASH`, `folder:HASH`) and its models as everywhere; a path of this
        machine would mean nothing to a worker elsewhere, and is refused. So is what the policy forbids (Refused), or
        cannot be judged by it now (Unable).
        """
        self._check_options(request)
        if self.most_pixels is not None and request.pixels > self.most_pixels:
            problem = f"a picture of {request.pixels:,.0f} pixels is asked for, and {self.most_pixels:,} are the most"
            raise LimnerError(problem, "ask for a smaller one")
        self._check_held(request, caller, granted)
        verdicts = self.gate.admit(request, "" if caller is None else caller.account)
        return self.store.create(
            request,
            parent=parent,
            queue=queue,
            priority=priority,
            tags=tags,
            caller=caller,
            policy=self.gate.moderator.policy.digest,
            verdicts=verdicts,
        )

    def keep(self, place: Path, caller: Caller | None = None) -> str:
        """Keep a file or folder that somebody brings in; returns its reference.

        Raises TooMuch where more would be kept for the caller than its key allows.
        """
        who = caller or Caller()
        files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
        size = sum(file.stat().st_size for file in files)
        self.grants.check(who, size)
        reference = self.blobs.keep(place)
        self.grants.add(who, reference, size)
        return self.blobs.keep(place)  # where the same bytes were being erased meanwhile, they are put back

    def erase(self, wanted: EraseSelection, *, derived: bool = False, dry: bool = False) -> ErasureResult:
        """Erase runs, files, or all that is somebody's, for good. derived: and all that was made with it.

        dry: only tell what would go. Raises InUse where something else was made with it, and for what is being carried
        out.
        """
        runs = tuple(self._settled(self.store.get(run)).id for run in wanted.runs)
        return erase(self.store, self.blobs, replace(wanted, runs=runs), derived=derived, dry=dry)

    def prune(
        self,
        older_than: timedelta | None,
        protected: Iterable[str] = (),
    ) -> ErasureResult:
        """Erase the ended runs and the uploads that are older, but for those with a favourite or a collected picture
        and what others stand on; sweep what nothing refers to. protected: references of files that stay in any case.
        """
        told = set[str]().union(*map(mentions, protected))
        done = ErasureResult()
        if older_than is not None:
            done = prune(self.store, self.blobs, datetime.now(UTC) - older_than, told)
        orphans = sweep_orphans(self.store, self.blobs, told)
        self.sweep()
        return replace(done, orphans=orphans)

    def check(self) -> None:
        """Raise LimnerError, in one line, where files cannot be kept."""
        self.blobs.check(self.store.stamp)

    def remove_stale_temporaries(self) -> None:
        """Remove what this machine still has of runs and files that were erased by another one."""
        sweep_machine(self.store, self.blobs)

    def backup(self, place: Path, listener: Listener = _silent) -> None:
        """Write runs, events, artifacts and all else that the database tells, the kept files and the credentials into
        one archive; others may go on meanwhile.
        """
        write_backup(self.store, self.blobs, place, listener)

    def restore(self, archive: Path, *, replace: bool = False, listener: Listener = _silent) -> None:
        """Put everything back that a backup holds, which is checked before anything is written.

        Raises LimnerError where there are runs already, unless they shall be replaced.
        """
        read_backup(self.store, self.blobs, archive, replace, listener)

    def _check_held(self, request: Known, caller: Caller | None, granted: Collection[str]) -> None:
        references = check_references(request)
        if caller is not None and caller.scope is not None:
            for reference in self.grants.missing(caller.account, {*references} - {*granted}):
                raise LimnerError(f"{reference!r} is not yours", "upload it, or have it shared with you")

    def retry(self, run: Run, caller: Caller | None = None, granted: Collection[str] = ()) -> Run:
        """Have a queued run that ended badly carried out again, if it may be asked for today as `enqueue` has it."""
        self._check_held(run.request, caller, granted)
        verdicts = self.gate.admit(run.request, run.owner, run.id)
        policy = self.gate.moderator.policy.digest
        again = Queue(self.store, run.queue or "default").retry(run.id, policy, caller)
        self.verdicts.add(verdicts, policy, run=run.id, owner=run.owner)
        return again

    def run(
        self,
        request: Known,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        parent: str | None = None,
        listener: Listener = _silent,
        stop: Callable[[], bool] = _never,
    ) -> Run:
        """Submit a request and carry it out here and now; `resume` goes on with its interrupted run.

        A resumed run's result goes where it was to go, or to `out` when that is given anew.
        """
        if resume:
            interrupted = self._to_resume(absolute(request, aliases()))
            return self.execute(interrupted, out, resume=True, listener=listener, stop=stop)
        return self.execute(self.submit(request, out, parent), listener=listener, stop=stop)

    def execute(
        self,
        run: Run,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        together: int | None = None,
        listener: Listener = _silent,
        stop: Callable[[], bool] = _never,
    ) -> Run:
        """Carry out a recorded run; `out` overrules where its result was to go.

        Its events go to `listener`, `stop` is asked between steps. together: see Workspace.
        """
        from limner.engine.execute import execute

        with self._begun(run, out, resume=resume, together=together, stop=stop) as workspace:
            execute(run.request, workspace, self._recorder(run, listener))
        return self.store.get(run.id)

    def run_together(
        self,
        requests: Sequence[GenerateRequest],
        out: str | Path,
        *,
        listener: Callable[[int, Event], None] = lambda number, event: None,
        stop: Callable[[], bool] = _never,
    ) -> builtins.list[Run]:
        """Submit generate requests of one batch key and carry them out here and now, through the model together.

        listener: gets each event with the number of its request. Raises the first failure, once all have ended.
        """
        from limner.engine.execute import execute_together
        from limner.engine.generate.batching import Order

        runs = [self.submit(request, out) for request in requests]
        begun: dict[Order, ExitStack] = {}
        failures: builtins.list[Exception] = []
        with ExitStack() as all_of_them:
            for number, (run, request) in enumerate(zip(runs, requests, strict=True)):
                stack = all_of_them.enter_context(ExitStack())
                workspace = stack.enter_context(self._begun(run, stop=stop))
                begun[Order(request, workspace, self._recorder(run, partial(listener, number)))] = stack
            for order, failure in execute_together(list(begun)):
                try:
                    with begun[order]:  # records how this one ended
                        if failure is not None:
                            raise failure
                except Exception as error:
                    failures.append(error)
        if failures:
            raise failures[0]
        return [self.store.get(run.id) for run in runs]

    @contextmanager
    def _begun(
        self,
        run: Run,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        together: int | None = None,
        stop: Callable[[], bool] = _never,
    ) -> Generator[Workspace]:
        """Run a recorded run's block: record its start, and its end as done, failed or interrupted."""
        folder = self.store.folder(run.id)
        place = run.out if out is None else _place(out)
        out = Path(place) if place else folder / "out"
        workspace = Workspace(run.id, folder, out, cache_folder(self.home), resume, stop, together, home=self.home)
        with run_lock(folder):
            began = run.started or datetime.now(UTC)
            self.store.update(run.id, status=Status.RUNNING, out=place, started=began, error=None)
            for littered in (out, out.parent, folder):
                remove_stale_temporaries(littered)
            try:
                with translate_disk_errors(out):
                    yield workspace
            except (Interrupted, KeyboardInterrupt) as error:
                self._finish(run, Status.INTERRUPTED, str(error) or "stopped")
                raise
            except BaseException as error:
                self._finish(run, Status.FAILED, str(error) or type(error).__name__)
                raise
            self._finish(run, Status.DONE, None)

    def carry_out(
        self, run: Run, hold: Lease, *, listener: Listener = _silent, stop: Callable[[], bool] = _never
    ) -> None:
        """Carry out a queued run as the worker that holds it; the worker says what becomes of it.

        What it makes is kept by its content. A second attempt goes on from a checkpoint where there is one, and else
        begins anew.
        """
        from limner.engine.execute import execute

        with self._undertaken(ClaimedRun(run, hold, listener, stop)) as (request, workspace, emit):
            execute(request, workspace, emit)

    def carry_out_together(self, parts: Sequence[ClaimedRun]) -> Generator[tuple[ClaimedRun, Exception | None]]:
        """Carry out queued runs of one batch key; yields each as it ends, with why where it ended early."""
        from limner.engine.execute import execute_together
        from limner.engine.generate.batching import Order

        begun: dict[Order, tuple[ClaimedRun, AbstractContextManager[Any]]] = {}
        for part in parts:
            undertaken = self._undertaken(part)
            try:
                request, workspace, emit = undertaken.__enter__()
                assert isinstance(request, GenerateRequest)
                begun[Order(request, workspace, emit)] = part, undertaken
            except Exception as error:
                yield part, error
        for order, failure in execute_together(list(begun)) if begun else ():
            part, undertaken = begun[order]
            try:
                undertaken.__exit__(failure and type(failure), failure, failure and failure.__traceback__)
            except Exception as told:
                failure = told
            yield part, failure

    @contextmanager
    def _undertaken(self, part: ClaimedRun) -> Generator[tuple[Known, Workspace, Emit]]:
        """A queued run as the engine takes it, with its files on this machine; its errors tell of none of them."""
        from limner.engine.train.checkpoint import checkpoints

        run, hold = part.run, part.hold
        folder = self.store.folder(run.id)
        (folder / mark(self.store)).touch()
        out = folder / f"out-{hold.attempt}" / run.request.name
        resume = bool(checkpoints(folder))
        self.store.forget_made(hold, keep=("preview",) if resume else ())
        for old in folder.glob("out-*"):
            discard(old, folder)
        names: dict[str, str] = {}

        def brought(reference: str) -> str:
            if REFERENCE.fullmatch(reference) is None:
                return reference
            place = str(self.blobs.bring(reference, suffix_of(run.request, reference)))
            names[place] = reference
            return place

        def told(text: str) -> str:
            """What may be said to those who call over a network: no path of this machine."""
            for place, reference in (*names.items(), (str(out), "the results"), (str(self.home), "LIMNER_HOME")):
                text = text.replace(place, reference)
            return text

        emit = self._recorder(run, part.listener, hold)
        screening = self.gate.screening(run, hold, folder)

        def emit_told(event: Event) -> None:
            emit(event.model_copy(update={"text": told(event.text)}) if isinstance(event, Notice) else event)

        cache = cache_folder(self.home)
        cores = os.cpu_count() or 1
        workspace = Workspace(
            run.id,
            folder,
            out,
            cache,
            resume,
            part.stop,
            names=names,
            processes=cores,
            screen=screening,
            home=self.home,
        )
        try:
            with translate_disk_errors(out):
                check_references(run.request)  # which a version before this one may have let in
                request = relocated(run.request, brought)
                screening.admit(request)
                yield request, workspace, screening.through(emit_told)
                screening.settle()
        except (Refused, Unable):
            discard(out.parent, folder)  # nothing that was not judged stays
            raise
        except LimnerError as error:
            if type(error) is not LimnerError:
                raise
            raise LimnerError(told(error.problem), told(error.remedy)) from error

    def assist(self, request: Known, *, stop: Callable[[], bool] = _never) -> None:
        """Take a share of what another process carries out, as `accelerate launch` has it; nothing is recorded here."""
        from limner.engine.execute import execute

        self._check_options(request)
        with TemporaryDirectory() as folder:
            own = Path(folder)
            workspace = Workspace("assistant", own, own / "out", cache_folder(self.home), stop=stop, home=self.home)
            execute(absolute(request, aliases()), workspace, _silent)

    def again(
        self,
        picture: str | Path,
        out: str | Path | None = None,
        *,
        listener: Listener = _silent,
        stop: Callable[[], bool] = _never,
    ) -> Run:
        """Carry out the request that a picture of ours carries: the same pixels on the same machine."""
        from limner.engine.generate.reproduce import repeated

        request, together = repeated(Path(picture), self._places, listener)
        run = self.submit(request, out, self._maker(Path(picture)))
        return self.execute(run, together=together, listener=listener, stop=stop)

    def verify(self, picture: str | Path, visible: Callable[[Run], bool] = lambda run: True) -> Verification:
        """Whether a picture is ours, and whether it was changed since; what its labels say.

        Runs that made it are named where they are `visible`. Raises LimnerError for what is no picture.
        """
        return self.attributed(examined(picture, self.home), picture, visible)

    def attributed(
        self, verdict: Verification, picture: str | Path, visible: Callable[[Run], bool] = lambda run: True
    ) -> Verification:
        """A verdict with the runs that made the picture, where they are `visible`."""

        def maker(**known: str) -> str | None:
            runs = (self.store.get(made.run) for made in self.store.artifacts(limit=10, **known))
            return next((run.id for run in runs if visible(run)), None)

        found = verdict.mark
        if found is not None and found.name is not None:
            found = found.model_copy(update={"run": maker(mark=found.name, kind="picture")})
        return verdict.model_copy(update={"mark": found, "run": maker(sha256=sha256_of(Path(picture)))})

    def check_credentials(self) -> None:
        """Raise LimnerError where pictures could not be signed; Limner's own key is made where there is none."""
        from limner.provenance import credentials

        credentials.check(self.home)

    def models(self) -> builtins.list[Any]:
        """The base models that have names: name, family, reference, gigabytes, memory, licence, place on disk."""
        from limner.models.catalog import library

        return library()

    def fetch(self, model: str, *, listener: Listener = _silent) -> Path:
        """Bring a base model from the Hugging Face hub onto this machine; returns where it is."""
        from limner.models.catalog import fetch

        return fetch(model, listener)

    def runs(self, limit: int = 20) -> builtins.list[Run]:
        """The newest runs first."""
        return [self._settled(run) for run in self.store.list(limit)]

    def show(self, run_id: str) -> tuple[Run, builtins.list[Artifact]]:
        """A run and what it made; the start of an id is enough when it is the only one."""
        run = self._settled(self.store.get(run_id))
        return run, self.store.artifacts(run.id)

    def events(self, run_id: str) -> builtins.list[tuple[int, datetime, Event]]:
        """The kept events of a run: number, time, event."""
        return self.store.events(run_id)

    def _recorder(self, run: Run, listener: Listener, hold: Lease | None = None) -> Emit:
        """What keeps a run's events and artifacts; those of a queued run by their content too."""

        def note(event: Event) -> None:
            if isinstance(event, Made):
                self.store.add_artifact(run.id, event.what, event.path, event.sha256, event.details, hold)
            self.store.add_event(run.id, event, hold)

        def emit(event: Event) -> None:
            if isinstance(event, Made) and hold is not None:
                reference = self.blobs.keep(Path(event.path))
                event = event.model_copy(update={"details": event.details | {"reference": reference}})
            seconds = 0.0 if hold is None else hold.lease
            if not isinstance(event, Progress):
                retry_while_unavailable(partial(note, event), seconds)
            if isinstance(event, Made) and hold is not None:
                self.blobs.keep(Path(event.path))  # where the same bytes were being erased meanwhile
            listener(event)

        return emit

    def _to_resume(self, request: Known) -> Run:
        """The newest unfinished run of this request that left a checkpoint, or the newest where none did."""
        from limner.engine.train.checkpoint import checkpoints

        unfinished = self.store.unfinished(request.digest)
        if not unfinished:
            raise LimnerError("there is no interrupted run of this request", "leave out --resume to begin one")
        return next((run for run in unfinished if checkpoints(self.store.folder(run.id))), unfinished[0])

    def _settled(self, run: Run) -> Run:
        """The run, marked as interrupted where the program that carried it out is gone."""
        if run.status is not Status.RUNNING or run.queue is not None:
            return run
        with suppress(Locked), run_lock(self.store.folder(run.id)):
            run = self.store.get(run.id)
            if run.status is Status.RUNNING:
                told = self.store.events(run.id)
                last = told[-1][1] if told else run.started
                error = "the program that carried it out ended"
                return self.store.update(run.id, status=Status.INTERRUPTED, error=error, finished=last)
        return run

    def _places(self, sha256: str) -> builtins.list[str]:
        """Where runs left what has this hash."""
        return [artifact.path for artifact in self.store.artifacts(sha256=sha256)]

    def _maker(self, picture: Path) -> str | None:
        """The id of the run that made exactly this file, None where the history does not know it."""
        known = self.store.artifacts(sha256=sha256_of(picture), limit=1)
        return known[0].run if known else None

    def _finish(self, run: Run, status: Status, error: str | None) -> Run:
        return self.store.update(run.id, status=status, error=error, finished=datetime.now(UTC))

    def _check_options(self, request: Known) -> None:
        request.check()
        if isinstance(request, TrainRequest):
            from limner.plugins.registry import methods

            try:
                methods.get(request.method).Options.model_validate(request.options)
            except ValidationError as error:
                raise invalid(error) from error


def examined(picture: str | Path, home: Path) -> Verification:
    """What a picture's labels, credentials and mark say. Parses the file and uses no database, so it can run in another
    process.
    """
    from limner.provenance.verify import verify

    return verify(picture, home)


def _place(out: str | Path) -> str:
    return str(Path(out).expanduser().resolve())


def methods() -> list[str]:
    """The ways to learn, by name."""
    from limner.plugins.registry import methods

    return methods.names()


def method_options(method: str) -> type[Any]:
    """The options model of a way to learn, for surfaces that turn fields into flags or forms."""
    from limner.plugins.registry import methods

    return methods.get(method).Options
