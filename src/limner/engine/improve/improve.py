"""ImproveRequest -> an improved adapter with its record and report.

What the parts of an improvement hand to each other is decided here: feedback, what is learnt, training, evaluation.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Emit, Notice, Stage
from limner.core.execution import body_of
from limner.core.files import expand_home
from limner.core.improve import RECORD, REPORT, AgreementOfRaters, ImprovementRecord, RaterRecord
from limner.core.preferences import Feedback
from limner.core.requests import AdapterUse, ImproveRequest, replace_references
from limner.core.requests.feedback_selection import FEEDBACK_KINDS, FeedbackKind
from limner.core.requests.improve import LessonName
from limner.core.text import counted
from limner.core.workspace import Workspace
from limner.data.preferences.feedback_files import read_feedback
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.improve.choice import choose_lesson
from limner.engine.improve.decision import decide, preference_accuracy
from limner.engine.improve.encoding import LIKED
from limner.engine.improve.evaluation import Evaluation, Evaluator, Material, chosen_prompts
from limner.engine.improve.feedback_files import admit
from limner.engine.improve.job import ImproveJob, LessonSettings, adapter_job, model_job
from limner.engine.improve.learning_set import LearningSet, learning_set
from limner.engine.improve.report import page_of
from limner.engine.improve.target import Original, describe_photos, find_original
from limner.engine.improve.training import RESULT, TrainedAdapter, train_lesson
from limner.engine.train.checks import check_out_folder
from limner.reports.writer import write_page
from limner.stats.sufficiency import sufficiency
from limner.store.files import atomic_folder, sha256_of


@dataclass(frozen=True)
class Learnt:
    """What the training of an improvement was given. reason: why this lesson. too_little: "" for enough feedback."""

    learning: LearningSet
    lesson: LessonName
    reason: str
    too_little: str


def improve(request: ImproveRequest, workspace: Workspace, emit: Emit) -> None:
    """Train on feedback, compare with the original, and write adapter, record and report to the workspace's out.

    The original is not changed. Everything that could fail early is checked before the training. If feedback was erased
    while it was learnt from, the training starts again without it.
    """
    original = find_original(request, workspace)
    check_out_folder(workspace.out, lambda folder: own_result(folder, workspace))
    emit(Stage(name="reading feedback"))
    learnt = what_to_learn(request, original, workspace)
    while True:
        result = learn(request, original, learnt, workspace, emit)
        now = learnt if request.file else what_to_learn(request, original, workspace)
        if sources(learnt.learning) <= sources(now.learning):
            break
        emit(Notice(text="feedback was erased while it was learnt from: the training starts again without it"))
        learnt, workspace = now, replace(workspace, resume=True)
    record = record_of(request, original, learnt, result.trained, result.evaluation, workspace)
    write_result(record, result, workspace, emit)


@dataclass(frozen=True)
class Result:
    """A trained adapter, the job that trained it, and how it compares with the original."""

    job: ImproveJob
    trained: TrainedAdapter
    evaluation: Evaluation


def learn(request: ImproveRequest, original: Original, learnt: Learnt, workspace: Workspace, emit: Emit) -> Result:
    """Train on feedback, and compare the result with the original."""
    describe(learnt, original, request, emit)
    job = job_of(request, original, learnt.lesson, workspace)
    prompts = chosen_prompts(request, learnt.learning.held_out_prompts)
    preferred = preferred_images(learnt.learning)
    material = Material(prompts, original.subject, original.references, preferred)
    screen_texts(material, workspace)
    evaluator = Evaluator(request, material, workspace, emit)
    trained = train_lesson(job, learnt.learning, emit)
    new = improved_version(original, trained)
    return Result(job, trained, evaluator.evaluate(original.version, new, names_of(trained, workspace)))


def sources(learning: LearningSet) -> set[str]:
    """The raters and the hashes of the images of all feedback that a learning set uses."""
    pairs = [each.pair for each in (*learning.pairs, *learning.held_out_pairs)]
    ratings = [each.rating for each in (*learning.ratings, *learning.held_out_ratings)]
    images = [image for pair in pairs for image in (pair.better, pair.worse)] + [each.image for each in ratings]
    return {each.rater for each in (*pairs, *ratings)} | {image.sha256 for image in images}


def feedback_of(request: ImproveRequest, workspace: Workspace) -> Feedback:
    """The feedback that a request names; raises LimnerError where there is no source of it."""
    source = request.source
    if source is None or source in FEEDBACK_KINDS:
        if workspace.feedback is None:
            raise LimnerError("this run has no access to recorded feedback", "give a file of feedback by --from")
        return workspace.feedback(cast("FeedbackKind | None", source), request.selection)
    found = read_feedback(expand_home(source), workspace.folder / "feedback", workspace.local)
    if workspace.screen is not None:
        admit(found, workspace.screen)
    return found


def what_to_learn(request: ImproveRequest, original: Original, workspace: Workspace) -> Learnt:
    """The feedback on the original's images, and the lesson that suits it."""
    feedback = feedback_of(request, workspace)
    learning = learning_set(feedback, original.images, request.seed, request.held_out)
    lesson, reason = choose_lesson(request, learning)
    return Learnt(learning, lesson, reason, too_little(learning, request.held_out))


