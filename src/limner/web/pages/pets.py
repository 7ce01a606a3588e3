"""The page that generates images of pets, by species, breed, background, extras and style."""

from __future__ import annotations

import secrets
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.execution import Execution
from limner.core.feedback import ImageQuery
from limner.core.pets import PetsCall, choose_pet
from limner.core.requests import GenerateRequest
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, ViewDep
from limner.server.pets import pets_request, submit_pets
from limner.server.problems import HTTPError
from limner.studio.images import Viewer
from limner.studio.model_facts import prompt_problem
from limner.studio.pets import draws_pets, pet_catalogue, pet_drawing
from limner.web.assets import FOREVER
from limner.web.base_models import model_choices, require_model
from limner.web.cards import recent_runs
from limner.web.create_flow import PETS, PREVIEW_EVERY, SEARCHED, Found, answer, copied, enqueued, results
from limner.web.forms import as_json, as_python, model_command, model_form_fields, problem_at, validated_model
from limner.web.own_adapters import OwnAdapter, own_adapters, stored
from limner.web.pets_form import PetsForm, read_pets_form
from limner.web.rendering import page, part, wants_part
from limner.web.shapes import shapes_of
from limner.web.uploads import Texts, submitted

KIND = "generate"
THUMBNAIL = 160
DRAWN_BY = "starter"
"""The model whose drawings stand for breeds of models that have none."""
SEEDS = 2**32
router = APIRouter(prefix="/create/pets")
Name = Annotated[str, Path(max_length=64)]


