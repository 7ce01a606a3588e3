"""The page that generates marketing images, as POST /generate-image does: by industry and style."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.requests import AdapterUse
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, ViewDep
from limner.server.marketing import MarketingRequest, marketing_body, submit_marketing
from limner.server.profile import Profile
from limner.studio.adapter_files import training_of
from limner.studio.files import REFERENCE
from limner.studio.images import Viewer
from limner.studio.model_facts import prompt_problem
from limner.web.base_models import require_model
from limner.web.create_flow import MARKETING, PREVIEW_EVERY, answer, copied, enqueued, results
from limner.web.forms import as_command, as_json, as_python, model_form_fields, problem_at, validated_model
from limner.web.own_adapters import adapter_names, short_name
from limner.web.rendering import page, part, wants_part
from limner.web.shapes import shapes_of
from limner.web.uploads import REMOVE, Texts, refused_in, submitted, texts_of

LABELS = {"base_image_url": "Image to start from", "count": "How many", "seed": "Variation number"}
HELPS = {
    "base_image_url": "The result keeps its composition. The image is stored here.",
    "industry": "Adds words to the prompt, and uses what was taught for it.",
    "style": "Selects the words around the prompt.",
}
WORDS_OF = "words_of"
"""The field of a form that says which industry's words stood in it."""
router = APIRouter(prefix="/create/marketing")


@dataclass(frozen=True)
class RatedAdapter:
    """An adapter of an industry with its ratings. use: what it is used for. mean: in stars, None without ratings."""

    name: str
    use: str
    ratings: int
    mean: float | None


