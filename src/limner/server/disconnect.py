"""A client that waits for a result, and may go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from time import monotonic

from anyio.to_thread import run_sync
from fastapi import Request

from limner.core.errors import LimnerError
from limner.core.runs import Run, Status
from limner.server.problems import Refusal
from limner.server.waiting import ended
from limner.studio.studio import Studio

LOOK = 0.5
"""Seconds between two looks at whether the client is still there."""


async def result(studio: Studio, request: Request, run: Run, seconds: float) -> Run:
    """The run when it is done; refused with the reason where it is not after so many seconds."""
    began = monotonic()
    async with wanted(studio, request, run):
        run = await ended(studio, run, seconds)
    check_done(run, monotonic() - began)
    return run


def check_done(run: Run, seconds: float) -> None:
    """Refuse with the reason why the pictures of a run are not there after so many seconds."""
    more = f"GET /v1/runs/{run.id} tells more"
    if run.status is Status.FAILED:
        status = HTTPStatus.INTERNAL_SERVER_ERROR if run.internal_error else HTTPStatus.UNPROCESSABLE_ENTITY
        raise Refusal(status, run.error or "it failed", more)
    if run.status is Status.CANCELLED:
        raise Refusal(HTTPStatus.CONFLICT, "the run was cancelled before it was done", "ask again for a new one")
    if run.status is not Status.DONE:
        told = f"the picture is not there after {seconds:.0f} s ({run.status})"
        raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, told, f"GET /v1/runs/{run.id} tells when it is")


@asynccontextmanager
async def wanted(studio: Studio, request: Request, run: Run) -> AsyncIterator[None]:
    """While the block lasts, give the run up when its client goes away before it is begun.

    One that sent an `Idempotency-Key` means to come back for the result.
    """

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(LOOK)
        with suppress(LimnerError):
            await run_sync(studio.runs.withdraw, run.id)

    watcher = None if "idempotency-key" in request.headers else asyncio.create_task(watch())
    try:
        yield
    finally:
        if watcher is not None:
            watcher.cancel()
