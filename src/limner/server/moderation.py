"""/v1/verdicts and /v1/runs/ID/verdicts: the recorded verdicts of moderation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from limner.core.moderation import CheckStage, KeptVerdict
from limner.server.auth import AdminDep
from limner.server.dependencies import RunDep, StudioDep

Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, lt=2**63, description="Id of a verdict: list the verdicts older than it.")]
router = APIRouter(prefix="/v1", tags=["moderation"])


@router.get("/runs/{run_id}/verdicts")
def list_run_verdicts(run: RunDep, studio: StudioDep, limit: Limit = 100, before: Before = None) -> list[KeptVerdict]:
    """List the verdicts on the prompts and images of a run, newest first."""
    return studio.verdicts.list(limit, run=run.id, before=before)


@router.get("/verdicts")
def list_verdicts(
    studio: StudioDep,
    admin: AdminDep,
    limit: Limit = 100,
    allowed: bool | None = None,
    stage: CheckStage | None = None,
    before: Before = None,
) -> list[KeptVerdict]:
    """List all verdicts, newest first, also those on refused requests. For admins only."""
    return studio.verdicts.list(limit, allowed=allowed, stage=stage, before=before)
