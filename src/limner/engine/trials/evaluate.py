"""EvaluateRequest -> pictures, scores, and a report that tells how good they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import LimnerError
from ...core.events import Emit, Made, Stage
from ...core.metrics import DEFAULTS, Gallery, Item
from ...core.requests import EvaluateRequest, MetricUse, relocated
from ...core.requests.evaluate import DRIFT, MISTAKEN, PLAIN
from ...core.requests.request import SUBJECT
from ...core.workspace import Workspace
from ...data.folder import scan
from ...registry import metrics
from ...store.files import make_folder, sha256_of
from ..adapters import open_adapter
from ..influence.taught import training_of
from ..provenance.labels import read_label
from ..scoring.scorers import Scorers
from .contestants import Entrant, entrant_of
from .evaluated import Evaluated, items_of
from .evaluatedpage import write_figure, write_numbers, write_report, write_table
from .learnt import asked_of, judged
from .painted import Part, paint_parts
from .scoresheet import write_sheet
from .served import JUDGE, grouped, judge_of, served
from .targets import folder_of_pictures, name_of, pictures_of


@dataclass(frozen=True)
class Subject:
    """identifier: the made-up word, where there is one. class_word: what the subject is, where that is known."""

    identifier: str | None
    class_word: str | None

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.identifier, self.class_word)))

    def put(self, template: str, plain: bool = False) -> str:
        """A prompt with the subject in it, or in plain words, for encoders that never heard of the made-up one."""
        word = self.class_word or self.full if plain else self.full
        if SUBJECT in template and not word:
            raise LimnerError(f"the prompt {template!r} asks for a subject, and none is known", "give --class")
        return template.replace(SUBJECT, word)


def evaluate(request: EvaluateRequest, workspace: Workspace, emit: Emit) -> None:
    """Paint, score and tell; what lies in the workspace's out folder already is not painted again."""
    references = _photographs(request.dataset)
    folder = folder_of_pictures(request)
    if folder is None:
        made = _of_a_model(request, references, workspace, emit)
    else:
        asked_of(request, None, emit)
        made = _of_a_folder(folder, request, references, workspace)
    out = make_folder(workspace.out)
    told = Evaluated(**{**made.__dict__, "request": relocated(request, workspace.called)})
    emit(Stage(name="writing"))
    figure = write_figure(told, out, workspace, emit)
    written = {"scores": write_numbers(told, out), "table": write_table(told, out)}
    written["score page"] = write_sheet(told, out)
    written["report"] = write_report(told, out, figure)
    for what, path in written.items():
        details = {"verdict": told.verdict, "passed": told.passed} if what == "report" else {}
        emit(Made(what=what, path=str(path), sha256=sha256_of(path), details=details))


def _photographs(folder: str | None) -> tuple[Path, ...]:
    return () if folder is None else tuple(photograph.path for photograph in scan(folder).photographs)


def _of_a_folder(
    folder: Path, request: EvaluateRequest, references: tuple[Path, ...], workspace: Workspace
) -> Evaluated:
    """Pictures as they lie, each with the prompt of its label or of the text beside it."""
    photographs = pictures_of(folder)
    if request.prompt:
        raise LimnerError("prompts were given, and the pictures are there already", "leave out --prompt and --suite")
    prompts = [photograph.caption or _labelled(photograph.path) for photograph in photographs]
    items = tuple(
        Item(photograph.path, prompt, prompt or "all") for photograph, prompt in zip(photographs, prompts, strict=True)
    )
    gallery = Gallery(items, references)
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
    subject = _subject(request, target)
    filled = request.filled
    wanted = [(subject.put(each.prompt), subject.put(each.prompt, plain=True)) for each in filled]
    learnt = references if target.adapter else ()
    expected = tuple(Item(Path(str(seed)), plain, full) for full, plain in wanted for seed in range(request.count))
    uses = _wanted(request, Gallery(expected, references, learnt))
    emit(Stage(name="loading scores"))
    drift = [use for use in uses if use.name == DRIFT] or (
        [MetricUse(name=DRIFT)] if target.adapter and subject.class_word and not request.metric else []
    )
    rest = Scorers([use for use in uses if use.name != DRIFT], request.encoder, workspace.called)
    moved = Scorers(drift, request.encoder, workspace.called)
    _check_required(request, rest, moved)
    rest.check(Gallery(expected, references, learnt))
    groups = grouped(filled, [plain for _, plain in wanted], request.count)
    judge = judge_of(groups, rest, request.encoder, request.require, emit) if request.groups else None
    lessons = asked_of(request, target, emit)
    if drift and not (target.adapter and subject.class_word):
        raise LimnerError("class drift is of an adapter and a class", "name an adapter and --class, or leave it out")
    out = make_folder(workspace.out)
    parts = [
        Part(target.request(request, full, request.seed, request.count), out / "pictures" / f"{number:03d}", {})
        for number, (full, _) in enumerate(wanted, 1)
    ]
    painted = paint_parts("painting", parts, workspace, emit)
    items = tuple(
        item
        for (full, plain), pictures in zip(wanted, painted, strict=True)
        for item in items_of([pictures[seed] for seed in sorted(pictures)], plain, full)
    )
    if withheld := len(expected) - len(items):
        raise LimnerError(f"{withheld} pictures were withheld", "leave out what is refused")
    gallery = Gallery(items, references, learnt)
    emit(Stage(name="scoring"))
    scores = rest.score(gallery)
    alike = served(groups, gallery, scores, judge) if request.groups else None
    plain = _plain(request, target, str(subject.class_word), out, workspace, emit) if drift else None
    if plain is not None:
        scores |= moved.score(plain)
    taught = judged(request, lessons, workspace, emit)
    words = subject.class_word or ""
    return Evaluated(request, target.name, subject.full, words, gallery, plain, scores, alike, taught)


def _subject(request: EvaluateRequest, target: Entrant) -> Subject:
    """The subject as the request names it, or as the adapter was taught it."""
    identifier, class_word = request.identifier, request.class_word
    if target.adapter and (identifier is None or class_word is None):
        try:
            training, _ = training_of(open_adapter(target.adapter[0].path))
        except LimnerError:  # made by another program
            return Subject(identifier, class_word)
        identifier, class_word = identifier or training.identifier, class_word or training.class_word
    return Subject(identifier, class_word)


def _wanted(request: EvaluateRequest, gallery: Gallery) -> Sequence[MetricUse]:
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


def _plain(
    request: EvaluateRequest, target: Entrant, class_word: str, out: Path, workspace: Workspace, emit: Emit
) -> Gallery:
    """Pictures of the class alone, by the adapter and by the base model."""
    base = Entrant(target.name, target.told, target.model, target.vae, ())
    prompts = [template.replace(SUBJECT, class_word) for template in PLAIN]
    found: dict[str, Mapping[int, list[Path]]] = {}
    for who, entrant in (("adapter", target), ("base", base)):
        parts = [
            Part(entrant.request(request, prompt, request.seed, request.count), out / "class" / f"{who}-{number}", {})
            for number, prompt in enumerate(prompts, 1)
        ]
        painted = paint_parts(f"class, {who}", parts, workspace, emit)
        found[who] = {number: [pictures[seed] for seed in sorted(pictures)] for number, pictures in enumerate(painted)}
    if any(len(row) < request.count for rows in found.values() for row in rows.values()):
        raise LimnerError("pictures of the class alone were withheld", "leave out class_drift")

    def items(who: str) -> tuple[Item, ...]:
        return tuple(
            item for number, prompt in enumerate(prompts) for item in items_of(found[who][number], prompt, prompt)
        )

    return Gallery(items("adapter"), base=items("base"))
