"""Carries out a CompareRequest: images of every contestant, scores, report and blind page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit, Progress, Stage
from limner.core.execution import body_of
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import CompareRequest, replace_references
from limner.core.workspace import Workspace
from limner.data.sets.folder import scan
from limner.engine.compare.contestants import ModelWithAdapters, find_contestants
from limner.engine.compare.report import write_report
from limner.engine.compare.result import ComparisonResult, PromptSeed, differences, prompts_and_seeds
from limner.engine.generate.parts import GenerationPart, generate_parts
from limner.engine.scoring.scorers import Scorers
from limner.store.files import make_folder


def compare(request: CompareRequest, workspace: Workspace, emit: Emit) -> None:
    """Generate, score and write the report. Images that are already in the output folder are not generated again."""
    contestants = find_contestants(request, workspace.called)
    emit(Stage(name="loading scores"))
    scorers = Scorers(request.metric, request.encoder, workspace.called, workspace.execution.device)
    references = () if request.references is None else tuple(each.path for each in scan(request.references).images)
    scorers.check(ImageSet(tuple(ScoredImage(Path(), prompt) for prompt, _ in prompts_and_seeds(request)), references))
    out = make_folder(workspace.out)
    images: dict[str, Mapping[PromptSeed, Path]] = {}
    for number, contestant in enumerate(contestants, 1):
        workspace.check()
        images[contestant.name] = _generate(request, contestant, _folder(out, number, contestant), workspace, emit)
    emit(Stage(name="scoring", total=len(contestants)))
    scores: dict[str, Mapping[str, MetricResult]] = {}
    for number, (name, its) in enumerate(images.items(), 1):
        workspace.check()
        items = tuple(ScoredImage(path, prompt, prompt) for (prompt, _), path in its.items())
        scores[name] = scorers.score(ImageSet(items, references))
        emit(Progress(done=number))
    result = ComparisonResult(
        body_of(replace_references(request, workspace.called), workspace.execution),
        tuple(each.with_original_names(workspace.called) for each in contestants),
        images,
        scores,
        tuple(differences(scores)),
    )
    write_report(result, contestants, out, workspace, emit)


def _folder(out: Path, number: int, contestant: ModelWithAdapters) -> Path:
    """The folder of a contestant's images. number: from 1."""
    name = re.sub(r"[^\w.+-]+", "-", contestant.name).strip("-.")[:60]
    return out / "pictures" / f"{number}-{name}"


def _generate(
    request: CompareRequest, contestant: ModelWithAdapters, folder: Path, workspace: Workspace, emit: Emit
) -> Mapping[PromptSeed, Path]:
    """A contestant's images, those in the folder and those that are generated now."""
    details = {"contestant": contestant.name}
    parts = [GenerationPart(contestant.request(request, prompt), folder, details) for prompt in request.prompt]
    found = {
        (part.request.prompt, seed): path
        for part, images in zip(parts, generate_parts(contestant.name, parts, workspace, emit), strict=True)
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
