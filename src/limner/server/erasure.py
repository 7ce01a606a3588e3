"""Erasing runs, files and folders: by DELETE, and by age (retention)."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from limner.core.accounts import Caller, Role
from limner.server.auth import CallerDep, check_role
from limner.server.background import repeated
from limner.server.dependencies import (
    ImageDep,
    QueuedRunDep,
    StateDep,
    StudioDep,
    check_access,
    find_queued_run,
    find_run,
)
from limner.server.files import Sha256
from limner.server.problems import HTTPError, Problem, problem_response
from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.studio.maintenance import EraseSelection, InUse, RunInProgress
from limner.studio.studio import Studio

RETENTION_INTERVAL = 6 * 3600.0
"""Seconds between two searches for what is old enough to erase."""
Derived = Annotated[bool, Query(description="Also erase what was made with it.")]
log = logging.getLogger("limner.server")
router = APIRouter(prefix="/v1", responses={409: {"model": Problem}, 404: {"model": Problem}})


class ErasedReply(BaseModel):
    """What was erased. runs: ids; derived: those of them that used what was named. pictures: ids of images whose runs
    stay. files: their number.
    """

    runs: list[str]
    derived: list[str]
    pictures: list[int]
    files: int
    bytes: int


@router.delete("/runs/{run_id}", tags=["runs"], response_model=ErasedReply)
def erase_run(
    studio: StudioDep, run: QueuedRunDep, caller: CallerDep, derived: Derived = False
) -> Response | ErasedReply:
    """Erase a run and its artifacts.

    Refused while it is running, and if other runs use its artifacts, unless `derived` is true.
    """
    return _erase(studio, EraseSelection(runs=(run.id,), scope=caller.scope), derived)


@router.delete("/pictures/{picture}", tags=["history"], response_model=ErasedReply)
def erase_image(
    studio: StudioDep, state: StateDep, picture: ImageDep, caller: CallerDep, derived: Derived = False
) -> Response | ErasedReply:
    """Erase one image of a run; the others stay. A run without any other image is erased.

    Refused while the run is running, and if other runs use the image, unless `derived` is true.
    """
    check_role(caller, Role.MAKER)
    find_queued_run(find_run(picture.run, state, caller))
    return _erase(studio, EraseSelection(images=(picture.id,), scope=caller.scope), derived)


@router.delete("/files/{sha256}", tags=["files"], response_model=ErasedReply)
def erase_file(
    studio: StudioDep, sha256: Sha256, caller: CallerDep, derived: Derived = False
) -> Response | ErasedReply:
    """Erase a file. Refused if a run made it or uses it."""
    return _erase(studio, _stored(studio, "sha256", sha256, caller), derived)


@router.delete("/folders/{sha256}", tags=["files"], response_model=ErasedReply)
def erase_folder(
    studio: StudioDep, sha256: Sha256, caller: CallerDep, derived: Derived = False
) -> Response | ErasedReply:
    """Erase a folder and those of its files that nothing else uses. Refused if a run made it or uses it."""
    return _erase(studio, _stored(studio, "folder", sha256, caller), derived)


def _stored(studio: Studio, kind: str, sha256: str, caller: Caller) -> EraseSelection:
    """Return a stored file or folder as what to erase; raises HTTPError (404) if there is none."""
    check_access(studio, caller, f"{kind}:{sha256}")
    if sha256 not in studio.files:
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no file {sha256[:12]}", "it may have been erased already")
    return EraseSelection(references=(f"{kind}:{sha256}",), scope=caller.scope)


def _erase(studio: Studio, wanted: EraseSelection, derived: bool) -> Response | ErasedReply:
    try:
        erased = studio.maintenance.erase(wanted, derived=derived)
    except InUse as error:
        errors = [{"pointer": "", "detail": line} for line in error.by]
        remedy = "add ?derived=true to erase those too"
        return problem_response(HTTPStatus.CONFLICT, error.problem, errors=errors, remedy=remedy)
    except RunInProgress as error:
        raise HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
    runs = [*erased.runs, *erased.derived]
    return ErasedReply(
        runs=runs, derived=erased.derived, pictures=erased.images, files=len(erased.files), bytes=erased.bytes
    )


def retention(studio: Studio, settings: Settings, profile: Profile) -> AbstractContextManager[None]:
    """Erase what is older than the settings allow, again and again until the block ends.

    Files that nothing uses are erased too. Files that the profile names stay, and so do improved adapters.
    """
    age = None if settings.retention_days is None else timedelta(days=settings.retention_days)

    def prune() -> None:
        erased = studio.maintenance.prune(age, [profile.model_dump_json(), studio.promotions.used()])
        log.info("erased %d old runs, %d files, %d unused files", len(erased.runs), len(erased.files), erased.orphans)

    return repeated("erase old runs", RETENTION_INTERVAL, prune)
