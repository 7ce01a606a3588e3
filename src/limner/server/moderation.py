"""/v1/verdicts and /v1/runs/ID/verdicts: what moderation said, and of what."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, KeptVerdict
from limner.server.auth import admin, caller
from limner.server.problems import Refusal
from limner.studio.studio import Studio

Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, lt=2**63, description="Id of a verdict: list those older than it.")]


def router(studio: Studio) -> APIRouter:
    """The routes of verdicts."""
    routes = APIRouter(prefix="/v1", tags=["moderation"])

    @routes.get("/runs/{run_id}/verdicts")
    def of_run(
        run_id: str, limit: Limit = 100, before: Before = None, who: Caller = Depends(caller)
    ) -> list[KeptVerdict]:
        """What the checks said of a run's words and pictures, newest first."""
        with suppress(LimnerError):
            run = studio.runs.get(run_id)
            if run.queue is not None and who.scope in (None, run.owner):
                return studio.verdicts.list(limit, run=run.id, before=before)
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no run {run_id[:40]!r}", "GET /v1/runs lists those there are")

    @routes.get("/verdicts")
    def listed(
        limit: Limit = 100,
        allowed: bool | None = None,
        stage: CheckStage | None = None,
        before: Before = None,
        who: Caller = Depends(admin),
    ) -> list[KeptVerdict]:
        """What the checks said, newest first, of refused requests too; for admins."""
        return studio.verdicts.list(limit, allowed=allowed, stage=stage, before=before)

    return routes
