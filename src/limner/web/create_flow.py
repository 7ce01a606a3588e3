"""What the forms of Create share: from a submitted form to its job, or to what is wrong with which field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.runs import SEEN_TAG, Run, Status
from limner.server.dependencies import ServerState
from limner.server.limits import run_submission
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.web.cards import JobCard, job_cards, recent_runs
from limner.web.forms import problem_at, validated_model
from limner.web.rendering import came_from, go, page, part, parts, wants_part

Model = TypeVar("Model", bound=BaseModel)
Found = tuple[Run | None, dict[str, str]]
"""A queued run, or None and what is wrong with which field."""
SHOWN, SEARCHED = 6, 60
"""Jobs that a form shows, and the newest ones that are searched for them."""
PREVIEW_EVERY = 2
"""Denoising steps between two previews."""
HIDDEN_TAGS = ("adapter", "chosen", "chance", SEEN_TAG)
"""Tags that concern one job alone, such as how its adapter was chosen; its variations do not repeat them."""


@dataclass(frozen=True)
class FormPage:
    """A form of Create. holds: whether its list of results has a job. nothing: what an empty list says."""

    place: str
    template: str
    holds: Callable[[Run], bool]
    nothing: tuple[str, str]


CREATE = FormPage(
    "/create",
    "create.html",
    lambda run: True,
    ("Nothing here yet", "Describe an image and choose Create. Results appear here and stay in your history."),
)
PETS = FormPage(
    "/create/pets",
    "pets.html",
    lambda run: "species" in run.tags,
    ("No pets yet", "Choose an animal and press Create. The images appear here."),
)
MARKETING = FormPage(
    "/create/marketing",
    "marketing.html",
    lambda run: "style" in run.tags and "species" not in run.tags,
    ("No marketing images yet", "Describe a product, choose an industry and press Create. The images appear here."),
)
Shown = Callable[[], dict[str, Any]]
"""Computes what the template of a form needs besides its results."""


def form_page_of(request: Request) -> FormPage:
    """The form that a request was sent from."""
    path = came_from(request).path.rstrip("/")
    return next((each for each in (PETS, MARKETING) if path.endswith(each.place)), CREATE)


def results(form: FormPage, state: ServerState, caller: Caller, view: Viewer) -> dict[str, Any]:
    """What the list of results needs: the newest jobs of a form, and older ones that still run."""
    newest = recent_runs(state.studio, caller, SEARCHED)
    running = state.studio.runs.list(SEARCHED, "generate", Status.RUNNING, None, QUEUE, caller.scope)
    found = [run for run in newest if form.holds(run)][:SHOWN]
    known = {run.id for run in found}
    found += [run for run in running if form.holds(run) and run.id not in known]
    jobs: list[JobCard] = job_cards(state.studio, view, found)
    return {"jobs": jobs, "nothing": form.nothing}


async def enqueued(model: type[Model], values: Mapping[str, Any], submit: Callable[[Model], Run]) -> Found:
    """The run that `submit` queues for a form's values."""
    body, errors = validated_model(model, values)
    if body is None:
        return None, errors
    try:
        return await run_submission(partial(submit, body)), {}
    except Unavailable:
        raise
    except LimnerError as error:
        return None, problem_at(error, values)


async def answer(form: FormPage, request: Request, found: Found, shown: Shown) -> Response:
    """The answer to a submitted form: its job beside it, or the form with what is wrong. Without JavaScript the browser
    goes on to the page of the job.
    """
    run, errors = found
    if run is not None and not wants_part(request):
        return go(request, f"/runs/{run.id}")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK
    values = await run_sync(shown)
    if not wants_part(request):
        return page(request, form.template, status, **values)
    blocks = [(form.template, "form")] + ([] if errors else [("results_update.html", "update")])
    return parts(request, status, *blocks, **values)


async def copied(form: FormPage, request: Request, texts: list[tuple[str, str]], shown: Shown) -> Response:
    """The texts that make the request of a form: a command, JSON and Python."""
    if wants_part(request):
        return part(request, "copied.html", "copied", texts=texts)
    return page(request, form.template, **{**await run_sync(shown), "texts": texts})


def back(request: Request) -> RedirectResponse:
    """Go back to the form that a request was sent from."""
    return go(request, form_page_of(request).place)
