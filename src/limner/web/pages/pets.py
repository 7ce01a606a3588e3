"""The page that generates images of pets, by species, breed, background, extras and style."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.pets import PetsCall, choose_pet
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep
from limner.server.limits import run_submission
from limner.server.pets import pets_request, submit_pets
from limner.server.problems import HTTPError
from limner.studio.choices import choices
from limner.studio.pets import draws_pets, pet_drawing
from limner.studio.runs import QUEUE
from limner.web.assets import FOREVER
from limner.web.forms import model_form_fields, problem_at, validated_model
from limner.web.own_adapters import own_adapters
from limner.web.pets_form import PetsForm, read_pets_form
from limner.web.rendering import page, part, wants_part
from limner.web.uploads import Texts, submitted
from limner.web.views import RunView, run_views

SHOWN, LISTED = 6, 60
"""Jobs that are shown, and the newest ones that are searched for them."""
router = APIRouter(prefix="/create/pets")
Name = Annotated[str, Path(max_length=64)]


@router.get("")
def show_form(request: Request, state: StateDep, caller: CallerDep) -> HTMLResponse:
    """Show the form, filled in by the fields of the query, and the newest jobs of pets."""
    typed = [(name, value) for name, value in request.query_params.multi_items() if value.strip()]
    shown = _shown(state, caller, typed, {}, complete=bool(typed))
    return page(request, "pets.html", **shown, jobs=_newest(state, caller))


@router.get("/drawings/{model}/{species}/{breed}")
def show_drawing(model: Name, species: Name, breed: Name) -> Response:
    """Show a breed as the model was trained to draw it."""
    try:
        content = pet_drawing(model, species, breed)
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error
    return Response(content, media_type="image/png", headers={"Cache-Control": FOREVER})


@router.post("/prompt")
async def show_prompt(request: Request, state: StateDep, caller: CallerDep) -> HTMLResponse:
    """Show the prompt that the choices give."""
    return await _refresh(request, state, caller, "prompt_field")


@router.post("/species")
async def show_breeds(request: Request, state: StateDep, caller: CallerDep) -> HTMLResponse:
    """Show the breeds of the species, and the prompt."""
    return await _refresh(request, state, caller, "species_changed")


@router.post("/model")
async def show_choices(request: Request, state: StateDep, caller: CallerDep) -> HTMLResponse:
    """Show what the model can draw: the whole form."""
    return await _refresh(request, state, caller, "form")


@router.post("")
async def submit(request: Request, state: StateDep, caller: CallerDep) -> Response:
    """Queue what the form asks for. Without JavaScript the browser goes on to the page of the job."""
    typed, errors = await submitted(request, state, caller)
    run: Run | None = None
    if not errors:
        run, errors = await _enqueue(state, caller, await run_sync(read_pets_form, typed))
    if run is not None and not wants_part(request):
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}/runs/{run.id}", HTTPStatus.SEE_OTHER)
    shown = await run_sync(partial(_shown, state, caller, typed, errors))
    if wants_part(request) and errors:
        return part(request, "pets.html", "form", HTTPStatus.UNPROCESSABLE_ENTITY, **shown)
    jobs = await run_sync(_newest, state, caller)
    if wants_part(request):
        return part(request, "pets.html", "submitted", **shown, jobs=jobs)
    return page(request, "pets.html", HTTPStatus.UNPROCESSABLE_ENTITY, **shown, jobs=jobs)


async def _refresh(request: Request, state: ServerState, caller: Caller, block: str) -> HTMLResponse:
    """A block of the page for the choices of the form, or without JavaScript the whole page."""
    typed, _ = await submitted(request, state, caller)
    typed = _fitting(typed)
    if ("reset", "true") in typed:
        typed = [(name, value) for name, value in typed if name not in ("prompt", "reset")]
    shown = await run_sync(partial(_shown, state, caller, typed, {}))
    if wants_part(request):
        return part(request, "pets.html", block, **shown)
    return page(request, "pets.html", **shown, jobs=await run_sync(_newest, state, caller))


def _fitting(typed: Texts) -> Texts:
    """The fields without a breed that only another species has."""
    form = read_pets_form(typed)
    fits = not form.breed or form.breed in form.catalogue.breeds.get(form.species, ())
    return typed if fits else [(name, value) for name, value in typed if name != "breed"]


async def _enqueue(state: ServerState, caller: Caller, form: PetsForm) -> tuple[Run | None, dict[str, str]]:
    """The queued run, or what is wrong with which field."""
    call, errors = _checked(form)
    if call is None:
        return None, errors
    try:
        return await run_submission(partial(submit_pets, state, call, caller)), {}
    except Unavailable:
        raise
    except LimnerError as error:
        return None, problem_at(error, form.call_fields())


def _checked(form: PetsForm) -> tuple[PetsCall | None, dict[str, str]]:
    """The call of a form, or None and what is wrong with which field."""
    call, errors = validated_model(PetsCall, form.call_fields())
    if call is None:
        return None, errors
    _, wrong = choose_pet(call, form.catalogue)
    return (None if wrong else call), {name: str(error) for name, error in wrong.items()}


def _shown(
    state: ServerState, caller: Caller, typed: Texts, errors: dict[str, str], *, complete: bool = True
) -> dict[str, Any]:
    """What the templates need of a form. complete: whether a missing prompt is filled in, and values are checked."""
    form = read_pets_form(typed)
    call, wrong = _checked(form) if complete else (None, {})
    errors = {**wrong, **errors}
    made = ""
    unedited = None if call is None else call.model_copy(update={"prompt": None})
    if unedited is not None:
        try:
            made = pets_request(state, unedited, caller)[0].prompt
        except Unavailable:
            raise
        except LimnerError as error:
            errors.setdefault("adapter", str(error))
    fields = {field.name: field for field in model_form_fields(PetsCall, form.plain, errors)}
    return {
        "form": form,
        "fields": fields,
        "errors": errors,
        "problem": "; ".join(text for name, text in errors.items() if name not in fields),
        "made": made,
        "models": _with(choices("models"), form.model),
        "adapters": own_adapters(state.studio, caller, form.model, form.adapter),
        "drawn": draws_pets(form.model),
    }


def _with(known: Iterable[str], chosen: str) -> list[str]:
    return list(dict.fromkeys((*known, chosen)))


def _newest(state: ServerState, caller: Caller) -> list[RunView]:
    """The newest jobs of pets."""
    runs = state.studio.runs.list(LISTED, "generate", None, None, QUEUE, caller.scope)
    return run_views(state.studio, [run for run in runs if "species" in run.tags][:SHOWN])