def too_little(learning: LearningSet, share: float) -> str:
    """What is said of too little feedback, and how much would be enough; "" for enough. share: that is held out."""
    held_out = len(learning.held_out_pairs)
    found = sufficiency(len(learning.pairs) + held_out, held_out, share)
    return f"{found.problem}; {found.remedy}" if found.problem else ""


def describe(learnt: Learnt, original: Original, request: ImproveRequest, emit: Emit) -> None:
    """Emit what is known before the training: how much feedback there is, whose counts less, and what is left out."""
    learning = learnt.learning
    trained = f"{counted(len(learning.pairs), 'pair')} and {counted(len(learning.ratings), 'rating')}"
    of_pairs, of_ratings = len(learning.held_out_pairs), len(learning.held_out_ratings)
    held = f"held out: {counted(of_pairs, 'pair')} and {counted(of_ratings, 'rating')}"
    emit(Notice(text=f"lesson {learnt.lesson}, because {learnt.reason}; {trained} to train on; {held}"))
    for line in learning.left_out:
        emit(Notice(text=f"not used: {line}", level="warning"))
    for rater in learning.trust.raters:
        if rater.why:
            text = f"rater {rater.rater} counts {rater.weight:.2f} instead of 1: {'; '.join(rater.why)}"
            emit(Notice(text=text, level="warning"))
    for line in learning.trust.notes:
        emit(Notice(text=line, level="warning"))
    if (photos := describe_photos(original, request)) is not None:
        emit(Notice(text=photos))
    if learnt.too_little:
        emit(Notice(text=learnt.too_little, level="warning"))


def job_of(request: ImproveRequest, original: Original, lesson: LessonName, workspace: Workspace) -> ImproveJob:
    """The training of a request; raises LimnerError where the original, its model or the device does not suit."""
    shared = {field.name for field in fields(LessonSettings)} & type(request).model_fields.keys()
    given = {name: value for name in shared - {"lesson"} if (value := getattr(request, name)) is not None}
    settings = LessonSettings(lesson, **given)
    version = original.version
    if original.adapter is None:
        job = model_job(version.model, settings, workspace, version.vae, original.photos)
        return replace(job, training=replace_references(job.training, workspace.called))  # for the header
    return adapter_job(original.adapter, settings, workspace, original.photos, version.model, version.vae)


def preferred_images(learning: LearningSet) -> tuple[Path, ...]:
    """The files of the images that training prefers, each once."""
    better = [each.pair.better.location for each in learning.pairs]
    liked = [each.rating.image.location for each in learning.ratings if each.rating.stars >= LIKED]
    return tuple(map(Path, dict.fromkeys([*better, *liked])))


def screen_texts(material: Material, workspace: Workspace) -> None:
    """Moderate what will be generated of a queued run: a file or a header named it, and not the request."""
    if workspace.screen is not None:
        workspace.screen.admit_captions((*material.prompts, *material.plain_prompts))


