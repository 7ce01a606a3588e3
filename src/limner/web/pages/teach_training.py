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

from limner.core.accounts import Caller
from limner.core.drafts import Draft, Value
from limner.core.errors import LimnerError, Unavailable
from limner.core.events import ArtifactKind
from limner.core.requests import TrainRequest
from limner.core.runs import Run
from limner.core.text import counted
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.replies import ArtifactReply
from limner.studio.model_facts import class_problem, identifier_problem, training_models
from limner.studio.runs import QueueState
from limner.web.caption_words import captions_without
from limner.web.checkpoints import checkpoint_rows, hardly_learned, like_photos, why_best
from limner.web.drafts import identifier_of, image_views, model_of, prepare_fields
from limner.web.earlier import earlier_of, goes_on, learned_steps, problem_with_adapter
from limner.web.jobs import state_of
from limner.web.loss_chart import SMOOTHING, loss_chart
from limner.web.pages.teach import (
    ELSEWHERE,
    NO_IMAGES,
    DraftDep,
    chosen_model,
    estimated,
    go,
    last,
    left_at,
    problem_with_images,
    read_step,
    shown_with,
)
from limner.web.pages.teach_images import checked, side_of
from limner.web.recipes import card_of, card_values, duration, few_steps, settings_of, training_body
from limner.web.rendering import page, part
from limner.web.views import image_view, run_views

TEMPLATE = "teach_train.html"
Smoothing = Annotated[str, Query(max_length=20)]
router = APIRouter(prefix="/teach/{draft_id}/train")


@router.get("")
def show_training(
    request: Request, draft: DraftDep, state: StateDep, smoothing: Smoothing = "some", again: bool = False
) -> HTMLResponse:
    """Show what will be trained, or the training."""
    draft = left_at(state.studio, state.studio.drafts.follow(draft, state.granted), "train")
    return page(request, TEMPLATE, **_training(state, draft, smoothing, again=again))


@router.get("/progress")
def show_progress(request: Request, draft: DraftDep, state: StateDep, smoothing: Smoothing = "some") -> HTMLResponse:
    """Show how far the training is, for a page that is open."""
    draft = state.studio.drafts.follow(draft, state.granted)
    return part(request, TEMPLATE, "progress", **_training(state, draft, smoothing))


