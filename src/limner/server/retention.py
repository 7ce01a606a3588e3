"""What is older than it shall become goes by itself, and so does what nothing refers to any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.studio.studio import Studio

EVERY = 6 * 3600.0
"""Seconds between two looks."""
log = logging.getLogger("limner.server")


@contextmanager
def retention(studio: Studio, settings: Settings, profile: Profile) -> Iterator[None]:
    """Prune now and then while the block lasts. What the profile paints with stays."""
    ending = threading.Event()
    older = None if settings.retention_days is None else timedelta(days=settings.retention_days)

    def look() -> None:
        while True:
            try:
                done = studio.maintenance.prune(older, [profile.model_dump_json()])
                log.info("pruned %d runs, %d files, %d orphans", len(done.runs), len(done.files), done.orphans)
            except Exception:
                log.warning("what is old could not be pruned", exc_info=True)
            if ending.wait(EVERY):
                return

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        ending.set()
