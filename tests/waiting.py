"""Waiting in tests for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(what: str, check: Callable[[], object], seconds: float = 300) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)
