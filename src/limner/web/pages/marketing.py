"""The page that generates marketing images, as POST /generate-image does: by industry and style."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, ViewDep
from limner.server.limits import run_submission
from limner.server.marketing import MarketingRequest, submit_marketing
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.web.forms import model_form_fields, problem_at, validated_model
from limner.web.rendering import page, part, wants_part
from limner.web.uploads import Texts, submitted
from limner.web.views import RunView, run_views

SHOWN, LISTED = 6, 60
"""Jobs that are shown, and the newest ones that are searched for them."""
LABELS = {"base_image_url": "Image to start from", "count": "How many", "seed": "Variation number"}
HELPS = {
    "base_image_url": "The result keeps its composition. The image is stored here.",
    "industry": "Adds words to the prompt, and selects an adapter.",
    "style": "Selects the words around the prompt.",
}
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
    return page(request, "marketing.html", **_shown(state, view, values, {}), jobs=_newest(state, caller))


@router.post("/adapters")
async def show_adapters(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the adapters of the industry."""
    typed, errors = await submitted(request, state, caller)
    shown = await run_sync(partial(_shown, state, view, _values(typed), errors))
    if wants_part(request):
        return part(request, "marketing.html", "adapters", **shown)
    return page(request, "marketing.html", **shown, jobs=await run_sync(_newest, state, caller))


@router.post("")
async def submit(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Queue what the form asks for. Without JavaScript the browser goes on to the page of the job."""
    typed, errors = await submitted(request, state, caller)
    values = _values(typed)
    run: Run | None = None
    if not errors:
        run, errors = await _enqueue(request, state, caller, values)
    if run is not None and not wants_part(request):
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}/runs/{run.id}", HTTPStatus.SEE_OTHER)
    shown = await run_sync(partial(_shown, state, view, values, errors))
    if wants_part(request) and errors:
        return part(request, "marketing.html", "form", HTTPStatus.UNPROCESSABLE_ENTITY, **shown)
    jobs = await run_sync(_newest, state, caller)
    if wants_part(request):
        return part(request, "marketing.html", "submitted", **shown, jobs=jobs)
    return page(request, "marketing.html", HTTPStatus.UNPROCESSABLE_ENTITY, **shown, jobs=jobs)


async def _enqueue(
    request: Request, state: ServerState, caller: Caller, values: dict[str, str]
) -> tuple[Run | None, dict[str, str]]:
    """The queued run, or what is wrong with which field."""
    call, errors = validated_model(MarketingRequest, values)
    if call is None:
        return None, errors
    try:
        return await run_submission(partial(submit_marketing, state, call, caller, request)), {}
    except Unavailable:
        raise
    except LimnerError as error:
        return None, problem_at(error, values)


def _values(typed: Texts) -> dict[str, str]:
    return {name: value for name, value in typed if value.strip() and name in MarketingRequest.model_fields}


def _shown(state: ServerState, view: Viewer, values: dict[str, str], errors: dict[str, str]) -> dict[str, Any]:
    """What the templates need of a form."""
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
    return {
        "fields": fields,
        "problem": "; ".join(text for name, text in errors.items() if name not in fields),
        "industry": values.get("industry", ""),
        "adapters": _adapters(state, view, values.get("industry")),
    }


def _adapters(state: ServerState, view: Viewer, industry: str | None) -> list[RatedAdapter]:
    """The adapters of an industry, with the ratings that the viewer sees; none for an unknown industry."""
    profile = state.profile
    if industry is None or industry.strip().casefold() not in {name.casefold() for name in profile.industries}:
        return []
    known = {each.name: each for each in state.studio.feedback.summary(view, "adapter", industry.strip().casefold())}
    found: list[RatedAdapter] = []
    for use, image in (("from a prompt", None), ("from an image", "picture")):
        for number, adapter in enumerate(profile.adapters(industry, image), 1):
            rated = known.get(adapter.path)
            name = f"Adapter {number} ({adapter.path.rpartition(':')[2][:8]})"
            found.append(RatedAdapter(name, use, rated.ratings if rated else 0, rated.mean if rated else None))
    return found


def _newest(state: ServerState, caller: Caller) -> list[RunView]:
    """The newest jobs of marketing: those with a style that are not of pets."""
    runs = state.studio.runs.list(LISTED, "generate", None, None, QUEUE, caller.scope)
    return run_views(state.studio, [run for run in runs if "style" in run.tags and "species" not in run.tags][:SHOWN])
