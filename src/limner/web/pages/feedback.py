"""The page Feedback: what people liked, improvements from their feedback, and blind comparisons of old and new."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.execution import body_model, split_body
from limner.core.feedback import ByWhat
from limner.core.promotions import Promotion, PromotionStatus
from limner.core.requests import TrainRequest
from limner.core.requests.feedback_selection import FEEDBACK_KINDS
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, StudioDep, ViewDep
from limner.server.improving import PairsDep, PromotionDep, changed, side_url
from limner.server.problems import HTTPError
from limner.studio.adapter_files import training_of
from limner.studio.images import Viewer
from limner.studio.promotions import ShownPair
from limner.web.create_flow import enqueued
from limner.web.feedback import (
    BY_TEXTS,
    OUTCOMES,
    improvement_views,
    is_admin,
    liked_rows,
    name_of,
    names_of,
    result_of,
    title_of,
    vote_place,
    votes_wanted,
)
from limner.web.forms import form_fields, read_form
from limner.web.own_adapters import stored, trained_adapters
from limner.web.rendering import go, page, part, wants_part
from limner.web.uploads import texts_of

KIND = "improve"
GIVEN = ("target", "model", "references")
"""Fields of a request that follow from the chosen adapter."""
SOURCE = {
    "label": "Learn from",
    "placeholder": "both",
    "help": "Ratings are stars; pairs are comparisons of two images.",
}
"""How the page shows where the feedback comes from; only programs give files."""
PairNumber = Annotated[int | None, Query(ge=0, lt=2**31)]
router = APIRouter(prefix="/feedback")


@router.get("")
def show_feedback(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    view: ViewDep,
    by: ByWhat = "adapter",
    industry: Annotated[str, Query(max_length=200)] = "",
    done: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> HTMLResponse:
    """Show what people liked, and the improvements. industry: only its images. done: a promotion that just changed."""
    studio = state.studio
    promotions = studio.promotions.list()
    wanted = industry.strip().casefold()
    names = names_of(studio, caller, promotions)
    rows = liked_rows(studio, caller, view, by, wanted or None, names)
    tags = [each.name for each in studio.feedback.summary(view, "industry") if each.name]
    return page(
        request,
        "feedback.html",
        rows=rows,
        by=by,
        by_texts=BY_TEXTS,
        industry=wanted,
        industries=sorted({*tags, *([wanted] if wanted else [])}),
        wanted=votes_wanted(studio, caller, promotions),
        improvements=improvement_views(studio, caller, promotions),
        admin=is_admin(caller),
        plans=[name for name, each in state.profile.industries.items() if each.improve],
        just=_just(promotions, done, names) if is_admin(caller) else None,
        empty=not rows and by == "adapter" and not wanted,
    )


def _just(promotions: list[Promotion], done: int, names: dict[str, str]) -> tuple[int, str, str] | None:
    """The promotion that was just changed, what is true now, and what takes that back."""
    found = next((each for each in promotions if each.id == done), None)
    if found is None:
        return None
    title = title_of(found, names)
    if found.status is PromotionStatus.PROMOTED:
        return found.id, f"The new one is in use: {title}.", "restore"
    if found.status in (PromotionStatus.RESTORED, PromotionStatus.DECLINED):
        return found.id, f"Only the old one is in use: {title}.", "promote"
    return None


def find_own(promotion: PromotionDep, caller: CallerDep) -> Promotion:
    """Return a promotion that the caller may decide; raises HTTPError (404) for others, as if there was none."""
    if not is_admin(caller):
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no improvement {promotion.id}", "choose one of the list")
    return promotion


OwnPromotionDep = Annotated[Promotion, Depends(find_own)]


@router.post("/improvements/{promotion}/promote")
def use_new(request: Request, caller: CallerDep, promotion: OwnPromotionDep, studio: StudioDep) -> Response:
    """Use an improved adapter."""
    changed(lambda: studio.promotions.promote(promotion.id, caller.account))
    return go(request, f"/feedback?done={promotion.id}")


@router.post("/improvements/{promotion}/restore")
def use_old(request: Request, caller: CallerDep, promotion: OwnPromotionDep, studio: StudioDep) -> Response:
    """Use only the old adapters."""
    changed(lambda: studio.promotions.restore(promotion.id, caller.account))
    return go(request, f"/feedback?done={promotion.id}")


@router.get("/votes/{promotion}")
def show_pair(request: Request, promotion: PromotionDep, pairs: PairsDep, pair: PairNumber = None) -> HTMLResponse:
    """Show a pair of images to vote on: the first open one, unless one is named."""
    return page(request, "feedback_vote.html", **_pair_shown(promotion, pairs, pair))


@router.post("/votes/{promotion}")
def vote(
    request: Request,
    promotion: PromotionDep,
    pairs: PairsDep,
    studio: StudioDep,
    caller: CallerDep,
    pair: Annotated[int, Form(ge=0, lt=2**31)],
    choice: Annotated[Literal["left", "right", "tie"], Form()],
) -> Response:
    """Record a vote, and show the next pair."""
    if promotion.status is PromotionStatus.VOTING:
        promotion = changed(lambda: studio.promotions.cast(promotion.id, caller, pair, choice))
    if not wants_part(request):
        return go(request, vote_place(promotion))
    pairs = studio.promotions.shown_pairs(promotion, caller)
    return part(request, "feedback_vote.html", "vote", **_pair_shown(promotion, pairs, None, after=pair))


def _pair_shown(
    promotion: Promotion, pairs: list[ShownPair], wanted: int | None, after: int | None = None
) -> dict[str, Any]:
    """What the template of a vote needs. after: the pair that was just voted on, for the next one in turn."""
    numbers = [each.number for each in pairs]
    start = numbers.index(after) + 1 if after in numbers else 0
    turn = [*range(start, len(pairs)), *range(start)]
    place = next((each for each in turn if pairs[each].vote is None), None)
    place = numbers.index(wanted) if wanted in numbers else place
    voting = promotion.status is PromotionStatus.VOTING
    shown = None if place is None or not voting else pairs[place]
    done = sum(each.vote is not None for each in pairs)
    last = len(pairs) if place is None else place
    return {
        "at": vote_place(promotion),
        "industry": promotion.industry,
        "voting": voting,
        "outcome": OUTCOMES.get(promotion.status, ""),
        "result": result_of(promotion),
        "why": promotion.why,
        "left_to_decide": max(0, promotion.needed - promotion.votes),
        "pair": shown,
        "place": last + 1,
        "done": done,
        "count": len(pairs),
        "before": pairs[last - 1].number if shown is not None and last > 0 else None,
        "first": pairs[0].number if pairs else None,
        "left": "" if shown is None else side_url(promotion.id, shown.number, "left"),
        "right": "" if shown is None else side_url(promotion.id, shown.number, "right"),
    }


@router.get("/improve")
def show_form(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show the form that improves an adapter, filled in by the fields of the query."""
    values = read_form(KIND, request.query_params.multi_items())
    return page(request, "feedback_improve.html", **_form_shown(state, caller, view, values, {}))


