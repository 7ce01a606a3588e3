"""The queue: every job with its state and place, and the page of each with what it made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from limner.core.accounts import Caller
from limner.core.execution import body_of
from limner.core.kinds import KINDS
from limner.core.runs import Run, Status
from limner.server.auth import CallerDep
from limner.server.dependencies import QueuedRunDep, RunDep, StateDep, StudioDep, find_run
from limner.server.files import not_found, read_pieces
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.replies import ArtifactReply, request_without_paths
from limner.studio.files import REFERENCE
from limner.studio.runs import QUEUE, WrongStatus
from limner.studio.studio import Studio
from limner.web.forms import as_command, as_python
from limner.web.jobs import (
    PAGES,
    dates_of,
    event_view,
    job_views,
    kinds,
    made_views,
    picture_views,
    title_of,
)
from limner.web.rendering import page, part, wants_part
from limner.web.views import STATUS_TEXTS, run_views

SHOWN = 30
MOST_OPEN = 200
"""Most running and most waiting jobs of the page."""
MOST_EVENTS = 300
MOST_UNDONE = 50
"""Most stopped jobs that one button puts back."""
REPORT_POLICY = "; ".join(
    (
        "sandbox allow-scripts allow-downloads",
        "default-src 'none'",
        "img-src data: blob:",
        "style-src 'unsafe-inline'",
        "script-src 'unsafe-inline'",
        "frame-ancestors 'self'",
    )
)
"""A report is a page without address: its own scripts run, and reach neither the site nor any other."""
State = Annotated[Status | None, Query()]
Kind = Annotated[str | None, Query(max_length=32)]
router = APIRouter()


@router.get("/queue")
def show_queue(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    before: Annotated[str | None, Query(max_length=64)] = None,
    status: State = None,
    kind: Kind = None,
    stopped: Annotated[str, Query(max_length=2000)] = "",
) -> HTMLResponse:
    """Show running and waiting jobs in their order, and ended ones from the newest on, or those older than a job."""
    if kind is not None and kind not in KINDS:
        raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, f"there is no kind {kind[:32]!r} of jobs", "choose a filter")
    if before is not None:
        find_run(before, state, caller)
    studio, runs = state.studio, state.studio.runs
    movable = runs.waiting(MOST_OPEN, None, caller.scope)
    running: list[Run] = []
    lost: list[Run] = []
    waiting: list[Run] = []
    if before is None and status in (None, Status.RUNNING):
        claimed = runs.list(MOST_OPEN, kind, Status.RUNNING, None, QUEUE, caller.scope)
        states = runs.states([run.id for run in claimed])
        lost = [run for run in claimed if run.id in states and states[run.id].position is not None]
        running = [run for run in claimed if run not in lost]
    if before is None and status in (None, Status.QUEUED):
        waiting = movable if kind is None else runs.waiting(MOST_OPEN, kind, caller.scope)
    found: list[Run] = []
    if status is None or status.ended:
        found = runs.list(SHOWN, kind, status, before, QUEUE, caller.scope)
    ended = [run for run in found if run.status.ended]
    waiting = [*lost, *waiting]
    chosen = {name: value for name, value in (("status", status), ("kind", kind)) if value is not None}
    views = job_views(studio, [*running, *waiting, *ended], movable, caller)
    shown: dict[str, Any] = {
        "running": views[: len(running)],
        "waiting": views[len(running) : len(running) + len(waiting)],
        "ended": views[len(running) + len(waiting) :],
        "older": _query({**chosen, "before": found[-1].id}) if len(found) == SHOWN else "",
        "here_again": _query({**chosen, **({"before": before} if before else {})}),
        "live": before is None and bool(running or waiting),
        "ordered": not chosen,
        "filters": _filters(chosen),
        "filtered": bool(chosen) or before is not None,
        "stopped": [run for run in stopped.split(",") if run][:MOST_UNDONE] if stopped else [],
    }
    if wants_part(request):
        return part(request, "queue.html", "jobs", **shown)
    return page(request, "queue.html", **shown)


@router.get("/runs/{run_id}")
def show_run(request: Request, run: RunDep, studio: StudioDep, caller: CallerDep) -> HTMLResponse:
    """Show a job with all that it made, its request and its events."""
    (view,) = run_views(studio, [run])
    (job,) = job_views(studio, [run], [], caller)
    artifacts, texts = studio.runs.artifacts(run.id), _request_texts(run)
    events = studio.runs.events(run.id)
    shown = [event_view(run, *each) for each in events[-MOST_EVENTS:]]
    return page(
        request,
        "run.html",
        run=view,
        job=job,
        title=title_of(run),
        made=made_views(run, artifacts),
        pictures=picture_views(run, artifacts),
        texts=texts,
        referred=any(mark in text for _, text in texts for mark in ("sha256:", "folder:")),
        events=shown,
        earlier=len(events) - len(shown),
        facts=_facts(run),
    )


@router.get("/runs/{run_id}/card")
def show_card(request: Request, run: RunDep, studio: StudioDep) -> HTMLResponse:
    """Show the card of a job, for a page that is open."""
    (view,) = run_views(studio, [run])
    return part(request, "run.html", "card", run=view)


@router.get("/runs/{run_id}/pages/{sha256}")
def show_report(run: RunDep, studio: StudioDep, sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]) -> Response:
    """Show a report that a job made."""
    reports = (each for each in studio.runs.artifacts(run.id) if each.kind in PAGES and each.sha256 == sha256)
    report = next(reports, None)
    reply = None if report is None else ArtifactReply.of(report, queued=run.queue is not None)
    found = None if reply is None else REFERENCE.fullmatch(reply.reference or "")
    if found is None or found[1] != "sha256":
        raise HTTPError(HTTPStatus.NOT_FOUND, f"run {run.id} made no such report", "open one from the page of the run")
    with not_found("file", found[2]):
        size = studio.files.size(found[2])
    headers = {"Content-Security-Policy": REPORT_POLICY, "Content-Length": str(size), "Cache-Control": "no-store"}
    body: Iterator[bytes] = read_pieces(studio, found[2], 0, size - 1)
    return StreamingResponse(body, headers=headers, media_type="text/html; charset=utf-8")


@router.post("/runs/{run_id}/cancel")
def cancel_run(request: Request, run: QueuedRunDep, studio: StudioDep) -> Response:
    """Stop a job, and go back to the queue."""
    studio.runs.cancel(run.id)
    return _back(request)


@router.post("/runs/{run_id}/retry")
async def retry_run(request: Request, run: QueuedRunDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue a job again."""
    await run_submission(lambda: state.studio.retry(run, caller, state.granted))
    return await run_sync(_back, request)


