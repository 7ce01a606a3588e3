"""/v1/runs: submits requests; lists, shows, cancels and retries their runs, and streams their events."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http import HTTPStatus
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BeforeValidator

from limner.core.execution import AnyBody, split_body
from limner.core.runs import Run, Status
from limner.server.auth import CallerDep
from limner.server.dependencies import QueuedRunDep, RunDep, StateDep, StudioDep, find_run
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.replies import RunReply
from limner.server.run_events import RunEvents
from limner.studio.runs import QUEUE, WrongStatus
from limner.studio.studio import Studio

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@router.post("", status_code=202, responses={200: {"model": RunReply}})
async def create_run(
    body: AnyBody,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    prefer: Annotated[str | None, Header()] = None,
) -> RunReply:
    """Submit a request as a run. With the header `Prefer: wait` or `Prefer: wait=SECONDS`, the response waits for the
    run to end.
    """
    seconds = wait_seconds(prefer, state.settings.wait_seconds)
    request, execution = split_body(body)
    run = await run_submission(partial(state.studio.enqueue, request, caller=caller, execution=execution))
    if seconds:
        run = await state.waiter.ended(run, seconds)
        response.headers["Preference-Applied"] = "wait"
    response.headers["Location"] = f"/v1/runs/{run.id}"
    response.status_code = HTTPStatus.OK if run.status.ended else HTTPStatus.ACCEPTED
    return await run_sync(run_reply, state.studio, run)


@router.get("")
def list_runs(
    state: StateDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    kind: str | None = None,
    status: Status | None = None,
    before: Annotated[str | None, Query(description="Id of a run: list the runs older than it.")] = None,
) -> list[RunReply]:
    """List runs, newest first; without keys and for admins, also those of the command line."""
    if before is not None:
        find_run(before, state, caller)
    runs = state.studio.runs.list(limit, kind, status, before, None if caller.scope is None else QUEUE, caller.scope)
    artifacts = state.studio.runs.artifacts_of(run.id for run in runs)
    notices = state.studio.runs.notices_of(run.id for run in runs)
    return [RunReply.of(run, artifacts[run.id], notices[run.id]) for run in runs]


@router.get("/{run_id}")
def show_run(run: RunDep, studio: StudioDep) -> RunReply:
    """Show a run with its status, progress and artifacts."""
    return run_reply(studio, run)


@router.post("/{run_id}/cancel")
def cancel_run(run: QueuedRunDep, state: StateDep) -> RunReply:
    """Cancel a run: at once if it is queued, after its current step if it is running."""
    return run_reply(state.studio, state.studio.runs.cancel(run.id))


@router.post("/{run_id}/move")
def move_run(
    run: QueuedRunDep,
    state: StateDep,
    caller: CallerDep,
    up: Annotated[bool, Query(description="Towards the front of the queue, or else towards its end.")],
) -> RunReply:
    """Let a queued run change places with the one before it, or after it, among those that the caller may change."""
    try:
        state.studio.runs.move(run.id, up=up, owner=caller.scope)
    except WrongStatus as error:
        raise HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
    return run_reply(state.studio, state.studio.runs.get(run.id))


@router.post("/{run_id}/stop-after")
def stop_after(run: QueuedRunDep, state: StateDep) -> list[str]:
    """Cancel the queued runs of the same account that come after a run; returns their ids. The run itself goes on."""
    return state.studio.runs.withdraw_behind(run)


@router.post("/{run_id}/retry", status_code=202)
async def retry_run(run: QueuedRunDep, state: StateDep, caller: CallerDep) -> RunReply:
    """Queue a failed or cancelled run again; training resumes from its last checkpoint."""
    try:
        run = await run_submission(partial(state.studio.retry, run, caller, state.granted))
    except WrongStatus as error:
        raise HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
    return await run_sync(run_reply, state.studio, run)


def count_stream(state: StateDep, caller: CallerDep) -> Iterator[None]:
    """Count an event stream for its account until the response ends."""
    with state.waiter.stream(caller.account):
        yield


def _none_if_blank(value: object) -> object:
    """Return 0, before the first event, for a blank `Last-Event-ID`, as the HTML standard's clients may send it."""
    return 0 if isinstance(value, str) and not value.strip() else value


@router.get("/{run_id}/events", response_class=EventSourceResponse)
async def stream_run_events(
    run: RunDep,
    state: StateDep,
    counted: Annotated[None, Depends(count_stream)],
    last_event_id: Annotated[int, BeforeValidator(_none_if_blank), Header(ge=0, lt=2**63)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the events of a run as server-sent events. `stage`, `notice`, `made` and `anew` have a number as id;
    `progress` has none; `end` is the last event. `anew` means that another attempt begins: artifacts whose hash is in
    its `gone` no longer exist. If a stream stops without `end`, reconnect with the last number as `Last-Event-ID`.
    """
    events = RunEvents(state.studio, run, last_event_id)
    while True:
        for event in await events.read():
            yield event
        if events.ended or not await state.waiter.pause(events.idle):
            return


def run_reply(studio: Studio, run: Run) -> RunReply:
    """Return a run with its artifacts and notices."""
    return RunReply.of(run, studio.runs.artifacts(run.id), studio.runs.notices_of([run.id])[run.id])


def wait_seconds(prefer: str | None, limit: float) -> float:
    """Return how long a client wants to wait, by its `Prefer` header (RFC 7240): `wait` or `wait=SECONDS`; else 0."""
    for preference in (prefer or "").lower().split(","):
        name, _, value = preference.strip().partition("=")
        if name == "wait":
            return min(float(value), limit) if re.fullmatch("[0-9]{1,9}", value) else limit
    return 0.0