@router.post("")
async def start(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue the preparation of the images and the training."""
    problems = await run_submission(partial(start_training, state, caller, draft))
    if problems:
        values = await run_sync(partial(_training, state, draft, "some", again=True, problems=problems))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    return await run_sync(go, request, f"/teach/{draft.id}/train#step")


def start_training(state: ServerState, caller: Caller, draft: Draft) -> list[tuple[str, str]]:
    """Queue the preparation of a draft's images and its training; returns what stands in the way, by step."""
    problems, images, settings, body = _to_start(state, draft)
    if problems:
        return problems
    model = chosen_model(draft, training_models())
    fields = prepare_fields(draft, side_of(settings, model.side))
    try:
        state.studio.drafts.start(caller, draft, images, body, state.granted, **fields)
    except Unavailable:
        raise
    except LimnerError as error:
        return [("images", str(error))]
    return []


def _to_start(
    state: ServerState, draft: Draft
) -> tuple[list[tuple[str, str]], list[Any], dict[str, Any], dict[str, Any]]:
    """What stands in the way of a training, by step; its images, settings and body."""
    findings, _ = checked(state.studio, draft)
    views = image_views(draft, findings)
    used = [view for view in views if view.used]
    models = training_models()
    earlier = earlier_of(state.studio, draft)
    settings = settings_of(draft, card_values(card_of(draft), chosen_model(draft, models), models), earlier)
    body, errors = training_body(draft, settings, NO_IMAGES)
    problems: list[tuple[str, str]] = []
    if not used:
        problems.append(("images", "there are no images to train on; add some, or keep some that are left out"))
    if any(view.refused for view in used) and not draft.text("despite").strip():
        reason = "an image is marked as not to be trained on; leave it out, or give a reason under Rights and crops"
        problems.append(("images", reason))
    for name, text in errors.items():
        problems.append(("subject" if name in ELSEWHERE else "recipe", _plain(name, text)))
    if draft.text("adapter") and (problem := problem_with_adapter(earlier, model_of(draft))):
        problems.append(("subject", problem))
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
    return await run_sync(go, request, f"/teach/{draft.id}/train#step")


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
    for each in (run, prepare):
        if each is not None:
            studio.runs.note_seen(each, draft.owner)
    live = draft.choices.waits or (run is not None and not run.status.ended)
    ready = (run is None and prepare is None) or (again and (not live or bool(problems)))
    values: dict[str, Any] = {
        "ready": ready,
        "live": live,
        "smoothing": smoothing if smoothing in SMOOTHING else "some",
        "smoothings": tuple(SMOOTHING),
        "prepare": None if prepare is None else run_views(studio, [prepare])[0],
        "run": None,
        "stopping": False,
        "problem": draft.choices.problem,
        "problems": problems or [],
        "checkpoint_problem": "",
        "parts": PARTS,
    }
    if run is not None:
        values |= _progress(state, draft, run, values["smoothing"])
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
            f"{name}: {model.lacks}, so the training would fail" if model.lacks else "",
            few_steps(settings, model, learned_steps(state.studio, draft)),
            model.terms,
        )
        if text
    ]
    facts = [
        ("Images", f"{len(images)} of {len(draft.shown)}" if len(images) < len(draft.shown) else str(len(images))),
        ("Subject", f"{identifier} {class_word}"),
        ("Base model", f"{name}, {model.licence}"),
        *((("Goes on from", before),) if (before := goes_on(state.studio, draft)) else ()),
        ("Recipe", card_of(draft).title),
        ("Time", estimated(state.studio, draft, settings, model).text),
        ("Memory", f"{model.memory:g} GB of GPU memory" if model.memory else "fits any computer"),
    ]
    shown = {"facts": facts, "warnings": warnings, "without": captions_without(draft, name, identifier)}
    shown["check_line"] = _check_line(state, draft)
    return {**shown, "problems": problems} if check and (problems or draft.shown) else shown


def _check_line(state: ServerState, draft: Draft) -> tuple[str, str] | None:
    """What the check of the images found, in one line with its kind; None where none was asked for."""
    findings, shown = checked(state.studio, draft)
    job, advice = shown["job"], [text.rstrip(".") for level, text in shown["advice"] if level != "good"]
    if findings is None:
        return None if job is None or job.ended else ("notice", "The check of your images is not finished.")
    doubtful, left_out = shown["doubtful"], shown["left_out"]
    found = [f"{counted(doubtful, 'image')} to look at, {left_out} left out"] if doubtful else []
    more = [f"and {counted(len(advice) - 1, 'more hint')}"] if len(advice) > 1 else []
    text = "; ".join([*found, *advice[:1], *more]) or "nothing to mend"
    stale = " You changed images or captions since." if shown["stale"] else ""
    return "warning" if found or advice else "notice", f"Check of your images: {text}.{stale}"


