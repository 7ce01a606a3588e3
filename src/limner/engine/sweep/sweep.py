"""SweepRequest -> pictures of every cell, scores, and pages that tell what a setting does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from limner.core.events import ArtifactKind, Emit, Made, Progress, Stage
from limner.core.execution import body_of
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import Cell, MetricUse, SweepRequest, replace_references
from limner.core.workspace import Workspace
from limner.engine.generate.parts import GenerationPart, ImagesBySeed, generate_parts
from limner.engine.scoring.scorers import Scorers
from limner.engine.sweep.report import write_curves, write_figure, write_numbers, write_report, write_table
from limner.engine.sweep.result import Swept
from limner.engine.sweep.trajectory import write_trajectory
from limner.engine.sweep.verdict import verdict
from limner.store.files import make_folder, sha256_of

MEASURED = ("prompt_fidelity", "saturation", "clipping", "sharpness")
SEVERAL = ("prompt_fidelity", "diversity", *MEASURED[1:])
"""What guidance changes; diversity is of several pictures."""


def sweep(request: SweepRequest, workspace: Workspace, emit: Emit) -> None:
    """Paint, score and tell; what lies in the workspace's out folder already is not painted again."""
    emit(Stage(name="loading scores"))
    names = MEASURED if request.seeds == 1 else SEVERAL
    uses = request.metric or [MetricUse(name=name) for name in names]
    scorers = Scorers(uses, request.encoder, workspace.called)
    scorers.check(ImageSet(tuple(ScoredImage(Path(), cell.request.prompt) for cell in request.cells)))
    out = make_folder(workspace.out)
    parts = [
        GenerationPart(cell.request, _folder(out, number, cell), {}) for number, cell in enumerate(request.cells, 1)
    ]
    painted = generate_parts("painting", parts, workspace, emit)
    emit(Stage(name="scoring", total=len(painted)))
    scores: list[Mapping[str, MetricResult]] = []
    for number, (cell, pictures) in enumerate(zip(request.cells, painted, strict=True), 1):
        workspace.check()
        whole = len(pictures) == cell.request.count
        scores.append(scorers.score(_gallery(cell, pictures)) if whole else {})
        emit(Progress(done=number))
    asked = body_of(replace_references(request, workspace.called), workspace.execution)
    _tell(Swept(asked, painted, scores), out, workspace, emit)


def _folder(out: Path, number: int, cell: Cell) -> Path:
    named = re.sub(r"[^\w.+-]+", "-", "_".join(Path(value).name for value in cell.values)).strip("-._")[:60]
    return out / "pictures" / f"{number:03d}-{named}"


def _gallery(cell: Cell, pictures: ImagesBySeed) -> ImageSet:
    """The pictures of a cell to be scored, as one group."""
    prompt = cell.request.prompt
    return ImageSet(tuple(ScoredImage(pictures[seed], prompt, prompt) for seed in sorted(pictures)))


def _tell(swept: Swept, out: Path, workspace: Workspace, emit: Emit) -> None:
    """Write figures, numbers and the page."""
    emit(Stage(name="writing"))
    frames = write_trajectory(swept, out, workspace, emit) if swept.request.trajectory else None
    figure = write_figure(swept, out, workspace, emit)
    made = {"scores": write_numbers(swept, out), "table": write_table(swept, out)}
    if curves := write_curves(swept, out):
        made["plot"] = curves
    made["report"] = write_report(swept, out, figure, frames)
    for what, path in made.items():
        details = {"verdict": verdict(swept)} if what == "report" else {}
        emit(Made(what=ArtifactKind(what), path=str(path), sha256=sha256_of(path), details=details))
