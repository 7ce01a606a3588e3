"""EvaluateRequest -> pictures, scores, and a report that tells how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Stage
from limner.core.execution import body_of
from limner.core.metrics import DEFAULTS, ImageSet, ScoredImage
from limner.core.requests import EvaluateRequest, MetricUse, replace_references
from limner.core.requests.evaluate import DRIFT, MISTAKEN
from limner.core.workspace import Workspace
from limner.data.sets.folder import scan
from limner.engine.compare.contestants import Entrant, entrant_of
from limner.engine.compare.targets import ImagesTarget, target_of
from limner.engine.evaluate.class_drift import plain_pictures
from limner.engine.evaluate.group_scores import JUDGE, grouped, judge_of, served
from limner.engine.evaluate.image_folder import name_of, pictures_of
from limner.engine.evaluate.report import write_figure, write_numbers, write_report, write_table
from limner.engine.evaluate.result import Evaluated, items_of
from limner.engine.evaluate.scoresheet import write_sheet
from limner.engine.evaluate.subject import subject_of
from limner.engine.evaluate.training_images import asked_of, judged
from limner.engine.generate.parts import GenerationPart, generate_parts
from limner.engine.scoring.scorers import Scorers
from limner.plugins.registry import metrics
from limner.provenance.labels import read_label
from limner.store.files import make_folder, sha256_of


def evaluate(request: EvaluateRequest, workspace: Workspace, emit: Emit) -> None:
    """Paint, score and tell; what lies in the workspace's out folder already is not painted again."""
    references = _photographs(request.dataset)
    target = target_of(request.target)
    if isinstance(target, ImagesTarget):
        asked_of(request, None, emit)
        made = _of_a_folder(target.folder, request, references, workspace)
    else:
        made = _of_a_model(request, references, workspace, emit)
    out = make_folder(workspace.out)
    asked = body_of(replace_references(request, workspace.called), workspace.execution)
    told = Evaluated(**{**made.__dict__, "request": asked})
    emit(Stage(name="writing"))
    figure = write_figure(told, out, workspace, emit)
    written = {"scores": write_numbers(told, out), "table": write_table(told, out)}
    written["score page"] = write_sheet(told, out)
    written["report"] = write_report(told, out, figure)
    for what, path in written.items():
        details = {"verdict": told.verdict, "passed": told.passed} if what == "report" else {}
        emit(Made(what=ArtifactKind(what), path=str(path), sha256=sha256_of(path), details=details))


def _photographs(folder: str | None) -> tuple[Path, ...]:
    return () if folder is None else tuple(photograph.path for photograph in scan(folder).images)


def _of_a_folder(
    folder: Path, request: EvaluateRequest, references: tuple[Path, ...], workspace: Workspace
) -> Evaluated:
    """Pictures as they lie, each with the prompt of its label or of the text beside it."""
    photographs = pictures_of(folder)
    if request.prompt:
        raise LimnerError("prompts were given, and the pictures are there already", "leave out --prompt and --suite")
    prompts = [photograph.caption or _labelled(photograph.path) for photograph in photographs]
    items = tuple(
        ScoredImage(photograph.path, prompt, prompt or "all")
        for photograph, prompt in zip(photographs, prompts, strict=True)
    )
    gallery = ImageSet(items, references)
    scorers = Scorers(_wanted(request, gallery), request.encoder, workspace.called)
    _check_required(request, scorers)
    return Evaluated(request, name_of(folder, workspace.called), "", "", gallery, None, scorers.score(gallery))


def _labelled(picture: Path) -> str | None:
    try:
        label = read_label(picture)
    except LimnerError:
        return None
    return getattr(label.request, "prompt", None) if label else None


