"""/v1/runs: requests as they are, POSTed; what became of them, listed, watched, cancelled, tried again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import Made
from limner.core.execution import AnyBody, split_body
from limner.core.runs import Artifact, Run, Status
from limner.server.admission import admitted
from limner.server.auth import caller
from limner.server.problems import Refusal
from limner.server.replies import ArtifactReply, RunReply
from limner.server.settings import Settings
from limner.server.waiting import ended, waiting
from limner.studio.runs import QUEUE, UnreadableRun, WrongStatus
from limner.studio.studio import Studio

QUIET = 15.0
"""Seconds after which a silent stream of events says that it is alive."""


def router(studio: Studio, settings: Settings, granted: frozenset[str] = frozenset()) -> APIRouter:
    """The routes of runs."""
    routes = APIRouter(prefix="/v1/runs", tags=["runs"])
    find = finder(studio)

    def told(run: Run) -> RunReply:
        return RunReply.of(run, studio.runs.artifacts(run.id))

    @routes.post("", status_code=202, responses={200: {"model": RunReply}})
    async def submit(
        request: AnyBody,
        response: Response,
        prefer: Annotated[str | None, Header()] = None,
        who: Caller = Depends(caller),
    ) -> RunReply:
        """Have a request carried out. With `Prefer: wait`, or `wait=SECONDS`, the answer comes with the result."""
        seconds = patience(prefer, settings.wait_seconds)
        asked, execution = split_body(request)
        run = await admitted(partial(studio.enqueue, asked, caller=who, execution=execution))
        if seconds:
            run = await ended(studio, run, seconds)
            response.headers["Preference-Applied"] = "wait"
        response.headers["Location"] = f"/v1/runs/{run.id}"
        response.status_code = HTTPStatus.OK if run.status.ended else HTTPStatus.ACCEPTED
        return await run_sync(told, run)

    @routes.get("")
    def listed(
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        kind: str | None = None,
        status: Status | None = None,
        before: Annotated[str | None, Query(description="Id of a run: list those older than it.")] = None,
        who: Caller = Depends(caller),
    ) -> list[RunReply]:
        """Runs, newest first."""
        if before is not None:
            find(before, who)
        runs = studio.runs.list(limit, kind, status, before, QUEUE, who.scope)
        made = studio.runs.artifacts_of(run.id for run in runs)
        return [RunReply.of(run, made[run.id]) for run in runs]

    @routes.get("/{run_id}")
    def shown(run: Run = Depends(find)) -> RunReply:
        """A run as it stands."""
        return told(run)

    @routes.post("/{run_id}/cancel")
    def cancelled(run: Run = Depends(find)) -> RunReply:
        """Give a run up: at once where it waits, after its present step where it is being carried out."""
        return told(studio.runs.cancel(run.id))

    @routes.post("/{run_id}/retry", status_code=202)
    async def tried_again(run: Run = Depends(find), who: Caller = Depends(caller)) -> RunReply:
        """Have a run that ended badly carried out again; a training goes on from its last checkpoint."""
        try:
            return await run_sync(told, await admitted(partial(studio.retry, run, who, granted)))
        except WrongStatus as error:
            raise Refusal(HTTPStatus.CONFLICT, error.problem, error.remedy) from error

    def counted(who: Caller = Depends(caller)) -> Iterator[None]:
        """Counts a stream for its account until the answer has ended."""
        with waiting(studio).stream(who.account):
            yield

    @routes.get("/{run_id}/events", response_class=EventSourceResponse)
    async def watched(
        run: Run = Depends(find),
        last_event_id: Annotated[int, Header(ge=0, lt=2**63)] = 0,
        counted: None = Depends(counted),
    ) -> AsyncIterator[ServerSentEvent]:
        """What happens in a run, as server-sent events: `stage`, `notice`, `made`, each with a number to go on from;
        `progress` without; and `end`, after which no more come. `anew`, numbered too: another attempt begins, and what
        was made before holds no more where its hash is among those that are `gone`. A stream that ends without `end`
        goes on from its last number.
        """
        number, before, spoke, quiet = last_event_id, run.progress, monotonic(), 0
        while True:
            known = number, before
            try:
                run = await run_sync(studio.runs.get, run.id)
            except LimnerError:  # it was erased
                yield ServerSentEvent(event="end", data={"status": "erased", "error": None})
                return
            for seq, moment, event in await run_sync(studio.runs.events, run.id, number):
                number = seq
                body = event.model_dump(mode="json")
                if isinstance(event, Made):
                    made = Artifact(
                        run=run.id, kind=event.what, created=moment, **event.model_dump(exclude={"kind", "what"})
                    )
                    body = ArtifactReply.of(made).model_dump(mode="json")
                yield ServerSentEvent(event=event.kind, id=str(number), data=body)
                spoke = monotonic()
            if run.progress is not None and run.progress != before:
                before, spoke = run.progress, monotonic()
                yield ServerSentEvent(event="progress", data=run.progress.model_dump(mode="json"))
            if run.status.ended:
                yield ServerSentEvent(event="end", data={"status": run.status, "error": run.error})
                return
            if monotonic() - spoke > QUIET:
                spoke = monotonic()
                yield ServerSentEvent(comment="still at it")
            quiet = quiet + 1 if (number, before) == known else 0
            if not await waiting(studio).pause(quiet):
                return

    return routes


def finder(studio: Studio) -> Callable[..., Run]:
    """What finds a run of the queue that the caller may see; those of the command line are nobody's business here."""

    def find(run_id: str, who: Caller = Depends(caller)) -> Run:
        try:
            run = studio.runs.get(run_id)
            if (run.id, run.queue) == (run_id, QUEUE) and who.scope in (None, run.owner):
                return run
        except UnreadableRun as error:
            raise Refusal(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
        except LimnerError:
            pass
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no run {run_id[:40]!r}", "GET /v1/runs lists those there are")

    return find


def patience(prefer: str | None, most: float) -> float:
    """Seconds that a client would wait for a result, by its `Prefer` header (RFC 7240): `wait` or `wait=10`."""
    for wish in (prefer or "").lower().split(","):
        name, _, value = wish.strip().partition("=")
        if name == "wait":
            return min(float(value), most) if re.fullmatch("[0-9]{1,9}", value) else most
    return 0.0
