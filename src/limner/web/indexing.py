"""Indexes new images for searches while a server runs, some at a time."""

from __future__ import annotations

import time

from fastapi import FastAPI

from limner.server.dependencies import ServerState
from limner.web.background import repeat

QUIET_SECONDS = 10.0
"""How long a server waits after its start, which should be quick. A search indexes what is missing itself."""


def index_images(app: FastAPI) -> None:
    """Index the prompts and looks of new images of an application while it runs. One that was killed goes on."""
    begun = time.monotonic()

    def index() -> None:
        if time.monotonic() - begun > QUIET_SECONDS:
            state: ServerState = app.state.server
            state.studio.discover.upkeep.keep_up()

    repeat(app, "index images", index)