@router.post("/runs/{run_id}/stop-after")
def stop_after(request: Request, run: QueuedRunDep, studio: StudioDep) -> Response:
    """Let a job end, and stop the jobs of the same account that wait behind it."""
    stopped = studio.runs.withdraw_behind(run)
    return _back(request, {"stopped": ",".join(stopped[:MOST_UNDONE])} if stopped else {})


@router.post("/runs/{run_id}/up")
def move_up(request: Request, run: QueuedRunDep, studio: StudioDep, caller: CallerDep) -> Response:
    """Let a waiting job change places with the one before it."""
    return _move(request, studio, caller, run, up=True)


@router.post("/runs/{run_id}/down")
def move_down(request: Request, run: QueuedRunDep, studio: StudioDep, caller: CallerDep) -> Response:
    """Let a waiting job change places with the one after it."""
    return _move(request, studio, caller, run, up=False)


@router.post("/queue/restore")
async def restore(request: Request, state: StateDep, caller: CallerDep) -> Response:
    """Put jobs back that were stopped together. Those that run again already stay as they are."""
    async with request.form(max_files=0, max_fields=MOST_UNDONE) as form:
        ids = [value for value in form.getlist("run") if isinstance(value, str)]
    for run_id in ids:
        run = await run_sync(find_run, run_id, state, caller)
        if run.status is Status.CANCELLED and run.queue == QUEUE:
            await run_submission(lambda run=run: state.studio.retry(run, caller, state.granted))
    return await run_sync(_back, request)


def _move(request: Request, studio: Studio, caller: Caller, run: Run, *, up: bool) -> Response:
    try:
        studio.runs.move(run.id, up=up, owner=caller.scope)
    except WrongStatus as error:
        raise HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
    return _back(request)


def _filters(chosen: dict[str, str]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Groups of links, each with its text, the query of its page, and whether it is the current one."""

    def links(name: str, known: list[tuple[str, str]]) -> list[tuple[str, str, bool]]:
        rest = {key: value for key, value in chosen.items() if key != name}
        values = [("", "all"), *known]
        return [
            (text, _query({**rest, name: value} if value else rest), chosen.get(name, "") == value)
            for value, text in values
        ]

    return [
        ("State", links("status", [(each, text) for each, text in STATUS_TEXTS.items()])),
        ("Kind", links("kind", kinds())),
    ]


def _query(values: dict[str, str]) -> str:
    return f"?{urlencode(values)}" if values else ""


def _request_texts(run: Run) -> list[tuple[str, str]]:
    """The request of a run as a command, as JSON and as Python."""
    request = run.request if run.queue is not None else request_without_paths(run.request)
    body = body_of(request, run.execution)
    kind = run.request.kind
    values = body.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    command = {name: getattr(body, name) for name in values}
    texts = [
        ("Command", as_command(kind, command)),
        ("JSON", json.dumps({"kind": kind, **values}, indent=2, ensure_ascii=False)),
        ("Python", as_python(kind, values)),
    ]
    inexpressible = any("," in value for axis in getattr(request, "axis", ()) for value in axis.values)
    return texts[1:] if inexpressible else texts


def _facts(run: Run) -> list[tuple[str, str]]:
    """What the page of a run says of it besides the request."""
    facts = [*dates_of(run), ("Number", run.id), ("Attempts", str(run.attempt) if run.attempt > 1 else "")]
    if run.queue is None:
        facts.append(("From", "the command line of this machine"))
    return [(name, value) for name, value in facts if value]


def _back(request: Request, query: dict[str, str] | None = None) -> RedirectResponse:
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/queue{_query(query or {})}", HTTPStatus.SEE_OTHER)