@router.get("")
def show_form(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the form, filled in by the fields of the query, and the newest jobs of pets."""
    typed = [(name, value) for name, value in request.query_params.multi_items() if value.strip()]
    return page(request, PETS.template, **_page(state, caller, view, typed, {}))


@router.get("/drawings/{model}/{species}/{breed}")
def show_drawing(model: Name, species: Name, breed: Name) -> Response:
    """Show a breed as the model was trained to draw it."""
    try:
        content = pet_drawing(model, species, breed)
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error
    return Response(content, media_type="image/png", headers={"Cache-Control": FOREVER})


@router.post("/prompt")
async def show_prompt(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the prompt that the choices give."""
    return await _refresh(request, state, caller, view, "prompt_changed")


@router.post("/hints")
async def show_hints(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show what is to be said of the prompt: words that the model does not know, and that choices do not change it."""
    return await _refresh(request, state, caller, view, "hints")


@router.post("/species")
async def show_breeds(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the breeds of the species, and the prompt."""
    return await _refresh(request, state, caller, view, "species_changed")


@router.post("/model")
async def show_choices(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show what the model can draw: the whole form."""
    return await _refresh(request, state, caller, view, "form")


@router.post("")
async def submit(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Queue what the form asks for."""
    typed, errors = await _submitted(request, state, caller)
    run: Run | None = None
    if not errors:
        run, errors = await _enqueue(state, caller, await run_sync(read_pets_form, typed))
    return await answer(PETS, request, (run, errors), partial(_page, state, caller, view, typed, errors))


@router.post("/copy")
async def copy(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Show the call of the form as a command, as JSON and as Python; or what is wrong with it."""
    typed, errors = await _submitted(request, state, caller)
    texts, wrong = await run_sync(_texts, state, caller, typed)
    shown = partial(_page, state, caller, view, typed, {**errors, **wrong})
    if wrong:
        return await answer(PETS, request, (None, wrong), shown)
    return await copied(PETS, request, texts, shown)


async def _refresh(request: Request, state: ServerState, caller: Caller, view: Viewer, block: str) -> HTMLResponse:
    """A block of the page for the choices of the form, or without JavaScript the whole page."""
    typed, _ = await _submitted(request, state, caller)
    typed = _fitting(typed)
    if ("reset", "true") in typed:
        typed = [(name, value) for name, value in typed if name not in ("prompt", "reset")]
    if wants_part(request):
        return part(request, PETS.template, block, **await run_sync(_shown, state, caller, view, typed, {}))
    return page(request, PETS.template, **await run_sync(_page, state, caller, view, typed, {}))


async def _submitted(request: Request, state: ServerState, caller: Caller) -> tuple[Texts, dict[str, str]]:
    """The fields of a submitted form, with references of adapters, and what is wrong with which field."""
    typed, errors = await submitted(request, state, caller)
    found: Texts = []
    for name, value in typed:
        if name == "adapter":
            try:
                value = await run_sync(stored, state, caller, value)
            except Unavailable:
                raise
            except LimnerError as error:
                errors[name] = str(error)
        found.append((name, value))
    return found, errors


def _fitting(typed: Texts) -> Texts:
    """The fields without a breed that only another species has."""
    form = read_pets_form(typed)
    fits = not form.breed or form.breed in form.catalogue.breeds.get(form.species, ())
    return typed if fits else [(name, value) for name, value in typed if name != "breed"]


async def _enqueue(state: ServerState, caller: Caller, form: PetsForm) -> Found:
    """The queued run, or what is wrong with which field."""
    call, errors = _checked(form)
    if call is None:
        return None, errors

    def submit(body: PetsCall) -> Run:
        require_model(state, body.model)
        return submit_pets(state, body, caller=caller, execution=Execution(preview_every=PREVIEW_EVERY))

    return await enqueued(PetsCall, form.call_fields(), submit)


def _checked(form: PetsForm) -> tuple[PetsCall | None, dict[str, str]]:
    """The call of a form, or None and what is wrong with which field."""
    call, errors = validated_model(PetsCall, form.call_fields())
    if call is None:
        return None, errors
    _, wrong = choose_pet(call, form.catalogue)
    return (None if wrong else call), {name: str(error) for name, error in wrong.items()}


def _shown(state: ServerState, caller: Caller, view: Viewer, typed: Texts, errors: dict[str, str]) -> dict[str, Any]:
    """What the templates need of a form."""
    form = read_pets_form(typed)
    call, wrong = _checked(form)
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
    adapters = own_adapters(state.studio, caller, form.model, form.adapter)
    return {
        "form": form,
        "fields": fields,
        "errors": errors,
        "problem": "; ".join(text for name, text in errors.items() if name not in fields),
        "made": made,
        "unknown": prompt_problem(form.model, form.edited or made, _called(adapters, form)),
        "models": model_choices(state.studio, caller, form.model, own=False),
        "adapters": adapters,
        "drawn": draws_pets(form.model),
        "pictures": _pictures(state, caller, view, form),
        "shapes": shapes_of(form.model),
    }


def _called(adapters: list[OwnAdapter], form: PetsForm) -> dict[str, tuple[str, ...]]:
    """The name of the chosen adapter, with the words by which it is called."""
    typed = form.values.get("identifier", "")
    return {each.name: (*each.words, typed) for each in adapters if each.value == form.adapter}


def _pictures(state: ServerState, caller: Caller, view: Viewer, form: PetsForm) -> dict[str, str]:
    """A picture of each breed that has one, as a path: as its model was trained to draw it, the newest image that the
    account made of it with this model, or the starter's drawing.
    """
    drawn_by = form.model if draws_pets(form.model) else DRAWN_BY
    known = pet_catalogue(drawn_by).breeds.get(form.species, ())
    found = {name: _drawing(drawn_by, form.species, name) for name in form.breeds if name in known}
    if drawn_by == form.model:
        return found
    made: dict[str, str] = {}
    for run in recent_runs(state.studio, caller, SEARCHED):
        breed = run.tags.get("breed", "")
        if breed in made or breed not in form.breeds or run.tags.get("species") != form.species:
            continue
        if isinstance(run.request, GenerateRequest) and run.request.model == form.model:
            images = state.studio.images.list(view, ImageQuery(run=run.id, limit=1))
            if images:
                made[breed] = f"/thumbnails/{THUMBNAIL}/{images[0].sha256}.webp"
    return {name: place for name in form.breeds if (place := made.get(name) or found.get(name))}


def _drawing(model: str, species: str, breed: str) -> str:
    return f"{PETS.place}/drawings/{quote(model, safe='')}/{quote(species, safe='')}/{quote(breed, safe='')}"


def _page(state: ServerState, caller: Caller, view: Viewer, typed: Texts, errors: dict[str, str]) -> dict[str, Any]:
    """What the whole page needs: the form, and its jobs."""
    shown = _shown(state, caller, view, typed, errors)
    return {**shown, **results(PETS, state, caller, view)}


def _texts(state: ServerState, caller: Caller, typed: Texts) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The call of a form as a command, as JSON and as Python, and what is wrong with which field. A seed that is left
    to chance is drawn, so that all three make the same images.
    """
    call, errors = _checked(read_pets_form(typed))
    if call is None:
        return [], errors
    if call.seed is None:
        call = call.model_copy(update={"seed": secrets.randbelow(SEEDS)})
    values = call.model_dump(mode="json", exclude_defaults=True) | {"species": call.species}
    try:
        request, tags = pets_request(state, call, caller)
    except Unavailable:
        raise
    except LimnerError as error:
        return [], problem_at(error, values)
    made = request.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    command = {name: getattr(call, name) for name in values}
    return [
        ("Command", model_command("pets", PetsCall, command)),
        ("JSON", as_json(values)),
        ("Python", as_python(KIND, made, tags)),
    ], {}
