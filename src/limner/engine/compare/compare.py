"""Carries out a CompareRequest: images of every contestant, scores, report and blind page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice, Progress, Stage
from limner.core.execution import body_of
from limner.core.files import quoted
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import CompareRequest, MetricUse, replace_references
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan, scan
from limner.engine.compare.blind_page import VoterTexts
from limner.engine.compare.contestants import ModelWithAdapters, find_contestants
from limner.engine.compare.report import write_report
from limner.engine.compare.result import ComparisonResult, PromptSeed, differences, prompts_and_seeds
from limner.engine.compare.subject import ComparedSubjects
from limner.engine.generate.parts import GenerationPart, generate_parts
from limner.engine.influence.influence import training_images
from limner.engine.influence.restored import training_of
from limner.engine.scoring.scorers import Scorers
from limner.engine.scoring.trust import distrust_of, smallest_difference
from limner.models.adapters import open_adapter
from limner.store.files import make_folder


def compare(request: CompareRequest, workspace: Workspace, emit: Emit) -> None:
    """Generate, score and write the report. Images that are already in the output folder are not generated again."""
    contestants = find_contestants(request, workspace.called)
    subjects = ComparedSubjects.of(request, contestants)
    references = find_references(request, contestants, workspace.local, emit)
    emit(Stage(name="loading scores"))
    uses = request.metric or default_metrics(bool(references))
    scorers = Scorers(uses, request.encoder, workspace.called, workspace.execution.device)
    texts = {prompt: subjects.plain(prompt) for prompt in request.prompt}
    expected = tuple(ScoredImage(Path(), texts[prompt]) for prompt, _ in prompts_and_seeds(request))
    scorers.check(ImageSet(expected, references))
    unnamed = subjects.unnamed(request.prompt)
    if unnamed is not None:
        emit(Notice(text=unnamed, level="warning"))
    out = make_folder(workspace.out)
    images: dict[str, Mapping[PromptSeed, Path]] = {}
    for number, contestant in enumerate(contestants, 1):
        workspace.check()
        prompts = {prompt: subjects.fill(prompt, contestant.name) for prompt in request.prompt}
        folder = _folder(out, number, contestant)
        images[contestant.name] = _generate(request, contestant, prompts, folder, workspace, emit)
    emit(Stage(name="scoring", total=len(contestants)))
    scores: dict[str, Mapping[str, MetricResult]] = {}
    for number, (name, its) in enumerate(images.items(), 1):
        workspace.check()
        items = tuple(ScoredImage(path, texts[prompt], prompt) for (prompt, _), path in its.items())
        scores[name] = scorers.score(ImageSet(items, references))
        emit(Progress(done=number))
    first, models = scores[contestants[0].name], [contestant.model for contestant in contestants]
    doubts = _doubts(first, models, scorers, unnamed, workspace.called)
    smallest = {name: smallest_difference(score, models) for name, score in first.items()}
    shown = {prompt: subjects.plain(prompt, bool(references)) for prompt in request.prompt}
    result = ComparisonResult(
        body_of(replace_references(request, workspace.called), workspace.execution),
        tuple(each.with_original_names(workspace.called) for each in contestants),
        images,
        scores,
        tuple(differences(scores, doubts, smallest)),
        {prompt: text for prompt, text in shown.items() if SUBJECT in prompt},
    )
    write_report(result, VoterTexts(shown, references), out, workspace, emit)


def default_metrics(with_photos: bool) -> tuple[MetricUse, ...]:
    """The metrics of a request that names none. with_photos: whether there are photos of the subject."""
    names = (*(("subject_fidelity",) if with_photos else ()), "prompt_fidelity", "saturation")
    return tuple(MetricUse(name=name) for name in names)


def find_references(
    request: CompareRequest, contestants: Sequence[ModelWithAdapters], local: bool, emit: Emit
) -> tuple[Path, ...]:
    """The photos of the subject: those of the request, or else the images that all adapters were trained on.

    local: whether folders that adapters name may be opened. None where adapters were trained on different images.
    """
    if request.references is not None:
        return tuple(each.path for each in scan(request.references).images)
    names = dict.fromkeys(use.path for each in contestants for use in each.adapters)
    if not names or not local:
        return ()
    found: dict[str, Scan] = {}
    for name in names:
        adapter = open_adapter(name)
        try:
            training, _ = training_of(adapter)
            images = training_images(adapter, training, None)
        except LimnerError:  # made by another program, or its images are elsewhere now
            return ()
        found[images.digest] = images
    if len(found) > 1:
        return ()
    (images,) = found.values()
    place = quoted(images.images[0].path.parent)
    emit(Notice(text=f"the subject is scored by the {len(images.images)} images in {place}, which were trained on"))
    return tuple(each.path for each in images.images)


def _doubts(
    scores: Mapping[str, MetricResult],
    models: Sequence[str],
    scorers: Scorers,
    unnamed: str | None,
    original_name: Callable[[str], str],
) -> dict[str, str]:
    """Why metrics do not decide, for those that do not. models: that generated the images. unnamed: why the images are
    not of the subject.
    """
    found = {
        name: reason
        for name, score in scores.items()
        if (reason := distrust_of(score, models, original_name)) is not None
    }
    if unnamed is not None:
        found |= {name: unnamed for name, (metric, _, _) in scorers.ready.items() if "references" in metric.needs}
    return found


def _folder(out: Path, number: int, contestant: ModelWithAdapters) -> Path:
    """The folder of a contestant's images. number: from 1."""
    name = re.sub(r"[^\w.+-]+", "-", contestant.name).strip("-.")[:60]
    return out / "pictures" / f"{number}-{name}"


def _generate(
    request: CompareRequest,
    contestant: ModelWithAdapters,
    prompts: Mapping[str, str],
    folder: Path,
    workspace: Workspace,
    emit: Emit,
) -> Mapping[PromptSeed, Path]:
    """A contestant's images, those in the folder and those that are generated now.

    prompts: with the contestant's subject filled in, by the prompt as typed.
    """
    details = {"contestant": contestant.name}
    parts = [GenerationPart(contestant.request(request, filled), folder, details) for filled in prompts.values()]
    found = {
        (prompt, seed): path
        for prompt, images in zip(prompts, generate_parts(contestant.name, parts, workspace, emit), strict=True)
        for seed, path in images.items()
    }
    wanted = prompts_and_seeds(request)
    if missing := [each for each in wanted if each not in found]:
        raise LimnerError(
            f"{len(missing)} images of {contestant.name} were withheld by moderation, the first for the prompt "
            f"{missing[0][0][:80]!r}",
            "leave that prompt out: a comparison needs every image of every contestant",
        )
    return {each: found[each] for each in wanted}
