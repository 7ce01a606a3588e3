"""Live progress: one stream of server-sent events for each page, with the cards of all its open jobs as HTML."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from limner.core.errors import LimnerError, Unavailable
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, ViewDep, find_run
from limner.server.run_events import KEEP_ALIVE, RunEvents
from limner.server.runs import count_stream
from limner.web.cards import CARDS, card_text

MOST_RUNS = 50
CLOSED = '<hx-partial hx-target="#live" hx-swap="outerHTML"><div id="live"></div></hx-partial>'
"""Replaces the element that opened the stream, which would open it again otherwise."""
STEADY = 100
"""What `RunWaiter.pause` is given to read once a second."""
TIMES = 5.0
"""Seconds after which a part is sent again for its times alone, such as "running for 20 s"."""
router = APIRouter()


@dataclass(frozen=True)
class PartNow:
    """A part of a page as it is now. state: equal as long as nothing but times changes. render: makes its HTML.
    open: it may still change; moving: its times do.
    """

    state: object
    render: Callable[[], str]
    open: bool = True
    moving: bool = True


async def stream_part(state: ServerState, target: str, read: Callable[[], PartNow]) -> AsyncIterator[ServerSentEvent]:
    """Stream a part of a page: as it is now, and again whenever it changes, until it is not open any more."""
    known: object = None
    sent, first = monotonic(), True
    while True:
        try:
            now = await run_sync(read)
        except Unavailable:  # the next read may succeed
            if not await state.waiter.pause(STEADY):
                return
            continue
        except LimnerError:  # it was erased
            break
        waited = monotonic() - sent
        if first or now.state != known or (now.moving and waited > TIMES):
            text = _one_line(await run_sync(now.render))
            yield ServerSentEvent(raw_data=f'<hx-partial hx-target="{target}" hx-swap="outerMorph">{text}</hx-partial>')
            known, sent, first = now.state, monotonic(), False
        elif waited > KEEP_ALIVE:
            yield ServerSentEvent(comment="keep-alive")
            sent = monotonic()
        if not now.open:
            break
        if not await state.waiter.pause(STEADY):
            return
    yield ServerSentEvent(raw_data=CLOSED)
    yield ServerSentEvent(event="end", raw_data="it has ended")


@router.get("/jobs/events", response_class=EventSourceResponse)
async def stream_jobs(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    view: ViewDep,
    counted: Annotated[None, Depends(count_stream)],
    run: Annotated[list[str] | None, Query(max_length=MOST_RUNS)] = None,
    card: str = "job",
) -> AsyncIterator[ServerSentEvent]:
    """Stream the cards of jobs until all have ended. Each connection begins with the card of every job as it is now,
    so that a page that was away misses nothing.
    """
    name = card if card in CARDS else "job"
    jobs = [_Job(found) for each in run or () if (found := await run_sync(_events, each, state, caller))]
    while jobs:
        changed = [job for job in jobs if await job.changed()]
        if changed:
            texts = [await run_sync(card_text, request, state, view, caller, job.run_id, name) for job in changed]
            yield ServerSentEvent(raw_data="".join(map(_one_line, texts)))
        elif any(job.quiet for job in jobs):
            yield ServerSentEvent(comment="keep-alive")
        jobs = [job for job in jobs if not job.events.ended]
        if jobs and not await state.waiter.pause(min(job.events.idle for job in jobs)):
            return
    yield ServerSentEvent(raw_data=CLOSED)
    yield ServerSentEvent(event="end", raw_data="all jobs have ended")


class _Job:
    """A job of a stream. quiet: its last read brought only a comment, to keep the connection open."""

    def __init__(self, found: tuple[str, RunEvents]) -> None:
        self.run_id, self.events = found
        self._first, self.quiet = True, False

    async def changed(self) -> bool:
        """Whether its card is to be sent: at first, and whenever something is new."""
        events = await self.events.read()
        self.quiet = bool(events) and all(event.comment for event in events)
        news = self._first or (bool(events) and not self.quiet)
        self._first = False
        return news


def _events(run_id: str, state: ServerState, caller: CallerDep) -> tuple[str, RunEvents] | None:
    """The events of a job from now on; None for a job that the caller may not see."""
    try:
        run = find_run(run_id, state, caller)
    except LimnerError:
        return None
    events = state.studio.runs.events(run.id)
    return run.id, RunEvents(state.studio, run, events[-1][0] if events else 0)


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
