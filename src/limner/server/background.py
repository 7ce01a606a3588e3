"""Work that the service does again and again in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("limner.server")


@contextmanager
def repeated(what: str, seconds: float, work: Callable[[], None]) -> Iterator[None]:
    """Do some work now and every so many seconds until the block ends. What it raises is logged.

    what: the work in words, such as "erase old runs".
    """
    stopping = threading.Event()

    def run() -> None:
        while True:
            try:
                work()
            except Exception:
                log.warning("could not %s", what, exc_info=True)
            if stopping.wait(seconds):
                return

    threading.Thread(target=run, daemon=True, name=what).start()
    try:
        yield
    finally:
        stopping.set()
