"""Moderates and queues requests, a few at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

Result = TypeVar("Result")
ADMISSIONS = CapacityLimiter(8)
"""Moderation of a request may take seconds; eight at once leave threads for all other calls."""


async def admitted(call: Callable[[], Result]) -> Result:
    """What a call that moderates and queues a request returns."""
    return await run_sync(call, limiter=ADMISSIONS)
