"""The queue: every job with its state and place, and the page of each with what it made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from limner.core.accounts import Caller
from limner.core.execution import body_of
from limner.core.kinds import KINDS
from limner.core.runs import Run, Status
from limner.server.auth import CallerDep
from limner.server.dependencies import QueuedRunDep, RunDep, ServerState, StateDep, StudioDep, find_run
from limner.server.files import SANDBOX, Sha256, not_found, read_pieces
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.replies import ArtifactReply, request_without_paths
from limner.server.runs import count_stream
from limner.studio.files import REFERENCE
from limner.studio.images import SIDES
from limner.studio.runs import QUEUE, WrongStatus
from limner.studio.studio import Studio
from limner.web.forms import as_command, as_json, as_python
from limner.web.influential import influential_photos, photos_in_data
from limner.web.jobs import (
    KIND_HELP,
    PAGES,
    JobView,
    dates_of,
    event_view,
    job_views,
    kinds,
    made_views,
    notice_views,
    picture_views,
)
from limner.web.live import PartNow, stream_part
from limner.web.own_adapters import RunTexts
from limner.web.rendering import came_from, go, page, part, part_text, root_of, wants_part
from limner.web.views import STATUS_TEXTS, ImageView, run_views

SHOWN = 30
MOST_OPEN = 200
"""Most running and most waiting jobs of the page."""
MOST_EVENTS = 300
MOST_UNDONE = 50
"""Most stopped jobs that one button puts back."""
KEPT = ("status", "kind", "before", "stopped")
"""What of the queue's address stays after an action."""
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
    ids = [run for run in stopped.split(",")[:MOST_UNDONE] if run and _is_stopped(run, state, caller)]
    jobs = _jobs(state, caller, before, status, kind, ids)
    if wants_part(request):
        return part(request, "queue.html", "jobs", **jobs)
    chosen = _chosen(status, kind)
    again = _query({**chosen, **({"before": before} if before else {})})
    more = {"here_again": again, "live": before is None, "stopped": ids, "stream": _query(_kept(chosen, ids))}
    return page(request, "queue.html", **jobs, **more)


@router.get("/queue/events", response_class=EventSourceResponse)
async def stream_queue(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    counted: Annotated[None, Depends(count_stream)],
    status: State = None,
    kind: Kind = None,
    stopped: Annotated[str, Query(max_length=2000)] = "",
) -> AsyncIterator[ServerSentEvent]:
    """Stream the jobs of the queue with their counts: all of them as they are now, and again whenever one changes."""
    ids = [run for run in stopped.split(",")[:MOST_UNDONE] if run]

    def read() -> PartNow:
        jobs = _jobs(state, caller, None, status, kind, ids)
        views: list[JobView] = [*jobs["running"], *jobs["waiting"], *jobs["ended"]]
        render = partial(part_text, request, "queue.html", "jobs", **jobs)
        return PartNow(([replace(view, times="") for view in views], jobs["filters"]), render)

    async for event in stream_part(state, "#jobs", read):
        yield event


def _chosen(status: Status | None, kind: str | None) -> dict[str, str]:
    return {name: value for name, value in (("status", status), ("kind", kind)) if value is not None}


def _kept(chosen: dict[str, str], stopped: list[str]) -> dict[str, str]:
    """The query of the queue with the jobs that were stopped together."""
    return {**chosen, **({"stopped": ",".join(stopped)} if stopped else {})}


def _jobs(
    state: ServerState,
    caller: Caller,
    before: str | None,
    status: Status | None,
    kind: str | None,
    stopped: list[str],
) -> dict[str, Any]:
    """What the template needs to list the jobs, with the filters and their counts."""
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
    chosen = _chosen(status, kind)
    views = job_views(studio, [*running, *waiting, *ended], movable, caller)
    return {
        "running": views[: len(running)],
        "waiting": views[len(running) : len(running) + len(waiting)],
        "ended": views[len(running) + len(waiting) :],
        "older": _query({**chosen, "before": found[-1].id}) if len(found) == SHOWN else "",
        "filters": _filters(_kept(chosen, stopped), runs.counts(QUEUE, caller.scope)),
        "kind_help": KIND_HELP.get(kind or "", ""),
        "ordered": not chosen,
        "filtered": bool(chosen) or before is not None,
    }


@router.get("/runs/{run_id}")
def show_run(request: Request, run: RunDep, studio: StudioDep, caller: CallerDep) -> HTMLResponse:
    """Show a job with all that it made, its request and its events."""
    shown = _run(studio, caller, run)
    if wants_part(request):
        return part(request, "run.html", "again", **shown)
    return page(request, "run.html", **shown)