@router.post("/improve")
async def improve(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Queue an improvement."""
    values = read_form(KIND, await texts_of(request))
    run: Run | None = None
    errors = {} if values.get("target") else {"target": "nothing is chosen; choose what to improve"}
    if not errors:
        try:
            values = await run_sync(_completed, state, caller, values)
        except LimnerError as error:
            errors = {"target": str(error)}
    if not errors:
        run, errors = await enqueued(body_model(KIND), values, partial(_submit, state, caller))
    if run is not None:
        return go(request, f"/runs/{run.id}")
    shown = await run_sync(_form_shown, state, caller, view, values, errors)
    return page(request, "feedback_improve.html", HTTPStatus.UNPROCESSABLE_ENTITY, **shown)


def _completed(state: ServerState, caller: Caller, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a form with the adapter's reference, its base model and its photos, as far as they are known.

    Raises LimnerError for an adapter that the caller may not use.
    """
    adapter = stored(state, caller, str(values["target"]))
    if adapter not in state.granted and not state.studio.files.may_use(caller, adapter):
        raise LimnerError(f"{adapter[:80]!r} is not yours", "choose one of the list")
    training = _training_of(state, caller, adapter)
    known = {
        "model": None if training is None else training.model,
        "references": state.studio.promotions.photos(training, caller),
    }
    return {**{name: value for name, value in known.items() if value}, **values, "target": f"{adapter}:1"}


def _training_of(state: ServerState, caller: Caller, adapter: str) -> TrainRequest | None:
    """The request that an adapter was trained by: of the caller's own, or in the header of its file."""
    own = (each.result for each in trained_adapters(state.studio, caller, removed=True) if each.value == adapter)
    request = next((each.run.request for each in own if each is not None), None)
    return request if isinstance(request, TrainRequest) else training_of(state.studio.files, adapter)


def _submit(state: ServerState, caller: Caller, body: BaseModel) -> Run:
    request, execution = split_body(body)  # type: ignore[arg-type]
    return state.studio.enqueue(request, caller=caller, granted=state.granted, execution=execution)


def _form_shown(
    state: ServerState, caller: Caller, view: Viewer, values: dict[str, Any], errors: dict[str, str]
) -> dict[str, Any]:
    """What the template of the form needs."""
    studio, chosen = state.studio, str(values.get("target", "")).removesuffix(":1")
    ratings = {each.name: each.ratings for each in studio.feedback.summary(view, "adapter")}
    options = [(each.value, each.name, ratings.get(each.value, 0)) for each in trained_adapters(studio, caller)]
    options.sort(key=lambda each: -each[2])
    if chosen and chosen not in {value for value, _, _ in options}:
        names = names_of(studio, caller, studio.promotions.list() if is_admin(caller) else [])
        options.insert(0, (chosen, name_of(chosen, names), ratings.get(chosen, 0)))
    fields = {each.name: each for each in form_fields(KIND, values, errors)}
    fields["source"] = replace(fields["source"], control="select", known=FEEDBACK_KINDS, **SOURCE)
    fields["industry"] = replace(fields["industry"], known=tuple(state.profile.industries), suggested=True)
    return {
        "options": options,
        "chosen": chosen,
        "target": fields["target"],
        "fields": [each for name, each in fields.items() if name not in GIVEN],
        "problem": "; ".join(text for name, text in errors.items() if name not in fields or name in GIVEN[1:]),
    }