def improved_version(original: Original, trained: TrainedAdapter) -> ModelWithAdapters:
    """The model with the improved adapter in place of the original one."""
    return replace(original.version, name="improved", adapters=(AdapterUse(path=str(trained.file)),))


def names_of(trained: TrainedAdapter, workspace: Workspace) -> dict[str, str]:
    """How labels and reports name the improved adapter: by its place in the results, or by content in a queued run."""
    place = workspace.out / trained.file.relative_to(trained.folder)
    return {str(trained.file): str(place) if workspace.local else f"sha256:{trained.sha256}"}


def record_of(
    request: ImproveRequest,
    original: Original,
    learnt: Learnt,
    trained: TrainedAdapter,
    evaluation: Evaluation,
    workspace: Workspace,
) -> ImprovementRecord:
    """The record of an improvement with its decision."""
    learning, trust, version = learnt.learning, learnt.learning.trust, original.version
    measured, unmeasured = list(evaluation.measured), list(evaluation.unmeasured)
    if trained.margins:
        measured.insert(0, preference_accuracy(sum(each > 0 for each in trained.margins), len(trained.margins)))
    else:
        unmeasured.insert(0, "preference accuracy, because no pair is held out; collect pairs of more prompts")
    named = version.with_original_names(workspace.called)
    body = body_of(replace_references(request, workspace.called), workspace.execution)
    return ImprovementRecord(
        request=body.model_dump(mode="json"),
        target=version.name,
        original=None if original.adapter is None else original.adapter.sha256,
        model=named.model,
        file=trained.file.relative_to(trained.folder).as_posix(),
        sha256=trained.sha256,
        lesson=learnt.lesson,
        lesson_reason=learnt.reason,
        steps=trained.steps,
        loss=trained.loss,
        feedback=learning.digest,
        pairs=len(learning.pairs),
        ratings=len(learning.ratings),
        held_out_pairs=len(learning.held_out_pairs),
        held_out_ratings=len(learning.held_out_ratings),
        prompts=chosen_prompts(request, learning.held_out_prompts),
        reasons=dict(learning.reasons),
        left_out=learning.left_out,
        too_little=learnt.too_little,
        agreement=AgreementOfRaters(alpha=trust.alpha, low=trust.low, high=trust.high, units=trust.units),
        raters=tuple(
            RaterRecord(rater=each.rater, weight=each.weight, judgements=each.judgements, why=each.why)
            for each in trust.raters
        ),
        taste=trust.notes,
        measured=tuple(measured),
        unmeasured=tuple(unmeasured),
        decision=decide(measured, unmeasured),
    )


def own_result(folder: Path, workspace: Workspace) -> bool:
    """Whether a resumed run finds its own result, which it wrote just before it was stopped."""
    return workspace.resume and (folder / RECORD).is_file()


def write_result(record: ImprovementRecord, result: Result, workspace: Workspace, emit: Emit) -> None:
    """Write the result's folder, and emit an event for the adapter, the record and the report."""
    out, trained, training = workspace.out, result.trained, result.job.training
    with atomic_folder(out, lambda folder: own_result(folder, workspace)) as partial:
        shutil.copytree(trained.folder, partial, ignore=shutil.ignore_patterns(RESULT), dirs_exist_ok=True)
        (partial / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
        write_page(partial / REPORT, "improve.html", **page_of(record, result.evaluation))
    details = {
        "trigger_words": list(training.trigger_words),
        **({"say": training.instance_prompt} if training.identifier else {}),
        "loss": trained.loss,
        "base": record.model,
        "vae": training.vae,
        "replaces": record.decision.replaces,
    }
    emit(_made(ArtifactKind.ADAPTER, out, record.sha256, details))
    emit(_made(ArtifactKind.SCORES, out / RECORD, sha256_of(out / RECORD), {}))
    emit(_made(ArtifactKind.REPORT, out / REPORT, sha256_of(out / REPORT), {"verdict": record.verdict}))


def _made(what: ArtifactKind, path: Path, sha256: str, details: dict[str, Any]) -> ArtifactCreated:
    return ArtifactCreated(what=what, path=str(path), sha256=sha256, details=details)
