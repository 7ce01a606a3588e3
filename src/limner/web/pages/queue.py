"""The queue: every job with its state, and the page of each."""

from http import HTTPStatus
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from limner.server.auth import CallerDep
from limner.server.dependencies import RunDep, StateDep, StudioDep, find_run
from limner.server.limits import run_submission
from limner.studio.runs import QUEUE
from limner.web.rendering import page, part
from limner.web.views import open_runs, run_facts, run_views

SHOWN = 30
router = APIRouter()


@router.get("/queue")
def show_queue(
    request: Request, state: StateDep, caller: CallerDep, before: Annotated[str | None, Query()] = None
) -> HTMLResponse:
    """Show open jobs, and ended ones from the newest on, or those older than a job."""
    if before is not None:
        find_run(before, state, caller)
    runs = state.studio.runs
    waiting = open_runs(state.studio, caller) if before is None else []
    found = runs.list(SHOWN, None, None, before, QUEUE, caller.scope)
    ended = [run for run in found if run.status.ended]
    older = found[-1].id if len(found) == SHOWN else ""
    shown = {"waiting": run_views(state.studio, waiting), "ended": run_views(state.studio, ended)}
    return page(request, "queue.html", older=older, **shown)


@router.get("/runs/{run_id}")
def show_run(request: Request, run: RunDep, studio: StudioDep) -> HTMLResponse:
    """Show a job with what it made and the request."""
    (view,) = run_views(studio, [run])
    return page(request, "run.html", run=view, facts=run_facts(run))


@router.get("/runs/{run_id}/card")
def show_card(request: Request, run: RunDep, studio: StudioDep) -> HTMLResponse:
    """Show the card of a job, for a page that is open."""
    (view,) = run_views(studio, [run])
    return part(request, "run.html", "card", run=view, facts=[])


@router.post("/runs/{run_id}/cancel")
def cancel_run(request: Request, run: RunDep, studio: StudioDep) -> Response:
    """Stop a job, and go back to the page that asked for it."""
    studio.runs.cancel(run.id)
    return _back(request)


@router.post("/runs/{run_id}/retry")
async def retry_run(request: Request, run: RunDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue a job again."""
    await run_submission(lambda: state.studio.retry(run, caller, state.granted))
    return await run_sync(_back, request)


def _back(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/queue", HTTPStatus.SEE_OTHER)
