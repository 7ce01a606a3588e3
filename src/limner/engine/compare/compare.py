"""CompareRequest -> pictures of every contestant, scores, and pages that tell which is better."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Progress, Stage
from limner.core.execution import body_of
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import CompareRequest, replace_references
from limner.core.workspace import Workspace
from limner.data.sets.folder import scan
from limner.engine.compare.blind_page import write_blind
from limner.engine.compare.cells import Cell, cells_of, folder_of, painted_cells
from limner.engine.compare.contestants import entrants, made_up
from limner.engine.compare.differences import differences
from limner.engine.compare.report import write_figure, write_numbers, write_report, write_table
from limner.engine.compare.result import Compared
from limner.engine.scoring.scorers import Scorers
from limner.store.files import make_folder, sha256_of


def compare(request: CompareRequest, workspace: Workspace, emit: Emit) -> None:
    """Paint, score and tell; what lies in the workspace's out folder already is not painted again."""
    found = entrants(request, workspace.called)
    emit(Stage(name="loading scores"))
    scorers = Scorers(request.metric, request.encoder, workspace.called)
    references = photographs_of(request)
    scorers.check(ImageSet(tuple(ScoredImage(Path(), prompt) for prompt, _ in cells_of(request)), references))
    out = make_folder(workspace.out)
    painted: dict[str, Mapping[Cell, Path]] = {}
    for number, entrant in enumerate(found, 1):
        workspace.check()
        painted[entrant.name] = painted_cells(request, entrant, folder_of(out, number, entrant), workspace, emit)
    emit(Stage(name="scoring", total=len(found)))
    scores: dict[str, Mapping[str, MetricResult]] = {}
    for number, (name, pictures) in enumerate(painted.items(), 1):
        workspace.check()
        scores[name] = scorers.score(gallery_of(pictures, references))
        emit(Progress(done=number))
    known = tuple(entrant.known_as(workspace.called) for entrant in found)
    asked = body_of(replace_references(request, workspace.called), workspace.execution)
    compared = Compared(asked, known, painted, scores, tuple(differences(scores)))
    tell(compared, out, workspace, emit)


def photographs_of(request: CompareRequest) -> tuple[Path, ...]:
    """The photographs of the subject, where a folder of them is named."""
    if request.references is None:
        return ()
    return tuple(photograph.path for photograph in scan(request.references).images)


def gallery_of(pictures: Mapping[Cell, Path], references: tuple[Path, ...]) -> ImageSet:
    """A contestant's pictures to be scored, those of one prompt as a group."""
    return ImageSet(tuple(ScoredImage(path, prompt, prompt) for (prompt, _), path in pictures.items()), references)


def tell(compared: Compared, out: Path, workspace: Workspace, emit: Emit) -> None:
    """Write figures and pages. Raises LimnerError where the figure was withheld."""
    emit(Stage(name="writing"))
    figure = write_figure(compared, out, workspace, emit)
    if not figure.exists():
        raise LimnerError("the figure of the comparison was withheld", "leave out the prompts that are refused")
    pictures = [compared.painted[entrant.name] for entrant in compared.entrants]
    names = [entrant.name for entrant in compared.entrants]
    words = made_up(compared.entrants)
    page, key = write_blind(out, names, pictures, compared.request.pairs, compared.request.seed, words)
    made = {
        "scores": write_numbers(compared, out),
        "table": write_table(compared, out),
        "blind page": page,
        "key": key,
        "report": write_report(compared, out, figure),
    }
    for what, path in made.items():
        details = {"verdict": compared.verdict} if what == "report" else {}
        emit(Made(what=ArtifactKind(what), path=str(path), sha256=sha256_of(path), details=details))
