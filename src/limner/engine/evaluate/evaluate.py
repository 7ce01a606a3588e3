"""Carries out an EvaluateRequest: images, scores and a report on how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit, Stage
from limner.core.execution import body_of
from limner.core.metrics import DEFAULTS, ImageSet
from limner.core.requests import EvaluateRequest, MetricUse, replace_references
from limner.core.requests.evaluate import DRIFT, MISTAKEN
from limner.core.workspace import Workspace
from limner.data.sets.folder import scan
from limner.engine.compare.contestants import ModelWithAdapters, find_target
from limner.engine.compare.subject import PromptSubject, plain_prompt
from limner.engine.compare.targets import ImagesTarget, target_of
from limner.engine.evaluate.group_fairness import PROMPT_FIDELITY, confusion_encoder, group_images, measure_fairness
from limner.engine.evaluate.image_folder import folder_name, items_of_folder
from limner.engine.evaluate.images import (
    SubjectPrompt,
    expected_items,
    generate_class_images,
    generate_images,
    subject_of,
)
from limner.engine.evaluate.report import write_report
from limner.engine.evaluate.result import EvaluationResult
from limner.engine.evaluate.training_images import influence_request, measure_influence
from limner.engine.scoring.scorers import Scorers
from limner.plugins.registry import metrics
from limner.store.files import make_folder


def evaluate(request: EvaluateRequest, workspace: Workspace, emit: Emit) -> None:
    """Generate, score and write the report. Images that are already in the output folder are not generated again."""
    references = () if request.dataset is None else tuple(each.path for each in scan(request.dataset).images)
    target = target_of(request.target)
    if isinstance(target, ImagesTarget):
        influence_request(request, None, emit)
        result = _evaluate_folder(target.folder, request, references, workspace)
    else:
        result = _evaluate_model(request, references, workspace, emit)
    body = body_of(replace_references(request, workspace.called), workspace.execution)
    write_report(replace(result, request=body), make_folder(workspace.out), workspace, emit)


def _evaluate_folder(
    folder: Path, request: EvaluateRequest, references: tuple[Path, ...], workspace: Workspace
) -> EvaluationResult:
    items = items_of_folder(folder)
    if request.prompt:
        raise LimnerError("prompts are given, but the target is a folder of images", "leave out --prompt and --suite")
    gallery = ImageSet(items, references)
    scorers = Scorers(_chosen_metrics(request, gallery), request.encoder, workspace.called, workspace.execution.device)
    _check_requirements(request, scorers)
    return EvaluationResult(request, folder_name(folder, workspace.called), "", gallery, scorers.score(gallery))


def _evaluate_model(
    request: EvaluateRequest, references: tuple[Path, ...], workspace: Workspace, emit: Emit
) -> EvaluationResult:
    """Everything that could fail is checked before the first image is generated."""
    if not request.prompt:
        raise LimnerError("there are no prompts", "give --suite pets, --prompts FILE or --prompt TEXT")
    target = find_target(request.target, request.model, workspace.called)
    subject = subject_of(request, target)
    prompts = [SubjectPrompt(subject.fill(each.prompt), plain_prompt(each.prompt, subject)) for each in request.filled]
    training_set = references if target.adapters else ()
    expected = ImageSet(expected_items(request, prompts), references, training_set)
    emit(Stage(name="loading scores"))
    scorers, drift_scorers = _load_metrics(request, expected, target, subject, workspace)
    groups = group_images(request.filled, [each.plain for each in prompts], request.count)
    encoder = confusion_encoder(groups, scorers, request.encoder, request.require, emit) if request.groups else None
    influence = influence_request(request, target, emit)
    if drift_scorers.ready and not (target.adapters and subject.class_word):
        raise LimnerError("class drift needs an adapter and a class", "give an adapter and --class, or leave it out")
    out = make_folder(workspace.out)
    gallery = ImageSet(
        generate_images(request, target, prompts, out, workspace, emit), expected.references, expected.training
    )
    emit(Stage(name="scoring"))
    scores = scorers.score(gallery)
    fairness = None
    if request.groups:
        fairness = measure_fairness(groups, gallery, scores, encoder, [target.model], workspace.called)
    class_gallery = None
    if drift_scorers.ready:
        class_gallery = generate_class_images(request, target, str(subject.class_word), out, workspace, emit)
        scores |= drift_scorers.score(class_gallery)
    training = measure_influence(request, influence, workspace, emit)
    return EvaluationResult(request, target.name, subject.full, gallery, scores, class_gallery, fairness, training)


def _load_metrics(
    request: EvaluateRequest,
    expected: ImageSet,
    target: ModelWithAdapters,
    subject: PromptSubject,
    workspace: Workspace,
) -> tuple[Scorers, Scorers]:
    """The metrics of the images, and class drift, which has images of its own. expected: what will be scored."""
    uses = _chosen_metrics(request, expected)
    drift = [use for use in uses if use.name == DRIFT]
    if not drift and target.adapters and subject.class_word and not request.metric:
        drift = [MetricUse(name=DRIFT)]
    scorers, drift_scorers = (
        Scorers(chosen, request.encoder, workspace.called, workspace.execution.device)
        for chosen in ([use for use in uses if use.name != DRIFT], drift)
    )
    _check_requirements(request, scorers, drift_scorers)
    scorers.check(expected)
    return scorers, drift_scorers


def _chosen_metrics(request: EvaluateRequest, gallery: ImageSet) -> Sequence[MetricUse]:
    """The metrics of the request, or else those default metrics whose needs the gallery meets."""
    if request.metric:
        return request.metric
    several = all(len(rows) > 1 for rows in gallery.groups.values())
    found = [
        MetricUse(name=name)
        for name in DEFAULTS
        if not any(gallery.lacks(need) for need in metrics.get(name).needs)
        and (several or metrics.get(name).unit == "picture")
    ]
    if request.groups and PROMPT_FIDELITY not in (use.name for use in found):
        found.append(MetricUse(name=PROMPT_FIDELITY))
    names = {use.name for use in found}
    return [*found, *(MetricUse(name=r.of) for r in request.require if r.of not in {*names, DRIFT, MISTAKEN})]


def _check_requirements(request: EvaluateRequest, *scorers: Scorers) -> None:
    """Raise LimnerError for a requirement on what is not measured. The first scorers are those of the images."""
    measured = {name for each in scorers for name in each.ready}
    by_group = {name for name, (metric, _, _) in scorers[0].ready.items() if metric.unit == "picture"}
    for requirement in request.require:
        if requirement.of == MISTAKEN:
            continue
        if requirement.of not in measured:
            raise LimnerError(
                f"{requirement} is required, but the metric is not measured", f"add --metric {requirement.of}"
            )
        if requirement.of_gap and requirement.of not in by_group:
            raise LimnerError(
                f"{requirement} is required, but {requirement.of} has no values by group", "require another gap"
            )
