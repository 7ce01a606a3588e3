"""The home page: where to begin, what is in progress, and the newest images."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from limner.core.accounts import Caller
from limner.core.drafts import Draft
from limner.core.execution import Execution
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.runs import Run, Status
from limner.server.auth import CallerDep
from limner.server.demo import PROMPT, TAG, show_example, teach_example
from limner.server.dependencies import ServerState, StateDep, ViewDep
from limner.server.history import reference_of
from limner.server.limits import run_submission
from limner.server.replies import url_of
from limner.server.runs import count_stream
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.web.cards import job_cards
from limner.web.drafts import name_of
from limner.web.live import PartNow, stream_part
from limner.web.pages.create import PREVIEW_EVERY
from limner.web.rendering import go, page, part, part_text, wants_part
from limner.web.subjects import subjects_of
from limner.web.views import ImageView, open_runs

EXAMPLE = "a photo of a corgi on the beach at sunset"
NEWEST, RECENT, DRAFTS = 40, 20, 3
"""How many images, ended jobs and drafts are looked at."""
TILES, FEW = 12, 2
"""Most tiles of newest images, and up to how many of them the newest example is shown large."""
SEEDS = 2**31
router = APIRouter()


@dataclass(frozen=True)
class Tile:
    """The newest image of a job, and how many of its images are among the newest. place: where all of them are."""

    image: ImageView
    count: int
    place: str


@router.get("/")
def show_home(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the home page."""
    shown = _shown(state, caller, view)
    return (
        part(request, "home.html", "started", **shown) if wants_part(request) else page(request, "home.html", **shown)
    )


@router.get("/home/events", response_class=EventSourceResponse)
async def stream_home(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    view: ViewDep,
    counted: Annotated[None, Depends(count_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Stream what is in progress and the newest images, until nothing is in progress any more."""

    def read() -> PartNow:
        shown = _shown(state, caller, view)
        render = partial(part_text, request, "home.html", "now", **shown)
        return PartNow((shown["jobs"], shown["tiles"]), render, open=shown["working"], moving=False)

    async for event in stream_part(state, "#now", read):
        yield event


@router.post("/first-image")
async def make_first_image(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Generate an image of the example prompt on the starter."""
    execution = Execution(preview_every=PREVIEW_EVERY)
    make = partial(show_example, state, caller, EXAMPLE, secrets.randbelow(SEEDS), execution)
    return await _started(request, state, caller, view, await run_submission(make))


@router.post("/first-subject")
async def teach_first_subject(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Teach the starter the character of the demo."""
    return await _started(request, state, caller, view, await run_submission(partial(teach_example, state, caller)))


@router.post("/first-portrait")
async def make_first_portrait(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    view: ViewDep,
    adapter: Annotated[str, Form(min_length=1, max_length=200)],
) -> Response:
    """Generate an image of the subject that was taught."""
    execution = Execution(preview_every=PREVIEW_EVERY)
    make = partial(show_example, state, caller, PROMPT, secrets.randbelow(SEEDS), execution, adapter)
    return await _started(request, state, caller, view, await run_submission(make))


async def _started(request: Request, state: ServerState, caller: Caller, view: Viewer, run: Run) -> Response:
    if not wants_part(request):
        return go(request, f"/runs/{run.id}")
    return part(request, "home.html", "started", **{**await run_sync(_shown, state, caller, view), "started": run.id})


def _shown(state: ServerState, caller: Caller, view: Viewer) -> dict[str, Any]:
    """What the template needs."""
    studio = state.studio
    images = studio.images.list(view, ImageQuery(limit=NEWEST))
    tiles = _tiles(images)
    waiting = open_runs(studio, caller)
    ended = studio.runs.list(RECENT, None, None, None, QUEUE, caller.scope)
    examples = [run for run in ended if run.status.ended and TAG in run.tags and run.status is not Status.CANCELLED]
    taught = subjects_of(studio, caller, view)
    drafts = studio.drafts.list(caller.account, RECENT, begun=True)
    return {
        "jobs": job_cards(studio, view, [*waiting, *_newest_of_each(examples)]),
        "working": bool(waiting),
        "started": "",
        "drafts": [(each, name_of(each)) for each in drafts if _unfinished(each)][:DRAFTS],
        "tiles": tiles[:TILES],
        "few": len(tiles) <= FEW,
        "example": EXAMPLE,
        "first_image": not images and not any(run.request.kind == "generate" for run in waiting),
        "first_subject": not taught and not any(run.request.kind == "train" for run in waiting),
    }


def _tiles(images: Sequence[GeneratedImage]) -> list[Tile]:
    """Images as tiles, one for each job."""
    found: dict[str, list[GeneratedImage]] = {}
    for each in images:
        found.setdefault(each.run, []).append(each)
    return [
        Tile(
            ImageView(url_of(reference_of(first)), first.request.prompt, first.fact("width"), first.fact("height")),
            1 + len(others),
            f"/runs/{run}" if others else f"/gallery/{first.id}",
        )
        for run, (first, *others) in found.items()
    ]


def _unfinished(draft: Draft) -> bool:
    """Whether somebody began to teach a subject and has not started the training."""
    return bool(draft.shown) and not draft.choices.train and not draft.choices.waits


def _newest_of_each(runs: list[Run]) -> list[Run]:
    """The newest run of each kind of example."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault(run.tags[TAG], run)
    return list(found.values())
