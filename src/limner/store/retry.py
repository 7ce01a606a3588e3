"""Trying again while the database is away: what a worker has done is worth more than a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from limner.store.database import DatabaseUnavailable

PAUSE = 0.5
T = TypeVar("T")


def retry_while_unavailable(act: Callable[[], T], seconds: float) -> T:
    """What `act` answers; tried again for so long while the database is away, and then Away is raised."""
    until = time.monotonic() + seconds
    while True:
        try:
            return act()
        except DatabaseUnavailable:
            if time.monotonic() >= until:
                raise
            time.sleep(PAUSE)
