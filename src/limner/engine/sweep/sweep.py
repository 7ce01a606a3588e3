"""Carries out a SweepRequest: images of every cell, scores and the report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from limner.core.events import Emit, Progress, Stage
from limner.core.execution import body_of
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import Cell, MetricUse, SweepRequest, replace_references
from limner.core.workspace import Workspace
from limner.engine.generate.parts import GenerationPart, generate_parts
from limner.engine.scoring.scorers import Scorers
from limner.engine.scoring.trust import distrust_of, smallest_difference
from limner.engine.sweep.report import write_report
from limner.engine.sweep.result import SweepResult
from limner.store.files import make_folder

METRICS = ("prompt_fidelity", "saturation", "clipping", "sharpness")
"""What guidance changes, of one seed."""
METRICS_OF_SEVERAL = ("prompt_fidelity", "diversity", *METRICS[1:])
"""With several seeds, diversity too."""


def sweep(request: SweepRequest, workspace: Workspace, emit: Emit) -> None:
    """Generate, score and write the report. Images that are already in the output folder are not generated again."""
    emit(Stage(name="loading scores"))
    names = METRICS if request.seeds == 1 else METRICS_OF_SEVERAL
    uses = request.metric or [MetricUse(name=name) for name in names]
    scorers = Scorers(uses, request.encoder, workspace.called, workspace.execution.device)
    scorers.check(ImageSet(tuple(ScoredImage(Path(), cell.request.prompt) for cell in request.cells)))
    out = make_folder(workspace.out)
    parts = [
        GenerationPart(cell.request, _folder(out, number, cell), {}) for number, cell in enumerate(request.cells, 1)
    ]
    images = generate_parts("generating", parts, workspace, emit)
    emit(Stage(name="scoring", total=len(images)))
    scores: list[Mapping[str, MetricResult]] = []
    for number, (cell, its) in enumerate(zip(request.cells, images, strict=True), 1):
        workspace.check()
        prompt = cell.request.prompt
        gallery = ImageSet(tuple(ScoredImage(its[seed], prompt, prompt) for seed in sorted(its)))
        complete = len(its) == cell.request.count
        scores.append(scorers.score(gallery) if complete else {})
        emit(Progress(done=number))
    body = body_of(replace_references(request, workspace.called), workspace.execution)
    measured = next((each for each in scores if each), {})
    models = [cell.request.model for cell in request.cells]
    doubts = {
        name: reason
        for name, score in measured.items()
        if (reason := distrust_of(score, models, workspace.called)) is not None
    }
    smallest = {name: smallest_difference(score, models) for name, score in measured.items()}
    write_report(SweepResult(body, images, scores, doubts, smallest), out, workspace, emit)


def _folder(out: Path, number: int, cell: Cell) -> Path:
    """The folder of a cell's images. number: from 1."""
    name = re.sub(r"[^\w.+-]+", "-", "_".join(Path(value).name for value in cell.values)).strip("-._")[:60]
    return out / "pictures" / f"{number:03d}-{name}"
