"""The page that generates images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.execution import Execution, body_model, split_body
from limner.core.feedback import GeneratedImage, Rating
from limner.core.requests import GenerateRequest
from limner.core.runs import Run, Status
from limner.server.auth import CallerDep
from limner.server.dependencies import ImageDep, ServerState, StateDep, StudioDep, ViewDep, find_run
from limner.server.form_images import check_bytes, store_form_adapter, store_form_image
from limner.server.history import show_image
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.replies import error_of
from limner.server.verify import verify_file
from limner.studio.images import Viewer
from limner.studio.model_facts import model_words
from limner.web.base_models import model_choices, require_model
from limner.web.cards import VARIATIONS, enlarged, next_seed, recent_runs, result_of
from limner.web.create_flow import (
    CREATE,
    HIDDEN_TAGS,
    PREVIEW_EVERY,
    answer,
    back,
    copied,
    enqueued,
    form_page_of,
    results,
)
from limner.web.create_form import ADAPTER, FILES, KIND, CreateForm, Submitted, create_form, read_submitted, take_shape
from limner.web.forms import read_form, request_texts
from limner.web.own_adapters import RunTexts, subjects_of_label
from limner.web.rendering import go, page, part, wants_part
from limner.web.subjects import base_for, chosen, misfit, read_subjects, subjects_of, submit_influence
from limner.web.uploads import FILE, texts_of

COMPARED = 100
"""Runs that are searched for seeds that variations have used."""
router = APIRouter(prefix="/create")


@router.get("")
def show_form(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the form, filled in by the fields of the query, and the newest jobs."""
    submitted = Submitted(read_form(KIND, request.query_params.multi_items()))
    if request.query_params.get("paint"):
        submitted.extras["paint"] = "true"
    failure = _failure_of(state, caller, request.query_params.get("failed", ""))
    return page(request, "create.html", failure=failure, **_shown(state, caller, view, submitted))


def _failure_of(state: ServerState, caller: Caller, run_id: str) -> str:
    """Why a run failed that the caller may see, as the page shows it; "" otherwise."""
    try:
        run = find_run(run_id, state, caller) if run_id else None
    except HTTPError:
        return ""
    return "" if run is None or run.status is not Status.FAILED else RunTexts(state.studio).of(run, error_of(run) or "")


