"""Queues the trainings of drafts once their images are prepared, also while no page is open."""

from __future__ import annotations

from fastapi import FastAPI

from limner.server.dependencies import ServerState
from limner.web.background import repeat


def follow_drafts(app: FastAPI) -> None:
    """Follow the drafts of an application while it runs. A server that starts again goes on with them."""

    def follow() -> None:
        state: ServerState = app.state.server
        for draft in state.studio.drafts.waiting():
            state.studio.drafts.follow(draft, state.granted)

    repeat(app, "queue the training of a draft", follow)
