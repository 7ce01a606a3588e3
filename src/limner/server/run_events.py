"""Events of a run as server-sent events."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Any

from anyio.to_thread import run_sync
from fastapi.sse import ServerSentEvent

from limner.core.errors import LimnerError, Unavailable
from limner.core.events import ArtifactCreated, Event
from limner.core.runs import Artifact, Run
from limner.server.replies import ArtifactReply, error_of, map_texts, without_paths
from limner.studio.studio import Studio

KEEP_ALIVE = 15.0
"""Seconds without an event after which a comment keeps the connection open."""


class RunEvents:
    """Reads the events of a run after a number, its progress and its end.

    ended: the run ended, and no more events follow. idle: how many reads in a row found nothing new.
    """

    def __init__(self, studio: Studio, run: Run, last_id: int) -> None:
        self.studio, self.ended, self.idle = studio, False, 0
        self._run_id, self._number, self._progress, self._sent = run.id, last_id, run.progress, monotonic()

    async def read(self) -> list[ServerSentEvent]:
        """Return what is new since the last read."""
        events = await self._new_events()
        if events:
            self._sent = monotonic()
        elif monotonic() - self._sent > KEEP_ALIVE:
            self._sent = monotonic()
            return [ServerSentEvent(comment="keep-alive")]
        return events

    async def _new_events(self) -> list[ServerSentEvent]:
        try:
            run = await run_sync(self.studio.runs.get, self._run_id)
        except Unavailable:  # the next read may succeed
            self.idle += 1
            return []
        except LimnerError:
            return [self._end("erased", None)]
        events: list[ServerSentEvent] = []
        for number, created, event in await run_sync(self.studio.runs.events, run.id, self._number):
            self._number = number
            events.append(ServerSentEvent(event=event.kind, id=str(number), data=_event_data(run, created, event)))
        if run.progress is not None and run.progress != self._progress:
            self._progress = run.progress
            events.append(ServerSentEvent(event="progress", data=run.progress.model_dump(mode="json")))
        self.idle = 0 if events else self.idle + 1
        if run.status.ended:
            events.append(self._end(run.status, error_of(run)))
        return events

    def _end(self, status: str, error: str | None) -> ServerSentEvent:
        self.ended = True
        return ServerSentEvent(event="end", data={"status": status, "error": error})


def _event_data(run: Run, created: datetime, event: Event) -> dict[str, Any]:
    queued = run.queue is not None
    if not isinstance(event, ArtifactCreated):
        data = event.model_dump(mode="json")
        return data if queued else map_texts(data, without_paths)
    fields = event.model_dump(exclude={"kind", "what"})
    artifact = Artifact(run=run.id, kind=event.what, created=created, **fields)
    return ArtifactReply.of(artifact, queued=queued).model_dump(mode="json")
