"""The facade: submits requests, and executes them here or queues them for workers."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, invalid
from limner.core.events import Event
from limner.core.execution import Execution
from limner.core.files import expand_home
from limner.core.kinds import KINDS
from limner.core.moderation import Policy
from limner.core.requests import GenerateRequest, KnownRequest, TrainRequest, absolute_paths
from limner.core.runs import Run
from limner.core.workspace import Workspace
from limner.models.libraries import import_libraries
from limner.moderation.enforcement import Enforcer
from limner.plugins.registry import aliases
from limner.store.files import sha256_of
from limner.store.grants import Grants
from limner.store.paths import cache_folder, home
from limner.store.queue import Queue
from limner.store.runs import Admission, Store
from limner.studio.discover import StudioDiscover
from limner.studio.drafts import StudioDrafts
from limner.studio.execution import execute_here
from limner.studio.feedback import StudioFeedback
from limner.studio.files import StudioFiles
from limner.studio.images import StudioImages, Viewer
from limner.studio.library import StudioLibrary
from limner.studio.maintenance import Maintenance
from limner.studio.promotions import StudioPromotions
from limner.studio.references import check_references
from limner.studio.runs import QUEUE, StudioRuns
from limner.studio.service import Accounts, IdempotencyRecords, ImageCollections, Verdicts, Webhooks, shared_secret
from limner.studio.training import StudioTraining

Listener = Callable[[Event], None]
MAX_DEPTH = 400
"""Most folders of a path, which Python creates by recursion."""


def _ignore(event: Event) -> None:
    return None


def _ignore_all(index: int, event: Event) -> None:
    return None


def _never() -> bool:
    return False


class Studio:
    """Submits requests, and executes or queues them. Its parts give access to everything else:

    runs, images, feedback, files, library, maintenance, accounts, collections, verdicts, webhooks, drafts, training,
    promotions, discover.

    folder: the home, with runs, artifacts and caches; by default $LIMNER_HOME, or the user's data folder.
    files: where files are stored by content, a folder or a URL; by default $LIMNER_FILES, or a folder of the home.
    policy: moderates queued requests; by default the one that ships with Limner.
    most_pixels: the most pixels of an image that a queued run may generate.
    ends: whether the process executes one run and ends, so that it imports only what that run uses.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        files: str | None = None,
        policy: Policy | None = None,
        most_pixels: int | None = None,
        *,
        ends: bool = False,
    ) -> None:
        self.ends = ends
        self.home = Path(folder) if folder is not None else home()
        self.store = Store(self.home)
        self.files = StudioFiles(
            files or os.environ.get("LIMNER_FILES") or str(self.home / "files"),
            cache_folder(self.home) / "files",
            Grants(self.store),
        )
        self.runs = StudioRuns(self.store)
        self.images = StudioImages(self.store, self.files)
        self.feedback = StudioFeedback(self.store, self.files, self.images)
        self.maintenance = Maintenance(self.store, self.files, self.runs)
        self.accounts, self.collections = Accounts(self.store), ImageCollections(self.store)
        self.library = StudioLibrary(self.store, self.files, self.runs)
        self.webhooks, self.verdicts = Webhooks(self.store), Verdicts(self.store)
        self.drafts = StudioDrafts(self.store, self.files, self.runs, self.enqueue)
        self.promotions = StudioPromotions(self.store, self.files, self.enqueue)
        self.training = StudioTraining(self.store, self.files, self.runs)
        self.gate, self.most_pixels = Enforcer(self.verdicts, policy), most_pixels
        self.discover = StudioDiscover(self.store, self.images, self.files, self.gate)

    def submit(
        self,
        request: KnownRequest,
        out: str | Path | None = None,
        parent: str | None = None,
        execution: Execution | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Validate a request and record it as a run; a request that is refused is not recorded.

        out: folder for the results; by default the run's own folder.
        """
        request = request.expanded()
        self._check_options(request)
        out = None if out is None else _absolute(out)
        kind = KINDS[request.kind]
        kind.load_check()(request, execution or Execution(), None if out is None else Path(out))
        request = absolute_paths(request, aliases())
        return self.store.create(request, out=out, parent=parent, execution=execution, tags=tags)

    def enqueue(
        self,
        request: KnownRequest,
        *,
        queue: str = QUEUE,
        priority: int = 0,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        caller: Caller | None = None,
        granted: Collection[str] = (),
        execution: Execution | None = None,
    ) -> Run:
        """Validate a request and queue it for a worker, as a run of the caller.

        Files are named by reference (`sha256:HASH`, `folder:HASH`), because paths differ between machines. granted:
        references that the caller may use besides its own. Names and values are checked as far as that needs no files
        and models, which only workers have. Raises LimnerError for an invalid request, RequestRefused if
        the policy forbids it, and Unable if a required check cannot judge it now.
        """
        self._check_options(request)
        if self.most_pixels is not None and request.pixels > self.most_pixels:
            problem = f"an image of {request.pixels:,.0f} pixels is requested, and the limit is {self.most_pixels:,}"
            raise LimnerError(problem, "request a smaller one")
        self._check_references(request, caller, granted)
        KINDS[request.kind].load_value_check()(request)
        request = request.expanded(lambda reference: str(self.files.local_path(reference)))
        check_references(request)
        verdicts = self.gate.admit(request, "" if caller is None else caller.account)
        return self.store.create(
            request,
            parent=parent,
            queue=queue,
            priority=priority,
            tags=tags,
            caller=caller,
            admission=Admission(self.gate.moderator.policy.digest, verdicts),
            execution=execution,
        )

    def retry(self, run: Run, caller: Caller | None = None, granted: Collection[str] = ()) -> Run:
        """Queue a failed, interrupted or cancelled run again, checked as by `enqueue`. Raises WrongStatus."""
        self._check_references(run.request, caller, granted)
        verdicts = self.gate.admit(run.request, run.owner, run.id)
        policy = self.gate.moderator.policy.digest
        again = Queue(self.store, run.queue or QUEUE).retry(run.id, policy, caller)
        self.verdicts.add(verdicts, policy, run=run.id, owner=run.owner)
        return again

    def run(
        self,
        request: KnownRequest,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        parent: str | None = None,
        listener: Listener = _ignore,
        stop: Callable[[], bool] = _never,
        execution: Execution | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Submit a request and execute it here.

        resume: continue its interrupted run instead, whose results go to the folder recorded for it unless `out` is
        given. listener: receives the events. stop: called between steps; when it returns True, the run is interrupted.
        """
        if resume:
            interrupted = self._to_resume(absolute_paths(request, aliases()))
            return self.execute(interrupted, out, resume=True, listener=listener, stop=stop, execution=execution)
        return self.execute(self.submit(request, out, parent, execution, tags), listener=listener, stop=stop)

    def run_batch(
        self,
        requests: Sequence[GenerateRequest],
        out: str | Path,
        *,
        listener: Callable[[int, Event], None] = _ignore_all,
        stop: Callable[[], bool] = _never,
        tags: Sequence[Mapping[str, str]] | None = None,
    ) -> builtins.list[Run]:
        """Submit generate requests with the same batch key and execute them here in one batch.

        listener: receives each event with the index of its request. tags: of each request. Raises the first error
        after all runs have ended.
        """
        every = [None] * len(requests) if tags is None else tags
        runs = [self.submit(request, out, tags=each) for request, each in zip(requests, every, strict=True)]
        feedback = self.feedback.source(Viewer())
        execute_here(self.store, runs, files=self.files, listener=listener, stop=stop, feedback=feedback)
        return [self.store.get(run.id) for run in runs]

    def execute(
        self,
        run: Run,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        batch: int | None = None,
        listener: Listener = _ignore,
        stop: Callable[[], bool] = _never,
        execution: Execution | None = None,
    ) -> Run:
        """Execute a recorded run here.

        out, execution: replace what was recorded for the run. batch: see Workspace.
        """
        if execution is not None:
            run = self.store.update(run.id, execution=execution.model_dump(mode="json", exclude_defaults=True))
        out = None if out is None else Path(_absolute(out))
        if self.ends:
            import_libraries(run.request, run.execution)

        def listen(index: int, event: Event) -> None:
            listener(event)

        execute_here(
            self.store,
            [run],
            out,
            resume=resume,
            batch=batch,
            files=self.files,
            listener=listen,
            stop=stop,
            feedback=self.feedback.source(Viewer()),
        )
        return self.store.get(run.id)

    def reproduce(
        self,
        image: str | Path,
        out: str | Path | None = None,
        *,
        read_files: bool = False,
        listener: Listener = _ignore,
        stop: Callable[[], bool] = _never,
    ) -> Run:
        """Execute the request in an image's label again: the same pixels on the same machine.

        read_files: read the files that the label names even if the image was not made here. A stranger's image may
        name any file; without this, LimnerError lists them.
        """
        from limner.engine.generate.reproduce import request_of_image

        path = Path(image)
        request, execution, batch = request_of_image(path, self._paths, listener, read_files=read_files)
        known = self.store.artifacts(sha256=sha256_of(path), limit=1)
        run = self.submit(request, out, known[0].run if known else None, execution)
        return self.execute(run, batch=batch, listener=listener, stop=stop)

    def assist(
        self, request: KnownRequest, *, stop: Callable[[], bool] = _never, execution: Execution | None = None
    ) -> None:
        """Execute a share of a request as a secondary process of `accelerate launch`; nothing is recorded."""
        from limner.engine.execute import execute

        self._check_options(request)
        with TemporaryDirectory() as folder:
            own = Path(folder)
            workspace = Workspace(
                "assistant",
                own,
                own / "out",
                cache_folder(self.home),
                stop=stop,
                home=self.home,
                execution=execution or Execution(),
            )
            execute(absolute_paths(request, aliases()), workspace, _ignore)

    def models(self) -> builtins.list[Any]:
        """The base models with a name: name, family, reference, size in GB, memory, licence, path if downloaded."""
        from limner.models.catalog import list_models

        return list_models()

    def fetch(self, model: str, *, listener: Listener = _ignore) -> Path:
        """Download a base model from the Hugging Face hub; returns its path."""
        from limner.models.catalog import fetch

        return fetch(model, listener)

    def delete_model(self, model: str) -> int:
        """Delete the downloaded files of a base model; returns how many bytes are free then.

        Raises LimnerError for one that is not downloaded, or that is part of Limner.
        """
        from limner.models.catalog import delete

        return delete(model)

    def check_credentials(self) -> None:
        """Raise LimnerError if images could not be signed. Limner's own key is created if missing."""
        from limner.provenance import credentials

        credentials.check_signing(self.home)

    def idempotency_records(self, timeout: timedelta) -> IdempotencyRecords:
        """The responses stored by idempotency key. timeout: a call without a response for so long counts as lost."""
        return IdempotencyRecords(self.store, timeout)

    def secret(self, name: str) -> bytes:
        """The 32 random bytes that all processes of the service share under a name."""
        return shared_secret(self.store, name)

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    def _check_references(self, request: KnownRequest, caller: Caller | None, granted: Collection[str]) -> None:
        """Raise LimnerError for a file that other machines do not have, or the caller may not use."""
        references = check_references(request)
        self.maintenance.erasures.check(references)
        if caller is not None and caller.scope is not None:
            for reference in self.files.grants.missing(caller.account, {*references} - {*granted}):
                raise LimnerError(f"{reference!r} is not yours", "upload it, or have it shared with you")

    def _to_resume(self, request: KnownRequest) -> Run:
        """The newest unfinished run of a request that has a checkpoint; the newest one if none has."""
        from limner.engine.train.checkpoint import checkpoints

        unfinished = self.store.unfinished(request.digest)
        if not unfinished:
            raise LimnerError("there is no interrupted run of this request", "leave out --resume to start one")
        return next((run for run in unfinished if checkpoints(self.store.folder(run.id))), unfinished[0])

    def _paths(self, sha256: str) -> builtins.list[str]:
        """The paths of artifacts with this hash."""
        return [artifact.path for artifact in self.store.artifacts(sha256=sha256)]

    def _check_options(self, request: KnownRequest) -> None:
        """Raise LimnerError for an invalid request, or invalid options of its training method."""
        request.check()
        if isinstance(request, TrainRequest):
            from limner.plugins.registry import methods

            try:
                methods.get(request.method).Options.model_validate(request.options)
            except ValidationError as error:
                raise invalid(error) from error


def _absolute(path: str | Path) -> str:
    place = expand_home(path)
    if len(place.parts) > MAX_DEPTH:
        raise LimnerError(
            f"{str(path)[:80]!r} has {len(place.parts):,} folders in one another", "choose a shorter path"
        )
    return str(place.resolve())
