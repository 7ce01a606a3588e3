"""DELETE of runs, files and folders: gone for good, or a refusal that names what stands on them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.runs import Run
from limner.server.auth import caller
from limner.server.files import Sha256, check_held
from limner.server.problems import Problem, Refusal, reply
from limner.server.runs import finder
from limner.studio.maintenance import EraseSelection, InUse, RunInProgress
from limner.studio.studio import Studio

Derived = Annotated[bool, Query(description="Erase what was made with it too.")]


class Erased(BaseModel):
    """What is gone. runs: by id; derived: those of them that stood on what was asked for. files: how many."""

    runs: list[str]
    derived: list[str]
    files: int
    bytes: int


def router(studio: Studio) -> APIRouter:
    """The routes of erasure."""
    routes = APIRouter(prefix="/v1", responses={409: {"model": Problem}, 404: {"model": Problem}})
    find = finder(studio)

    def erased(wanted: EraseSelection, derived: bool) -> Response | Erased:
        try:
            done = studio.maintenance.erase(wanted, derived=derived)
        except InUse as error:
            errors = [{"pointer": "", "detail": line} for line in error.by]
            return reply(HTTPStatus.CONFLICT, error.problem, errors=errors, remedy="?derived=true erases those too")
        except RunInProgress as error:
            raise Refusal(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
        return Erased(runs=[*done.runs, *done.derived], derived=done.derived, files=len(done.files), bytes=done.bytes)

    def there(kind: str, sha256: str, who: Caller) -> EraseSelection:
        check_held(studio, who, f"{kind}:{sha256}")
        if sha256 not in studio.files:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no file {sha256[:12]}", "it may be gone already")
        return EraseSelection(references=(f"{kind}:{sha256}",), scope=who.scope)

    @routes.delete("/runs/{run_id}", tags=["runs"], response_model=Erased)
    def run_erased(
        derived: Derived = False, run: Run = Depends(find), who: Caller = Depends(caller)
    ) -> Response | Erased:
        """Erase a run with all it made; refused while it is carried out, and where others use what it made."""
        return erased(EraseSelection(runs=(run.id,), scope=who.scope), derived)

    @routes.delete("/files/{sha256}", tags=["files"], response_model=Erased)
    def file_erased(sha256: Sha256, derived: Derived = False, who: Caller = Depends(caller)) -> Response | Erased:
        """Erase a file; refused where a run made or used it."""
        return erased(there("sha256", sha256, who), derived)

    @routes.delete("/folders/{sha256}", tags=["files"], response_model=Erased)
    def folder_erased(sha256: Sha256, derived: Derived = False, who: Caller = Depends(caller)) -> Response | Erased:
        """Erase a folder with those of its files that nothing else names; refused where a run made or used it."""
        return erased(there("folder", sha256, who), derived)

    return routes