def _progress(state: ServerState, draft: Draft, run: Run, smoothing: str) -> dict[str, Any]:
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
    kept = studio.training.checkpoints(run) if result is not None else {}
    saved = int(result.details.get("kept_step") or max(kept, default=steps)) if result is not None else 0
    chosen = studio.training.used_step(run) or saved
    (view,) = run_views(studio, [run])
    at_work = stage is not None and run.progress is not None
    total = view.total or (stage.total if stage is not None and at_work else None)
    rows = checkpoint_rows(scores, metrics, dict(previews), kept, chosen if result is not None else None)
    shown = {row.step for row in rows if row.preview}
    stopping = state_of(run, studio.runs.states([run.id]).get(run.id, QueueState()))[0] == "stopping"
    return {
        "stopping": stopping,
        "run": replace(view, stage=stage.name if stage is not None and at_work else "", total=total),
        "metrics": {name: value for line in metrics for name, value in line.items()},
        "chart": loss_chart(metrics, steps, smoothing),
        "previewed": bool(previews),
        "previews": [(step, image) for step, image in previews if step not in shown],
        "row_previews": bool(shown),
        "weak": hardly_learned(scores) if result is not None else "",
        "steps_planned": steps,
        "first_preview": _first_preview(run, steps),
        "usual_previews": not request.preview_prompt and bool(request.identifier),
        "preview_prompts": request.preview_prompt or (request.instance_prompt, request.class_prompt),
        "left": "" if left is None else f"about {duration(left)} left",
        "result": result,
        "try_it": "" if result is None else _try_it(state, run, result),
        "chosen": chosen,
        "saved": saved,
        "rows": rows,
        "class_word": request.class_word or "subject",
        "why": why_best(scores, request.class_word),
        "scores": None
        if scores is None or not scores.after
        else {
            "best": scores.best.step,
            "encoder": scores.encoder,
            "blind": scores.blind,
            "like_photos": like_photos(scores),
        },
    }


def _reference(state: ServerState, run: Run) -> str:
    """The reference of the adapter that is in use; "" without any."""
    made = next(iter(state.studio.runs.artifacts(run.id, ArtifactKind.ADAPTER)), None)
    return "" if made is None else ArtifactReply.of(made).reference or ""


def _try_it(state: ServerState, run: Run, result: ArtifactReply) -> str:
    """The path of the page Create with the result, or the chosen checkpoint, filled in."""
    request = run.request
    assert isinstance(request, TrainRequest)
    query = {"prompt": str(result.details.get("say") or request.instance_prompt)}
    if result.kind == ArtifactKind.ADAPTER:
        query |= {"adapter": _reference(state, run), "model": request.model}
    else:
        query |= {"model": result.reference or ""}
    return f"/create?{urlencode(query)}"


@router.post("/checkpoint")
async def choose_checkpoint(request: Request, draft: DraftDep, state: StateDep) -> Response:
    """Choose a checkpoint of the training, whose adapter is used from now on."""
    form = await read_step(request)
    run = await run_sync(state.studio.drafts.run, draft.choices.train)
    step = last(form, "step")

    def choose() -> None:
        if run is None or not step.isdecimal() or len(step) > 8:
            raise LimnerError(f"there is no step {step[:20]!r} to choose", "choose one of the table")
        state.studio.training.use_checkpoint(run, int(step))

    try:
        await run_sync(choose)
    except Unavailable:
        raise
    except LimnerError as error:
        values = await run_sync(partial(_training, state, draft, "some"))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **{**values, "checkpoint_problem": str(error)})
    if last(form, "go") == "create":
        values = await run_sync(partial(_training, state, draft, "some"))
        return await run_sync(go, request, values["try_it"])
    return await run_sync(go, request, f"/teach/{draft.id}/train#checkpoints")


@router.post("/more")
def teach_more(request: Request, draft: DraftDep, state: StateDep) -> Response:
    """Go on from what was trained, with more images: the next training of this draft starts from its adapter."""
    run = state.studio.drafts.run(draft.choices.train)
    reference = "" if run is None else _reference(state, run)
    if run is None or not reference:
        raise HTTPError(HTTPStatus.CONFLICT, "there is no adapter to go on from", "train one first")
    assert isinstance(run.request, TrainRequest)
    values: dict[str, Value] = {"adapter": reference, "model": run.request.model}
    values |= {"class_word": run.request.class_word, "identifier": run.request.identifier or ""}

    def note(before: Draft) -> Draft:
        versions = dict.fromkeys(values, before.version + 1)
        choices = before.choices
        return before.with_choices(fields={**choices.fields, **values}, versions={**choices.versions, **versions})

    state.studio.drafts.change(draft.owner, draft.id, note)
    return go(request, f"/teach/{draft.id}/images#step")


def _first_preview(run: Run, steps: int) -> int | None:
    """After which step the first preview comes; None if none does."""
    every = run.execution.preview_every
    return min(every, steps) if every else None
