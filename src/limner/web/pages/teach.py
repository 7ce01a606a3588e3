"""The page that teaches a model a subject: the list of drafts, and the steps Subject and Recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, Response

from limner.core.accounts import Caller
from limner.core.drafts import DELETED, RESTORE, Draft, Value
from limner.core.errors import LimnerError, Unavailable
from limner.core.runs import Status
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, StudioDep
from limner.server.examples import add_example_draft
from limner.server.problems import HTTPError
from limner.studio.adapter_files import training_of
from limner.studio.model_facts import (
    TrainingModel,
    class_problem,
    identifier_problem,
    images_problem,
    suggested_identifier,
    training_models,
)
from limner.studio.runs import QUEUE
from limner.web.caption_words import captions_without
from limner.web.drafts import (
    STEPS,
    Base,
    Saved,
    conflict_text,
    identifier_of,
    image_views,
    merged,
    model_of,
    name_of,
    next_step,
)
from limner.web.earlier import (
    earlier_adapters,
    earlier_of,
    goes_on,
    learned_steps,
    may_continue,
    other_words,
    problem_with_adapter,
)
from limner.web.forms import FormField, read_form
from limner.web.own_adapters import stored
from limner.web.recipes import (
    CARDS,
    ELSEWHERE,
    KIND,
    OPTION,
    SUBJECT_FIELDS,
    Estimate,
    as_text,
    card_of,
    card_values,
    estimate,
    few_steps,
    setting_fields,
    settings_of,
    training_body,
)
from limner.web.rendering import go, page, part, wants_part
from limner.web.views import run_views

DraftId = Annotated[str, PathParameter(pattern="^[a-z0-9]{12}$")]
MOST_FIELDS = 600
TRAININGS = 12
LISTED = 24
"""Drafts on a page of the list."""
NO_IMAGES = f"folder:{'0' * 64}"
"""A reference that stands for images that are not chosen yet, to check the other settings."""
NO_CLASS = "\u201cWhat is it?\u201d is empty; write what the photos show, such as dog"
router = APIRouter(prefix="/teach")


def find_any_draft(draft_id: DraftId, state: StateDep, caller: CallerDep) -> Draft:
    """The caller's draft with an id, also a deleted one; raises HTTPError (404) if it has none."""
    try:
        return state.studio.drafts.get(caller.account, draft_id)
    except Unavailable:
        raise
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error


AnyDraftDep = Annotated[Draft, Depends(find_any_draft)]


def find_draft(draft: AnyDraftDep) -> Draft:
    """The caller's draft with an id; raises HTTPError (410) for one that was deleted, perhaps in another tab."""
    if draft.choices.removed:
        raise HTTPError(HTTPStatus.GONE, DELETED, RESTORE)
    return draft


DraftDep = Annotated[Draft, Depends(find_draft)]


def left_at(studio: Any, draft: Draft, step: str) -> Draft:
    """The draft, for which it is recorded that its owner looks at a step. Looking alone puts nothing into a draft."""
    if draft.choices.step == step or draft.empty:
        return draft
    return studio.drafts.change(draft.owner, draft.id, lambda before: before.with_choices(step=step))


def shown_with(draft: Draft, step: str, **values: Any) -> dict[str, Any]:
    """What the templates of all steps show."""
    return {"draft": draft, "steps": STEPS, "step": step, "at": f"/teach/{draft.id}", **values}


