"""Queues the trainings of drafts once their images are prepared, also while no page is open."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from limner.server.dependencies import ServerState

POLL = 1.0
"""Seconds between two searches for a draft whose images are prepared."""
log = logging.getLogger("limner.server")


def follow_drafts(app: FastAPI) -> None:
    """Follow the drafts of an application while it runs. A server that starts again goes on with them."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(given: Any) -> AsyncIterator[Any]:
        stopping = threading.Event()
        thread = threading.Thread(target=_follow, args=(app.state.server, stopping), daemon=True)
        async with inner(given) as state:
            thread.start()
            try:
                yield state
            finally:
                stopping.set()

    app.router.lifespan_context = lifespan


def _follow(state: ServerState, stopping: threading.Event) -> None:
    while not stopping.wait(POLL):
        try:
            for draft in state.studio.drafts.waiting():
                state.studio.drafts.follow(draft, state.granted)
        except Exception:
            log.warning("could not queue the training of a draft", exc_info=True)