def _of_a_model(request: EvaluateRequest, references: tuple[Path, ...], workspace: Workspace, emit: Emit) -> Evaluated:
    if not request.prompt:
        raise LimnerError("there are no prompts to paint", "give --suite pets, --prompts FILE or --prompt TEXT")
    target = entrant_of(request.target, request.model, workspace.called)
    subject = subject_of(request, target)
    filled = request.filled
    wanted = [(subject.put(each.prompt), subject.put(each.prompt, plain=True)) for each in filled]
    learnt = references if target.adapter else ()
    expected = tuple(
        ScoredImage(Path(str(seed)), plain, full) for full, plain in wanted for seed in range(request.count)
    )
    uses = _wanted(request, ImageSet(expected, references, learnt))
    emit(Stage(name="loading scores"))
    drift = [use for use in uses if use.name == DRIFT] or (
        [MetricUse(name=DRIFT)] if target.adapter and subject.class_word and not request.metric else []
    )
    rest = Scorers([use for use in uses if use.name != DRIFT], request.encoder, workspace.called)
    moved = Scorers(drift, request.encoder, workspace.called)
    _check_required(request, rest, moved)
    rest.check(ImageSet(expected, references, learnt))
    groups = grouped(filled, [plain for _, plain in wanted], request.count)
    judge = judge_of(groups, rest, request.encoder, request.require, emit) if request.groups else None
    lessons = asked_of(request, target, emit)
    if drift and not (target.adapter and subject.class_word):
        raise LimnerError("class drift is of an adapter and a class", "name an adapter and --class, or leave it out")
    out = make_folder(workspace.out)
    items = _painted(request, target, wanted, out, workspace, emit)
    gallery = ImageSet(items, references, learnt)
    emit(Stage(name="scoring"))
    scores = rest.score(gallery)
    alike = served(groups, gallery, scores, judge) if request.groups else None
    plain = plain_pictures(request, target, str(subject.class_word), out, workspace, emit) if drift else None
    if plain is not None:
        scores |= moved.score(plain)
    taught = judged(request, lessons, workspace, emit)
    words = subject.class_word or ""
    return Evaluated(request, target.name, subject.full, words, gallery, plain, scores, alike, taught)


def _painted(
    request: EvaluateRequest,
    target: Entrant,
    wanted: Sequence[tuple[str, str]],
    out: Path,
    workspace: Workspace,
    emit: Emit,
) -> tuple[ScoredImage, ...]:
    """The pictures of all prompts. wanted: each prompt as it is painted, and in plain words."""
    parts = [
        GenerationPart(
            target.request(request, full, request.seed, request.count), out / "pictures" / f"{number:03d}", {}
        )
        for number, (full, _) in enumerate(wanted, 1)
    ]
    painted = generate_parts("painting", parts, workspace, emit)
    items = tuple(
        item
        for (full, plain), pictures in zip(wanted, painted, strict=True)
        for item in items_of([pictures[seed] for seed in sorted(pictures)], plain, full)
    )
    if withheld := request.count * len(wanted) - len(items):
        raise LimnerError(f"{withheld} pictures were withheld", "leave out what is refused")
    return items


def _wanted(request: EvaluateRequest, gallery: ImageSet) -> Sequence[MetricUse]:
    """The metrics that are asked for, or of the default ones those for which all is there."""
    if request.metric:
        return request.metric
    several = all(len(rows) > 1 for rows in gallery.groups.values())
    found = [
        MetricUse(name=name)
        for name in DEFAULTS
        if not any(gallery.lacks(need) for need in metrics.get(name).needs)
        and (several or metrics.get(name).unit == "picture")
    ]
    if request.groups and JUDGE not in (use.name for use in found):
        found.append(MetricUse(name=JUDGE))
    names = {use.name for use in found}
    return [*found, *(MetricUse(name=r.of) for r in request.require if r.of not in {*names, DRIFT, MISTAKEN})]


def _check_required(request: EvaluateRequest, *scorers: Scorers) -> None:
    """Refuse what is required of what is not measured; the first scorers are of the pictures themselves."""
    known = {name for each in scorers for name in each.ready}
    by_group = {name for name, (metric, _, _) in scorers[0].ready.items() if metric.unit == "picture"}
    for wanted in request.require:
        if wanted.of == MISTAKEN:
            continue
        if wanted.of not in known:
            raise LimnerError(f"{wanted} is required of a metric that is not measured", f"add --metric {wanted.of}")
        if wanted.of_gap and wanted.of not in by_group:
            raise LimnerError(f"{wanted} is required, and {wanted.of} is not told by group", "require another gap")