@router.get("/runs/{run_id}/live", response_class=EventSourceResponse)
async def stream_run(
    request: Request,
    run: RunDep,
    state: StateDep,
    caller: CallerDep,
    counted: Annotated[None, Depends(count_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Stream the page of a job, as it is now and whenever it changes, until the job has ended."""

    def read() -> PartNow:
        shown = _run(state.studio, caller, state.studio.runs.get(run.id))
        job: JobView = shown["job"]
        render = partial(part_text, request, "run.html", "jobs", **shown)
        return PartNow((replace(job, times=""), shown["events"], shown["made"]), render, open=not job.ended)

    async for event in stream_part(state, "#jobs", read):
        yield event


def _run(studio: Studio, caller: Caller, run: Run) -> dict[str, Any]:
    """What the page of a job shows."""
    studio.runs.note_seen(run, caller.account)
    (job,) = job_views(studio, [run], [], caller)
    artifacts, requests = studio.runs.artifacts(run.id), _request_texts(run)
    events, texts = studio.runs.events(run.id), RunTexts(studio)
    return {
        "job": job,
        "title": job.title,
        "notices": notice_views(run, [texts.of(run, text) for text in studio.runs.notices_of([run.id])[run.id]]),
        "made": made_views(run, artifacts),
        "influential": influential_photos(studio, caller, run, artifacts),
        "pictures": _without(job.preview, picture_views(run, artifacts)),
        "texts": requests,
        "referred": any(mark in text for _, text in requests for mark in ("sha256:", "folder:")),
        "events": [event_view(run, *each, texts) for each in events[-MOST_EVENTS:]],
        "earlier": max(0, len(events) - MOST_EVENTS),
        "facts": _facts(run),
    }


def _without(shown: ImageView | None, pictures: list[tuple[str, list[ImageView]]]) -> list[tuple[str, list[ImageView]]]:
    """Pictures without the one that is shown already."""
    if shown is None:
        return pictures
    rest = ((name, [image for image in images if image.url != shown.url]) for name, images in pictures)
    return [(name, images) for name, images in rest if images]


@router.get("/runs/{run_id}/card")
def show_card(request: Request, run: RunDep, studio: StudioDep) -> HTMLResponse:
    """Show the card of a job, for a page that is open."""
    (view,) = run_views(studio, [run])
    return part(request, "job_card.html", "live", run=view)


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


@router.get("/runs/{run_id}/photos/{sha256}")
def show_photo(run: RunDep, studio: StudioDep, caller: CallerDep, sha256: Sha256) -> FileResponse:
    """Show a training photo of a search for those that influenced an image, as a small copy."""
    if sha256 not in photos_in_data(studio, caller, run):
        raise HTTPError(HTTPStatus.NOT_FOUND, f"run {run.id} has no such photo", "open one from the page of the run")
    with not_found("file", sha256):
        place = studio.images.thumbnail(sha256, SIDES[-1])
    return FileResponse(place, headers={"Cache-Control": "private, no-cache"} | SANDBOX, media_type="image/webp")


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


def _is_stopped(run_id: str, state: ServerState, caller: Caller) -> bool:
    """Whether a job of the caller is stopped, and can be put back."""
    with suppress(HTTPError):
        run = find_run(run_id, state, caller)
        return run.status is Status.CANCELLED and run.queue == QUEUE
    return False


@dataclass(frozen=True)
class FilterLink:
    """A link that shows only some jobs. value: of its filter, "" for all. query: of its page. count: of these jobs."""

    text: str
    value: str
    query: str
    current: bool
    count: int
    help: str = ""


def _filters(chosen: dict[str, str], counts: Mapping[tuple[str, Status], int]) -> list[tuple[str, list[FilterLink]]]:
    """Groups of links to the states and kinds of the jobs that there are; none where there is only one."""

    def links(name: str, known: list[tuple[str, str]]) -> list[FilterLink]:
        other, place = ("kind", 1) if name == "status" else ("status", 0)
        fitting = {key: count for key, count in counts.items() if chosen.get(other) in (None, key[1 - place])}
        rest = {key: value for key, value in chosen.items() if key != name}
        values = [("", "all"), *known]
        found = [
            FilterLink(
                text,
                value,
                _query({**rest, name: value} if value else rest),
                chosen.get(name, "") == value,
                sum(count for key, count in fitting.items() if value in ("", key[place])),
                KIND_HELP.get(value, ""),
            )
            for value, text in values
        ]
        shown = [each for each in found if each.count or each.current or each is found[0]]
        return shown if len(shown) > 2 or chosen.get(name) else []

    groups = [
        ("State", links("status", [(each, text) for each, text in STATUS_TEXTS.items()])),
        ("Kind", links("kind", kinds())),
    ]
    return [(name, found) for name, found in groups if found]


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
        ("JSON", as_json({"kind": kind, **values})),
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
    """Go back to the page from which the browser came, the queue with its filters; by default the queue."""
    here = came_from(request)
    place = here.path.removeprefix(root_of(request))
    kept = {name: value for name, value in parse_qsl(here.query) if name in KEPT and place == "/queue"}
    if query or not (place in ("/", "/create") or re.fullmatch("/runs/[0-9a-zA-Z-]{1,64}", place)):
        place = "/queue"
    return go(request, f"{place}{_query({**kept, **(query or {})})}")
