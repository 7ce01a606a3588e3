"""Whether the service lives, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from limner.studio.studio import Studio


class Health(BaseModel):
    status: str = "ok"


def router(studio: Studio) -> APIRouter:
    """The routes that a supervisor asks."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/healthz")
    def alive() -> Health:
        """The process answers."""
        return Health()

    @routes.get("/readyz")
    def ready() -> Health:
        """The database answers too."""
        studio.runs.list(1)
        return Health()

    return routes
