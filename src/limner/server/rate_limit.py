"""How often a key may call."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock


class Pace:
    """A token bucket for each key: so many calls at once, and as many again each minute.

    Kept by one process; several services behind one name allow so many each.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept: int = 10_000) -> None:
        self._clock, self._kept, self._lock = clock, kept, Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, per_minute: int) -> float:
        """Take one call: 0, or the seconds until there is one again."""
        with self._lock:
            now = self._clock()
            left, since = self._buckets.pop(key, (float(per_minute), now))
            left = min(per_minute, left + (now - since) * per_minute / 60)
            enough = left >= 1
            self._buckets[key] = (left - enough, now)
            while len(self._buckets) > self._kept:
                self._buckets.popitem(last=False)
            return 0.0 if enough else (1 - left) * 60 / per_minute
