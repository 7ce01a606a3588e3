"""The home page: where to begin, what is in progress, and the newest images."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from threading import Lock
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
from limner.server.dependencies import RunDep, ServerState, StateDep, ViewDep
from limner.server.examples import PROMPT, TAG, add_example_draft, show_example
from limner.server.history import reference_of
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.replies import url_of
from limner.server.runs import count_stream
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.web.cards import JobCard, job_cards
from limner.web.drafts import identifier_of, name_of
from limner.web.jobs import job_views
from limner.web.live import PartNow, stream_part
from limner.web.pages.create import PREVIEW_EVERY
from limner.web.pages.teach_training import start_training
from limner.web.rendering import go, page, part, part_text, wants_part
from limner.web.subjects import subjects_of
from limner.web.views import ImageView, open_runs

EXAMPLE = "a photo of a corgi on the beach at sunset"
NEWEST, RECENT, DRAFTS = 40, 20, 3
"""How many images, ended jobs and drafts are looked at."""
FAILURES = 3
"""Most failed jobs that are shown."""
TILES, FEW = 12, 2
"""Most tiles of newest images, and up to how many of them the newest example is shown large."""
SEEDS = 2**31
router = APIRouter()
_starting = Lock()
"""Held while the training of the example is started, so that two clicks start one."""


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
        return PartNow((shown["jobs"], shown["tiles"], shown["failures"]), render, open=shown["working"], moving=False)

    async for event in stream_part(state, "#now", read):
        yield event


@router.post("/first-image")
async def make_first_image(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Generate an image of the example prompt on the starter."""
    execution = Execution(preview_every=PREVIEW_EVERY)
    make = partial(show_example, state, caller, EXAMPLE, secrets.randbelow(SEEDS), execution)
    return await _started(request, state, caller, view, (await run_submission(make)).id)


@router.post("/first-subject")
async def teach_first_subject(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Teach the starter the character of the demo, as the draft of the example on the page Teach does."""
    draft = await run_submission(partial(_teach_example, state, caller))
    if not wants_part(request):
        return go(request, f"/teach/{draft.id}/train#step")
    return await _started(request, state, caller, view, draft.choices.train or draft.choices.prepare)


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
    return await _started(request, state, caller, view, (await run_submission(make)).id)


@router.post("/runs/{run_id}/seen")
async def dismiss_failure(request: Request, run: RunDep, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Show no more on this page that a job failed."""
    await run_sync(state.studio.runs.note_seen, run, caller.account)
    return await _started(request, state, caller, view) if wants_part(request) else go(request, "/")


def _teach_example(state: ServerState, caller: Caller) -> Draft:
    """Start the training of the example's draft, unless it is under way; one that was not finished starts again.

    Raises HTTPError (409) if it cannot be started.
    """
    drafts = state.studio.drafts
    with _starting:
        known = (each for each in drafts.list(caller.account, begun=True) if _began(state, each))
        draft = next(known, None) or add_example_draft(state, caller)
        if not drafts.under_way(draft) and (problems := start_training(state, caller, draft)):
            problem = "; ".join(text for _, text in problems)
            raise HTTPError(HTTPStatus.CONFLICT, problem, "open it on the page Teach")
        return drafts.get(caller.account, draft.id)


def _began(state: ServerState, draft: Draft) -> bool:
    """Whether the training of an example's draft was started and has not come to its end."""
    choices = draft.choices
    if not choices.example or not (choices.prepare or choices.train):
        return False
    run = state.studio.drafts.run(choices.train)
    return run is None or run.status is not Status.DONE


async def _started(request: Request, state: ServerState, caller: Caller, view: Viewer, run: str = "") -> Response:
    if not wants_part(request):
        return go(request, f"/runs/{run}")
    return part(request, "home.html", "started", **{**await run_sync(_shown, state, caller, view), "started": run})


def _shown(state: ServerState, caller: Caller, view: Viewer) -> dict[str, Any]:
    """What the template needs."""
    studio = state.studio
    images = studio.images.list(view, ImageQuery(limit=NEWEST))
    tiles = _tiles(images)
    drafts = [
        studio.drafts.follow(each, state.granted) for each in studio.drafts.list(caller.account, RECENT, begun=True)
    ]
    teaching = {run: each for each in drafts for run in (each.choices.prepare, each.choices.train) if run}
    waiting = open_runs(studio, caller)
    ended = studio.runs.list(RECENT, None, Status.DONE, None, QUEUE, caller.scope)
    cards = job_cards(studio, view, [*waiting, *_newest_of_each(ended, teaching)])
    taught = subjects_of(studio, caller, view)
    failures = studio.runs.failures(caller.account)
    return {
        "failures": [
            replace(each, can_retry=each.can_retry and not _prepared(teaching.get(each.id), each.id))
            for each in job_views(studio, failures[:FAILURES], [], caller)
        ],
        "more_failures": len(failures) - FAILURES,
        "jobs": [_of_draft(each, teaching.get(each.run.id)) for each in cards],
        "teaching": {run: draft.id for run, draft in teaching.items()},
        "working": bool(waiting),
        "started": "",
        "drafts": [(each, name_of(each)) for each in drafts if _unfinished(each)][:DRAFTS],
        "tiles": tiles[:TILES],
        "few": len(tiles) <= FEW,
        "example": EXAMPLE,
        "first_image": not images and not any(run.request.kind == "generate" for run in waiting),
        "first_subject": not taught and not any(run.request.kind in ("train", "prepare") for run in waiting),
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


def _newest_of_each(runs: list[Run], teaching: Mapping[str, Draft]) -> list[Run]:
    """The newest run of each kind of example. teaching: drafts by their runs."""
    found: dict[str, Run] = {}
    for run in runs:
        draft = teaching.get(run.id)
        taught = draft is not None and draft.choices.example and run.id == draft.choices.train
        if kind := "teach" if taught else run.tags.get(TAG, ""):
            found.setdefault(kind, run)
    return list(found.values())


def _prepared(draft: Draft | None, run: str) -> bool:
    """Whether a run prepared the images of a draft; its page starts that again, with the training after it."""
    return draft is not None and draft.choices.prepare == run


def _of_draft(card: JobCard, draft: Draft | None) -> JobCard:
    """The card of a job; the preparation of a draft's images is shown as the first part of its training."""
    if draft is None or not _prepared(draft, card.run.id):
        return card
    title = f"Teach {identifier_of(draft)} {draft.text('class_word')}"
    stage = "preparing images" if card.run.stage else ""
    return replace(card, run=replace(card.run, title=title, stage=stage))