@router.get("")
def show_list(
    request: Request,
    studio: StudioDep,
    caller: CallerDep,
    deleted: Annotated[str, Query(max_length=12)] = "",
    skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> HTMLResponse:
    """Show a page of the account's drafts, and its trainings. skip: how many newer drafts there are."""
    found = studio.drafts.list(caller.account, LISTED + 1, skip, begun=True)
    drafts = [draft for draft in found[:LISTED] if not draft.empty]
    gone = studio.drafts.list(caller.account, LISTED, removed=True)
    runs = studio.runs.list(TRAININGS, KIND, None, None, QUEUE, caller.scope)
    known = studio.drafts.trainings(caller.account) if runs else ()
    jobs = run_views(studio, [run for run in runs if run.id not in known])
    return page(
        request,
        "teach.html",
        rows=[(draft, name_of(draft), next_step(draft), _state(studio, draft)) for draft in drafts],
        jobs=jobs,
        deleted=deleted,
        gone=[(draft, name_of(draft)) for draft in gone if not draft.empty],
        newer=max(0, skip - LISTED) if skip else None,
        older=skip + LISTED if len(found) > LISTED else None,
    )


def _state(studio: Any, draft: Draft) -> str:
    """How far a draft is, in words."""
    choices = draft.choices
    if choices.problem:
        return "needs you"
    if choices.waits:
        return "preparing images"
    run = studio.drafts.run(choices.train)
    return "draft" if run is None else {"done": "trained", "queued": "waiting"}.get(run.status, str(run.status))


@router.post("")
async def add_draft(request: Request, state: StateDep, caller: CallerDep) -> Response:
    """Begin a draft, empty or with the example's images."""
    async with request.form(max_files=0, max_fields=4) as form:
        example = form.get("example") == "true"
    add = partial(add_example_draft, state, caller) if example else partial(state.studio.drafts.add, caller.account)
    draft = await run_sync(add)
    return await run_sync(go, request, f"/teach/{draft.id}/images")


@router.get("/{draft_id}")
def show_draft(request: Request, draft: DraftDep) -> Response:
    """Go on where somebody stopped."""
    return go(request, f"/teach/{draft.id}/{next_step(draft)}")


@router.post("/{draft_id}/delete")
def delete_draft(request: Request, draft: AnyDraftDep, studio: StudioDep) -> Response:
    """Delete a draft; it can be restored for a day."""
    under_way = HTTPError(HTTPStatus.CONFLICT, "a training of this draft is under way", "stop it first")
    if studio.drafts.under_way(draft):
        raise under_way

    def remove(before: Draft) -> Draft:
        if before.choices.waits:  # it was started just now
            raise under_way
        return before if before.choices.removed else before.with_choices(removed=True)

    studio.drafts.change(draft.owner, draft.id, remove)
    return go(request, f"/teach?deleted={draft.id}")


@router.post("/{draft_id}/restore")
def restore_draft(request: Request, draft: AnyDraftDep, studio: StudioDep) -> Response:
    """Undo the deletion of a draft."""
    studio.drafts.change(draft.owner, draft.id, lambda before: before.with_choices(removed=False))
    return go(request, "/teach")


async def read_step(request: Request) -> list[tuple[str, str]]:
    """The texts of a submitted step."""
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        return [(name, value[:20_000]) for name, value in form.multi_items() if isinstance(value, str)]


def last(form: Sequence[tuple[str, str]], name: str) -> str:
    """The last value of a field that was submitted; empty without one."""
    return next((value for given, value in reversed(form) if given == name), "")


def save_step(
    state: ServerState, draft: Draft, typed: Mapping[str, Value], form: Sequence[tuple[str, str]]
) -> tuple[Saved, Base]:
    """Save what was typed into a step, as far as no other tab changed it meanwhile."""
    base = Base.read(last(form, "base"))
    saved = Saved(draft, {})

    def save(before: Draft) -> Draft:
        nonlocal saved
        saved = merged(before, typed, base, last(form, "mine"), last(form, "theirs"))
        return saved.draft

    after = state.studio.drafts.change(draft.owner, draft.id, save)
    return Saved(after, saved.conflicts), base


def after_saving(
    request: Request, draft: Draft, form: Sequence[tuple[str, str]], step: str, name: str, values: dict[str, Any]
) -> Response:
    """The form again where somebody has to look at it, or for htmx; else the step that was asked for."""
    if wants_part(request):
        return part(request, name, "form", **values)
    wrong = values["conflicts"] or values["errors"]
    chosen = last(form, "mine") or last(form, "theirs") or last(form, "reset")
    if wrong and not chosen:
        status = HTTPStatus.CONFLICT if values["conflicts"] else HTTPStatus.UNPROCESSABLE_ENTITY
        return page(request, name, status, **values)
    target = last(form, "go")
    known = {key for key, _ in STEPS}
    place = target if target in known and not chosen else step
    again = "?again=true" if place == "train" and step != "train" and draft.choices.train else ""
    return go(request, f"/teach/{draft.id}/{place}{again}#step")


@router.get("/{draft_id}/subject")
def show_subject(request: Request, draft: DraftDep, studio: StudioDep, caller: CallerDep) -> HTMLResponse:
    """Show the form for the class word, the identifier and the base model."""
    draft = left_at(studio, draft, "subject")
    return page(request, "teach_subject.html", **_subject(studio, caller, draft, _subject_values(draft), {}, None))


@router.post("/{draft_id}/subject")
async def save_subject(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Save the step Subject."""
    form = await read_step(request)
    sent = {name for name, _ in form}
    typed: dict[str, Value] = {name: last(form, name).strip() for name in SUBJECT_FIELDS if name in sent}
    if given := str(typed.get("adapter", "")):
        typed["adapter"] = await run_sync(stored, state, caller, given)
    if adapter := str(typed.get("adapter", "")):
        if not await run_sync(may_continue, state.studio, caller, adapter):
            problem = f"{adapter[:80]!r} is no adapter of yours"
            raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, "choose one from the list")
        if not typed.get("class_word") and (earlier := training_of(state.studio.files, adapter)):
            typed |= {"class_word": earlier.class_word, "identifier": earlier.identifier or ""}
    saved, base = await run_sync(save_step, state, draft, typed, form)
    shown = {**_subject_values(saved.draft), **{name: typed[name] for name in saved.conflicts}}
    values = await run_sync(_subject, state.studio, caller, saved.draft, shown, saved.conflicts, base)
    if last(form, "go") == "recipe" and not saved.draft.text("class_word") and not saved.conflicts:
        values["errors"].setdefault("class_word", NO_CLASS)
    return await run_sync(after_saving, request, saved.draft, form, "subject", "teach_subject.html", values)


def _subject_values(draft: Draft) -> dict[str, Value]:
    """What the fields of the step Subject show."""
    return {
        "class_word": draft.text("class_word"),
        "identifier": identifier_of(draft),
        "model": model_of(draft),
        "adapter": draft.text("adapter"),
    }


def _subject(
    studio: Any,
    caller: Caller,
    draft: Draft,
    shown: dict[str, Value],
    conflicts: Mapping[str, Value],
    base: Base | None,
) -> dict[str, Any]:
    """What the step Subject shows."""
    class_word, identifier, model, adapter = (str(shown[name]) for name in SUBJECT_FIELDS)
    errors: dict[str, str] = {}
    if draft.text("class_word") and not conflicts:
        _, found = training_body(draft, {}, NO_IMAGES)
        errors = {name: text for name, text in found.items() if name in SUBJECT_FIELDS}
        if rest := found.get(""):
            errors["identifier"] = rest
    elif not class_word and draft.choices.versions.get("class_word"):
        errors["class_word"] = NO_CLASS
    earlier = training_of(studio.files, adapter) if adapter else None
    if adapter and (problem := problem_with_adapter(earlier, model)):
        errors["adapter"] = problem
    warnings = {
        "class_word": class_problem(model, class_word) if class_word else "",
        "identifier": identifier_problem(model, identifier),
        "adapter": other_words(earlier, identifier, class_word),
    }
    word = draft.text("class_word") and not conflicts
    return shown_with(
        draft,
        "subject",
        without=captions_without(draft, model, identifier) if word and identifier else None,
        shown=shown,
        errors=errors,
        warnings=warnings,
        conflicts={name: conflict_text(other) for name, other in conflicts.items()},
        base=Base.of(draft, shown, conflicts, base),
        models=training_models(),
        adapters=earlier_adapters(studio, caller, model, adapter),
        suggested=suggested_identifier(draft.id),
    )


@router.get("/{draft_id}/subject/images")
def show_images_problem(
    request: Request, draft: DraftDep, studio: StudioDep, model: Annotated[str, Query(max_length=4096)]
) -> HTMLResponse:
    """Show whether the images suit a model; slow, and so loaded after the page."""
    return part(request, "teach_subject.html", "domain", problem=problem_with_images(studio, draft, model))


def problem_with_images(studio: Any, draft: Draft, model: str) -> str:
    """What is wrong with training a model on a draft's images; "" if nothing is known."""
    paths = [studio.drafts.thumbnail(draft, image.sha256) for image in draft.shown]
    return images_problem(model, paths)


def chosen_model(draft: Draft, models: Sequence[TrainingModel]) -> TrainingModel:
    """The base model of a draft; for one without an alias, the facts of a large model."""
    name = model_of(draft)
    found = next((model for model in models if model.name == name), None)
    return found or TrainingModel(name, "unknown", 0, 0, True, "", "", 1024, 1000, 1, 1e-4)


@router.get("/{draft_id}/recipe")
def show_recipe(request: Request, draft: DraftDep, studio: StudioDep) -> HTMLResponse:
    """Show the recipes and all settings, with the time that the training takes."""
    draft = left_at(studio, draft, "recipe")
    return page(request, "teach_recipe.html", **_recipe(studio, draft, {}, {}, None))


@router.post("/{draft_id}/recipe")
async def save_recipe(request: Request, draft: DraftDep, state: StateDep) -> Response:
    """Save the step Recipe."""
    form = await read_step(request)
    if last(form, "reset"):
        names = {field.name for field in setting_fields({})}

        def forget(before: Draft) -> Draft:
            fields = before.choices.fields
            kept = {name: fields[name] for name in fields if name not in names and not name.startswith(OPTION)}
            return before.with_choices(fields=kept)

        await run_sync(state.studio.drafts.change, draft.owner, draft.id, forget)
        return await run_sync(go, request, f"/teach/{draft.id}/recipe")
    given = read_form(KIND, form)
    typed = {field.name: as_text(given.get(field.name, "")) for field in setting_fields({})}
    if recipe := last(form, "recipe"):
        typed["recipe"] = recipe
    base = Base.read(last(form, "base"))
    typed = {name: value if value != ("",) else "" for name, value in typed.items() if name in base.fields}
    typed |= {name: last(form, name).strip() for name in base.fields if name.startswith(OPTION)}
    saved, base = await run_sync(save_step, state, draft, typed, form)
    values = await run_sync(_recipe, state.studio, saved.draft, typed, saved.conflicts, base)
    return await run_sync(after_saving, request, saved.draft, form, "recipe", "teach_recipe.html", values)


def _recipe(
    studio: Any, draft: Draft, typed: Mapping[str, Value], conflicts: Mapping[str, Value], base: Base | None
) -> dict[str, Any]:
    """What the step Recipe shows."""
    models = training_models()
    model = chosen_model(draft, models)
    card = card_of(draft)
    earlier = earlier_of(studio, draft)
    settings = settings_of(draft, card_values(card, model, models), earlier)
    _, errors = training_body(draft, settings, NO_IMAGES)
    errors = {name: text for name, text in errors.items() if name not in ELSEWHERE}
    texts = {name: conflict_text(other) for name, other in conflicts.items()}
    visible = {**settings, **{name: typed[name] for name in conflicts}}
    fields = setting_fields(visible, {**errors, **texts}, model)
    if earlier is not None:  # its method and options stay
        fields = [each for each in fields if each.name != "method" and not each.name.startswith(OPTION)]
    shown: dict[str, Value] = {field.name: _shown(field) for field in fields} | {"recipe": card.name}
    own = sorted(name for name in draft.choices.fields if name in shown and name != "recipe")
    return shown_with(
        draft,
        "recipe",
        cards=CARDS,
        card=card.name,
        model=model,
        fields=fields,
        known={field.name for field in fields},
        errors=errors,
        conflicts=texts,
        base=Base.of(draft, shown, conflicts, base),
        estimate=estimated(studio, draft, settings, model),
        own=[name.removeprefix(OPTION) for name in own],
        earlier=earlier,
        few=few_steps(settings, model, learned_steps(studio, draft)),
        goes_on=goes_on(studio, draft),
        rest=errors.get("", ""),
    )


def _shown(field: FormField) -> Value:
    """What a field that nobody touches sends back."""
    if field.control == "checkbox":
        return "true" if field.checked else as_text(read_form(KIND, []).get(field.name, ""))
    return (field.values if field.several else field.value) or ""


def estimated(studio: Any, draft: Draft, settings: Mapping[str, Any], model: TrainingModel) -> Estimate:
    """How long a draft's training takes."""
    speed = studio.training.speed(model.name, model.side, model.batch)
    run = studio.drafts.run(draft.choices.check)
    findings = None if run is None else studio.training.findings(run)
    used = sum(view.used for view in image_views(draft, findings))
    return estimate(settings, model, speed, used, new_class=_is_new_class(studio, draft))


def _is_new_class(studio: Any, draft: Draft) -> bool:
    """Whether no training of a draft made images of its class, which the next one would use again."""
    done = (studio.drafts.run(name) for name in (draft.choices.train, *draft.choices.trainings[-TRAININGS:]))
    word = draft.text("class_word")
    return not any(run and run.status is Status.DONE and run.request.class_word == word for run in done)
