"""The step Train of the page Teach: starts the training, and shows its loss, its previews and its result."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from limner.core.checkpoint_scores import CheckpointScores
from limner.core.drafts import Draft
from limner.core.errors import LimnerError, Unavailable
from limner.core.events import ArtifactKind
from limner.core.requests import TrainRequest
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep
from limner.server.limits import run_submission
from limner.server.replies import ArtifactReply
from limner.studio.model_facts import class_problem, identifier_problem, training_models
from limner.web.drafts import identifier_of, image_views, model_of, prepare_fields
from limner.web.loss_chart import SMOOTHING, loss_chart
from limner.web.pages.teach import (
    ELSEWHERE,
    NO_IMAGES,
    DraftDep,
    chosen_model,
    estimated,
    go,
    problem_with_images,
    shown_with,
)
from limner.web.pages.teach_images import checked, side_of
from limner.web.recipes import card_of, card_values, duration, settings_of, training_body
from limner.web.rendering import page, part
from limner.web.views import image_view, run_views

TEMPLATE = "teach_train.html"
MOST = 1.25
"""The end of the axes of scaled scores; a score may be a little above 1."""
Smoothing = Annotated[str, Query(max_length=20)]
router = APIRouter(prefix="/teach/{draft_id}/train")


@router.get("")
def show_training(
    request: Request, draft: DraftDep, state: StateDep, smoothing: Smoothing = "some", again: bool = False
) -> HTMLResponse:
    """Show what will be trained, or the training."""
    draft = state.studio.drafts.follow(draft, state.granted)
    return page(request, TEMPLATE, **_training(state, draft, smoothing, again=again))


@router.get("/progress")
def show_progress(request: Request, draft: DraftDep, state: StateDep, smoothing: Smoothing = "some") -> HTMLResponse:
    """Show how far the training is, for a page that is open."""
    draft = state.studio.drafts.follow(draft, state.granted)
    return part(request, TEMPLATE, "progress", **_training(state, draft, smoothing))


@router.post("")
async def start(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue the preparation of the images and the training."""
    problems, images, settings, body = await run_sync(_to_start, state, draft)
    if not problems:
        model = chosen_model(draft, await run_sync(training_models))
        fields = prepare_fields(draft, side_of(settings, model.side))
        queue = partial(state.studio.drafts.start, caller, draft, images, body, state.granted, **fields)
        try:
            await run_submission(queue)
        except Unavailable:
            raise
        except LimnerError as error:
            problems = [("images", str(error))]
    if problems:
        values = await run_sync(partial(_training, state, draft, "some", again=True, problems=problems))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    return await run_sync(go, request, f"/teach/{draft.id}/train")


def _to_start(
    state: ServerState, draft: Draft
) -> tuple[list[tuple[str, str]], list[Any], dict[str, Any], dict[str, Any]]:
    """What stands in the way of a training, by step; its images, settings and body."""
    findings, _ = checked(state.studio, draft)
    views = image_views(draft, findings)
    used = [view for view in views if view.used]
    models = training_models()
    settings = settings_of(draft, card_values(card_of(draft), chosen_model(draft, models), models))
    body, errors = training_body(draft, settings, NO_IMAGES)
    problems: list[tuple[str, str]] = []
    if not used:
        problems.append(("images", "there are no images to train on; add some, or keep some that are left out"))
    if any(view.refused for view in used) and not draft.text("despite").strip():
        reason = "an image is marked as not to be trained on; leave it out, or give a reason under Rights and crops"
        problems.append(("images", reason))
    for name, text in errors.items():
        problems.append(("subject" if name in ELSEWHERE else "recipe", _plain(name, text)))
    body.pop("data", None)
    return problems, [view.image for view in used], settings, body


def _plain(name: str, text: str) -> str:
    if name == "class_word":
        return "the class word is missing; write what the subject is, such as dog"
    return text


@router.post("/stop")
def stop(request: Request, draft: DraftDep, state: StateDep) -> Response:
    """Stop the training after its current step; it can be resumed from there."""
    choices = draft.choices
    if choices.waits:
        state.studio.runs.cancel(choices.prepare)
        state.studio.drafts.follow(draft, state.granted)
    elif (run := state.studio.drafts.run(choices.train)) is not None and not run.status.ended:
        state.studio.runs.cancel(run.id)
    return go(request, f"/teach/{draft.id}/train")