@router.get("")
def show_form(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the form, filled in by the fields of the query, and the newest jobs of marketing."""
    values = _values(request.query_params.multi_items())
    return page(request, MARKETING.template, **_shown(state, caller, view, values, {}))


@router.post("/adapters")
async def show_adapters(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the words that the industry adds, and its adapters."""
    typed, errors = await submitted(request, state, caller)
    shown = await run_sync(_shown, state, caller, view, _values(typed), errors, refused_in(typed))
    if wants_part(request):
        return part(request, MARKETING.template, "industry_changed", **shown)
    return page(request, MARKETING.template, **shown)


@router.post("/hints")
async def show_hints(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the whole prompt, and the words in it that the model does not know."""
    values = _values(await texts_of(request))
    return part(request, MARKETING.template, "hints", **await run_sync(_shown, state, caller, view, values, {}))


@router.post("")
async def submit(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Queue what the form asks for."""
    typed, errors = await submitted(request, state, caller)
    values = _values(typed)
    run: Run | None = None
    removed = {value for name, value in typed if name == REMOVE}
    if removed:
        values = {name: value for name, value in values.items() if name not in removed}
        shown = partial(_shown, state, caller, view, values, errors, refused_in(typed))
        return page(request, MARKETING.template, **await run_sync(shown))
    if not errors:

        def queue(call: MarketingRequest) -> Run:
            require_model(state, str(state.profile.text.request.get("model", "starter")))
            return submit_marketing(
                state, call, caller=caller, http_request=request, preview_every=PREVIEW_EVERY, priority=0
            )

        run, errors = await enqueued(MarketingRequest, values, queue)
    shown = partial(_shown, state, caller, view, values, errors, refused_in(typed))
    return await answer(MARKETING, request, (run, errors), shown)


@router.post("/copy")
async def copy(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Show the call of the form as a command, as JSON and as Python; or what is wrong with it."""
    typed, errors = await submitted(request, state, caller)
    values = _values(typed)
    texts: list[tuple[str, str]] = []
    if not errors:
        texts, errors = await run_sync(_texts, state, caller, request, values)
    shown = partial(_shown, state, caller, view, values, errors, refused_in(typed))
    if errors:
        return await answer(MARKETING, request, (None, errors), shown)
    return await copied(MARKETING, request, texts, shown)


def _texts(
    state: ServerState, caller: Caller, request: Request, values: dict[str, str]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The call of a form as a command, as JSON and as Python, and what is wrong with which field. A seed that is left
    to chance is drawn, so that all three make the same images.
    """
    call, errors = validated_model(MarketingRequest, {"seed": str(secrets.randbelow(2**32)), **values})
    if call is None:
        return [], errors
    try:
        body, tags = marketing_body(state, call, caller, request)
    except Unavailable:
        raise
    except LimnerError as error:
        return [], problem_at(error, values)
    made = body.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    command = {name: getattr(body, name) for name in made}
    return [
        ("Command", as_command(body.kind, command)),
        ("JSON", as_json(call.model_dump(mode="json", exclude_defaults=True))),
        ("Python", as_python(body.kind, made, tags)),
    ], {}


def _values(typed: Texts) -> dict[str, str]:
    """The fields of a call. The words of an industry count, empty ones too, if they were shown for the chosen one."""
    given = dict(typed)
    values = {name: value for name, value in typed if value.strip() and name in MarketingRequest.model_fields}
    shown_for = given.get(WORDS_OF)
    if shown_for is not None:
        values.pop("words", None)
        if shown_for == given.get("industry"):
            values["words"] = given.get("words", "").strip()
    return values


def _shown(
    state: ServerState,
    caller: Caller,
    view: Viewer,
    values: dict[str, str],
    errors: dict[str, str],
    refused: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the templates need: the form, and its jobs. refused: why files were."""
    profile = state.profile
    fields = {field.name: field for field in model_form_fields(MarketingRequest, values, errors)}
    for name, field in fields.items():
        fields[name] = replace(field, label=LABELS.get(name, field.label), help=HELPS.get(name, field.help))
    for name, known, usual in (
        ("industry", profile.industries, "none"),
        ("style", profile.styles, profile.default_style),
    ):
        fields[name] = replace(fields[name], control="select", known=tuple(known), placeholder=usual)
    fields["base_image_url"] = replace(fields["base_image_url"], control="image")
    industry = values.get("industry", "")
    own = _words(profile, industry)
    words = values.get("words", own or "")
    model = str((profile.picture if "base_image_url" in values else profile.text).request.get("model", "starter"))
    used = [] if own is None else profile.adapters(industry, values.get("base_image_url"))
    names = adapter_names(state.studio, caller.scope)
    whole = _whole(profile, values, words)
    return {
        "fields": fields,
        "refused": (refused or {}).get("base_image_url", ""),
        "known_industry": own is not None,
        "model": model,
        "whole": whole,
        "unknown": prompt_problem(model, whole, {_name(each, names): _called(state, each) for each in used}),
        "problem": "; ".join(text for name, text in errors.items() if name not in fields),
        "industry": industry,
        "words": words,
        "adapters": _adapters(state, view, values.get("industry"), names),
        "shapes": shapes_of(state.profile.text.request.get("model", "starter")),
        "limit": state.settings.upload_bytes,
        **results(MARKETING, state, caller, view),
    }


def _words(profile: Profile, industry: str) -> str | None:
    """The words that an industry adds to the prompt; None for an unknown one."""
    wanted = industry.strip().casefold()
    return next((each.words for name, each in profile.industries.items() if name.casefold() == wanted), None)


def _whole(profile: Profile, values: Mapping[str, str], words: str) -> str:
    """The prompt that the model gets; empty where there is none yet."""
    prompt = values.get("prompt", "")
    try:
        style = values.get("style") or profile.default_style
        return profile.request(prompt, None, style, words=words).prompt if prompt else ""
    except (LimnerError, ValidationError):  # which the form says once it is sent
        return ""


def _name(adapter: AdapterUse, names: Mapping[str, str]) -> str:
    """The name of an adapter of the profile."""
    return names.get(adapter.path.rpartition(":")[2]) or short_name(adapter.path)


def _called(state: ServerState, adapter: AdapterUse) -> tuple[str, ...]:
    """The words by which an adapter of the profile is called, as far as its file states its training."""
    training = training_of(state.studio.files, adapter.path) if REFERENCE.fullmatch(adapter.path) else None
    return () if training is None else (training.identifier or "", training.class_word)


def _adapters(state: ServerState, view: Viewer, industry: str | None, names: Mapping[str, str]) -> list[RatedAdapter]:
    """The adapters of an industry, with the ratings that the viewer sees; none for an unknown industry."""
    profile = state.profile
    if industry is None or industry.strip().casefold() not in {name.casefold() for name in profile.industries}:
        return []
    known = {each.name: each for each in state.studio.feedback.summary(view, "adapter", industry.strip().casefold())}
    found: list[RatedAdapter] = []
    for use, image in (("from a prompt", None), ("from an image", "picture")):
        for adapter in profile.adapters(industry, image):
            rated = known.get(adapter.path)
            found.append(
                RatedAdapter(_name(adapter, names), use, rated.ratings if rated else 0, rated.mean if rated else None)
            )
    return found