@router.post("")
async def submit(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Queue what the form asks for."""
    submitted = await read_submitted(request, state, caller)
    shown = partial(_shown, state, caller, view, submitted)
    if submitted.redraw:
        submitted.errors = {
            FILES[name].error if name in FILES else name: text for name, text in submitted.refused.items()
        }
        return page(request, CREATE.template, **await run_sync(shown))
    run: Run | None = None
    if not submitted.errors:
        await run_sync(_complete, state, caller, view, submitted)
    if not submitted.errors:
        run, submitted.errors = await enqueued(body_model(KIND), submitted.values, partial(_submit, state, caller))
    return await answer(CREATE, request, (run, submitted.errors), shown)


@router.post("/hints")
async def show_hints(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show what the form says before it is sent: words that the model does not know, and subjects that do not fit."""
    texts = await texts_of(request)
    values = read_form(KIND, texts)
    values[ADAPTER] = [*values.get(ADAPTER, ()), *read_subjects(texts)]
    shown = await run_sync(_form, state, caller, view, Submitted(values))
    return part(request, "create.html", "hints", form=shown)


@router.get("/words/{model}")
def show_words(request: Request, model: Annotated[str, PathParameter(max_length=64)]) -> HTMLResponse:
    """Show the words that a model knows; raises HTTPError (404) for an unknown one."""
    try:
        images, words = model_words(model)
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error
    return page(request, "create_words.html", model=model, images=images, words=words)


@router.post("/copy")
async def copy(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Show the request of the form as a command, as JSON and as Python."""
    submitted = await read_submitted(request, state, caller)
    shown = partial(_shown, state, caller, view, submitted)
    if submitted.refused:
        return await answer(CREATE, request, (None, submitted.errors), shown)
    await run_sync(_complete, state, caller, view, submitted)
    texts = request_texts(KIND, submitted.values)
    return await copied(CREATE, request, texts, shown)


@router.post("/files")
async def upload(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Store an image or an adapter as soon as it is chosen. Returns its reference, or the chips of the subjects."""
    try:
        async with request.form(max_files=1, max_fields=4) as form:
            name, file = next(((name, each) for name, each in form.multi_items() if isinstance(each, UploadFile)))
            content, called = await file.read(), file.filename or ""
            chips = [str(value) for value in form.getlist("subject")]
    except StopIteration:
        return _refused(request, "no file was sent; choose one")
    except HTTPException as error:
        if error.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        limit = state.settings.upload_bytes / 2**20
        return _refused(request, f"the file is larger than {limit:,.1f} MB; choose a smaller one")
    target = name.removesuffix(FILE)
    store = store_form_adapter if target == ADAPTER else store_form_image
    try:
        check_bytes(state, called, len(content))
        reference = await run_sync(store, state, caller, called, content)
    except Unavailable:
        raise
    except LimnerError as error:
        return _refused(request, str(error))
    if target != ADAPTER:
        return Response(reference, media_type="text/plain")
    submitted = Submitted({ADAPTER: [*chips, reference]})
    shown = await run_sync(_shown, state, caller, view, submitted)
    return part(request, "create.html", "subjects", **shown)


@router.post("/variations/{picture}")
async def make_variations(
    request: Request, image: ImageDep, state: StateDep, caller: CallerDep, view: ViewDep
) -> Response:
    """Queue the same settings with the next seeds."""
    runs = await run_sync(recent_runs, state.studio, caller, COMPARED)
    seed = await run_sync(next_seed, state.studio, image, runs)
    again = image.request.model_copy(update={"seed": seed, "count": VARIATIONS})
    return await _repeat(request, image, again, state, caller, view)


@router.post("/larger/{picture}")
async def make_larger(request: Request, image: ImageDep, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Queue the same image with sides of twice as many pixels, and with more detail."""
    try:
        again = enlarged(image)
    except LimnerError as error:
        return _failed(request, error)
    return await _repeat(request, image, again, state, caller, view)


@router.post("/influence/{picture}")
async def find_influence(request: Request, image: ImageDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue the search for the training images that influenced an image."""
    try:
        run = await run_submission(partial(submit_influence, state, caller, image))
    except Unavailable:
        raise
    except LimnerError as error:
        return _failed(request, error)
    if not wants_part(request):
        return go(request, f"/runs/{run.id}")
    return part(request, "about.html", "influence", run=run)


@router.post("/images/{picture}/favourite")
def set_favourite(
    request: Request, image: ImageDep, studio: StudioDep, view: ViewDep, on: Annotated[str, Form()] = ""
) -> Response:
    """Add an image to the favourites, or remove it."""
    studio.feedback.set_favourite(view, image.id, bool(on))
    return _result(request, studio, view, image.id)


@router.post("/images/{picture}/stars")
def set_stars(
    request: Request, image: ImageDep, studio: StudioDep, view: ViewDep, stars: Annotated[int, Form(ge=0, le=5)] = 0
) -> Response:
    """Rate an image; 0 removes the rating."""
    studio.feedback.rate(view, image.id, Rating(stars=stars) if stars else None)
    return _result(request, studio, view, image.id)


@router.get("/images/{picture}/about")
async def show_about(request: Request, image: ImageDep, state: StateDep, caller: CallerDep) -> HTMLResponse:
    """Show the label of an image, and whether its file still is as it was generated."""
    details = await run_sync(show_image, state.studio, image)
    found: Any = None
    try:
        place = Path(await run_sync(state.studio.files.local_path, details.reference, ".png"))
        found = await verify_file(state, caller, place)
    except Unavailable:
        raise
    except LimnerError:  # its file was erased
        pass
    subjects = await run_sync(subjects_of_label, state.studio, caller, details)
    shown = {"image": details, "found": found, "subjects": subjects}
    if wants_part(request):
        return part(request, "about.html", "about", **shown)
    return page(request, "about.html", **shown)


def _result(request: Request, studio: Any, view: Viewer, image: int) -> Response:
    if not wants_part(request):
        return back(request)
    return part(request, "create_card.html", "result", result=result_of(studio.images.get(view, image)))


def _refused(request: Request, problem: str) -> Response:
    return Response(problem, HTTPStatus.UNPROCESSABLE_ENTITY, media_type="text/plain; charset=utf-8")


def _failed(request: Request, error: LimnerError) -> Response:
    """Why an action on a result was refused, next to it; without JavaScript as a page."""
    if not wants_part(request):
        raise error
    return part(request, "about.html", "problem", HTTPStatus.UNPROCESSABLE_ENTITY, problem=str(error))


async def _repeat(
    request: Request, image: GeneratedImage, again: GenerateRequest, state: ServerState, caller: Caller, view: Viewer
) -> Response:
    """Queue settings of an image, with the choices of its form as tags, and show the job in the list of results."""
    run = await run_sync(state.studio.runs.get, image.run)
    tags = {name: value for name, value in run.tags.items() if name not in HIDDEN_TAGS}
    try:
        await run_submission(partial(_queue, state, caller, again, tags=tags))
    except Unavailable:
        raise
    except LimnerError as error:
        return _failed(request, error)
    if not wants_part(request):
        return back(request)
    listed = await run_sync(results, form_page_of(request), state, caller, view)
    return part(request, "results_update.html", "update", **listed)


def _complete(state: ServerState, caller: Caller, view: Viewer, submitted: Submitted) -> None:
    """Add what follows from other fields: the base model of a subject, and the size. Subjects must fit the model."""
    if submitted.values.get(ADAPTER):
        subjects = chosen(subjects_of(state.studio, caller, view), submitted.values[ADAPTER])
        if problem := misfit(subjects, submitted.values.get("model", "")):
            submitted.errors[ADAPTER] = problem
        base = base_for(subjects, submitted.values)
        if base is not None:
            submitted.values["model"] = base
    take_shape(submitted)


def _submit(state: ServerState, caller: Caller, body: Any) -> Run:
    request, execution = split_body(body)
    return _queue(state, caller, request, execution)  # type: ignore[arg-type]


def _queue(
    state: ServerState,
    caller: Caller,
    request: GenerateRequest,
    execution: Execution = Execution(),  # noqa: B008
    tags: Mapping[str, str] | None = None,
) -> Run:
    require_model(state, request.model)
    execution = execution.model_copy(update={"preview_every": PREVIEW_EVERY})
    return state.studio.enqueue(request, caller=caller, granted=state.granted, execution=execution, tags=tags)


def _form(state: ServerState, caller: Caller, view: Viewer, submitted: Submitted) -> CreateForm:
    subjects = chosen(subjects_of(state.studio, caller, view), submitted.values.get(ADAPTER, ()))
    return create_form(submitted, subjects, state.settings.upload_bytes)


def _shown(state: ServerState, caller: Caller, view: Viewer, submitted: Submitted) -> dict[str, Any]:
    """What the template needs."""
    form = _form(state, caller, view, submitted)
    models = model_choices(state.studio, caller, form.named["model"].value)
    return {"form": form, "models": models, **results(CREATE, state, caller, view)}
