"""Work that a server does again and again beside its answers, as long as it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

POLL = 1.0
"""Seconds between two times."""
log = logging.getLogger("limner.web")


def repeat(app: FastAPI, what: str, work: Callable[[], None], ended: Callable[[], None] = lambda: None) -> None:
    """Do some work of an application once a second while it runs. What it raises is logged.

    what: the work in words, such as "carry out an erasure". ended: called when the application ends.
    """
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(given: Any) -> AsyncIterator[Any]:
        stopping = threading.Event()
        thread = threading.Thread(target=_work, args=(what, work, stopping), daemon=True, name=what)
        async with inner(given) as state:
            thread.start()
            try:
                yield state
            finally:
                stopping.set()
                ended()

    app.router.lifespan_context = lifespan


def _work(what: str, work: Callable[[], None], stopping: threading.Event) -> None:
    while True:
        try:
            work()
        except Exception:
            log.warning("could not %s", what, exc_info=True)
        if stopping.wait(POLL):
            return