@router.post("/resume")
async def resume(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue a training again that was stopped or failed; it goes on from its last checkpoint."""
    run = await run_sync(state.studio.drafts.run, draft.choices.train)
    if run is not None and run.status.ended:
        await run_submission(lambda: state.studio.retry(run, caller, state.granted))
    return await run_sync(go, request, f"/teach/{draft.id}/train")


def _training(
    state: ServerState,
    draft: Draft,
    smoothing: str,
    *,
    again: bool = False,
    problems: list[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """What the step Train shows."""
    studio = state.studio
    run = studio.drafts.run(draft.choices.train)
    prepare = studio.drafts.run(draft.choices.prepare) if draft.choices.waits or draft.choices.problem else None
    ready = (run is None and prepare is None) or again
    live = draft.choices.waits or (run is not None and not run.status.ended)
    values: dict[str, Any] = {
        "ready": ready,
        "live": live,
        "smoothing": smoothing if smoothing in SMOOTHING else "some",
        "smoothings": tuple(SMOOTHING),
        "prepare": None if prepare is None else run_views(studio, [prepare])[0],
        "run": None,
        "problem": draft.choices.problem,
        "problems": problems or [],
        "parts": PARTS,
    }
    if run is not None:
        values |= _progress(state, run, values["smoothing"])
    if ready:
        values |= _summary(state, draft, check=problems is None)
    return shown_with(draft, "train", **values)


PARTS = {"images": "Images", "subject": "Subject", "recipe": "Recipe"}


def _summary(state: ServerState, draft: Draft, *, check: bool) -> dict[str, Any]:
    """What will be trained: images, words, settings, time and warnings."""
    problems, images, settings, _ = _to_start(state, draft)
    model = chosen_model(draft, training_models())
    name, identifier, class_word = model_of(draft), identifier_of(draft), draft.text("class_word").strip()
    warnings = [
        text
        for text in (
            problem_with_images(state.studio, draft, name) if draft.shown else "",
            class_problem(name, class_word) if class_word else "",
            identifier_problem(name, identifier),
            model.terms,
        )
        if text
    ]
    facts = [
        ("Images", f"{len(images)} of {len(draft.shown)}" if len(images) < len(draft.shown) else str(len(images))),
        ("Subject", f"{identifier} {class_word}"),
        ("Base model", f"{name}, {model.licence}"),
        ("Recipe", card_of(draft).title),
        ("Time", estimated(state.studio, draft, settings, model).text),
        ("Memory", f"{model.memory:g} GB of GPU memory" if model.memory else "fits any computer"),
    ]
    shown = {"facts": facts, "warnings": warnings}
    return {**shown, "problems": problems} if check and (problems or draft.shown) else shown


def _progress(state: ServerState, run: Run, smoothing: str) -> dict[str, Any]:
    """What a training has done so far."""
    studio = state.studio
    artifacts = [ArtifactReply.of(each) for each in reversed(studio.runs.artifacts(run.id))]
    request = run.request
    assert isinstance(request, TrainRequest)
    previews = [
        (each.details.get("step", 0), image_view(each, f"preview of step {each.details.get('step', 0)}"))
        for each in artifacts
        if each.kind == ArtifactKind.PREVIEW
    ]
    metrics = studio.training.metrics(run)
    stage = studio.training.stage(run)
    steps = request.steps or (int(metrics[-1]["step"]) if metrics else 0)
    left = studio.training.seconds_left(run, stage, datetime.now(UTC))
    result = next((each for each in artifacts if each.kind in (ArtifactKind.ADAPTER, ArtifactKind.MODEL)), None)
    scores = studio.training.scores(run)
    (view,) = run_views(studio, [run])
    at_work = stage is not None and run.progress is not None
    total = view.total or (stage.total if stage is not None and at_work else None)
    return {
        "run": replace(view, stage=stage.name if stage is not None and at_work else "", total=total),
        "metrics": metrics[-1] if metrics else {},
        "chart": loss_chart(metrics, steps, smoothing),
        "previews": previews,
        "preview_prompts": request.preview_prompt or (request.instance_prompt, request.class_prompt),
        "left": "" if left is None else f"about {duration(left)} left",
        "result": result,
        "try_it": "" if result is None else _try_it(request, result),
        "scores": None if scores is None or not scores.after else _scores(scores),
    }


def _try_it(request: TrainRequest, result: ArtifactReply) -> str:
    """The path of the page Create with the result filled in."""
    query = {"prompt": str(result.details.get("say") or request.instance_prompt)}
    if result.kind == ArtifactKind.ADAPTER:
        query |= {"adapter": result.reference, "model": request.model}
    else:
        query |= {"model": result.reference}
    return f"/create?{urlencode(query)}"


def _scores(scores: CheckpointScores) -> dict[str, Any]:
    """The trade-off between the subject and the prompt over the checkpoints."""
    best = scores.best
    rows = [
        {
            "step": each.step,
            "subject": f"{100 * scores.scaled_subject(each):.0f} %",
            "prompt": f"{100 * scores.scaled_prompt(each):.0f} %",
            "balance": f"{100 * scores.balance(each):.0f} %",
            "best": each.step == best.step,
            "x": f"{40 + 250 * _part(scores.scaled_prompt(each)):.1f}",
            "y": f"{200 - 170 * _part(scores.scaled_subject(each)):.1f}",
        }
        for each in scores.after
    ]
    return {"rows": rows, "best": best.step, "weight": f"{scores.weight:.0%}"}


def _part(value: float) -> float:
    """The place of a scaled score on its axis, 0 to 1; the axis ends at MOST."""
    return min(1.0, max(0.0, value / MOST))
