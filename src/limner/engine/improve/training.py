"""Trains an improvement: a lesson on feedback, by the loop of all training -> an adapter's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice, Progress, Stage
from limner.core.execution import body_of
from limner.core.protocols import Components, Trainable
from limner.core.requests import TrainRequest
from limner.core.requests.improve import LessonName
from limner.data.sets.folder import Scan
from limner.engine.improve.encoding import EncodedFeedback, LessonEncoder, decided, liked
from limner.engine.improve.job import ImproveJob, nothing_to_learn, result_folder
from limner.engine.improve.learning_set import LearningSet, WeightedPair
from limner.engine.train.callbacks import Checkpoints, ProgressLog
from limner.engine.train.checkpoint import discard_others, load_checkpoint, newest_sound
from limner.engine.train.denoising import Denoising
from limner.engine.train.encoding import strip
from limner.engine.train.kept_class import KeptClass
from limner.engine.train.kto import KtoLesson
from limner.engine.train.lesson import Lesson
from limner.engine.train.liked import RatedLesson
from limner.engine.train.loop import Loop
from limner.engine.train.model_card import Trained, header
from limner.engine.train.optimisers import build_optimiser
from limner.engine.train.pairs import PairErrors
from limner.engine.train.plan import TrainPlan, make_plan
from limner.engine.train.preference import PreferenceLesson, RewardSettings
from limner.engine.train.reference import Reference
from limner.engine.train.trackers import MetricsLog
from limner.models import loading
from limner.models.adapters import check_base, facts_of
from limner.models.devices import memory_errors, pick_dtype
from limner.store.files import atomic_folder, sha256_of

LESS_MEMORY = "use a smaller --batch, or --precision bf16"
STEPS = 100
"""Steps of a lesson."""
SHARE_OF_RATE = 0.5
"""Default learning rate, as a share of the one that an adapter is first trained at."""
RESULT = "improved.json"
"""File beside the trained adapter with what its training measured."""
OWN_OF_FILE = ("format", "lora_adapter_metadata", "modelspec.title", "ss_output_name")
"""Entries of the original's header that are not those of the improved adapter."""


@dataclass(frozen=True)
class TrainedAdapter:
    """A trained adapter. folder: with its file. loss: of the last step. margins: of the held-out pairs, in the order of
    the learning set; positive where the adapter prefers what people preferred, as compared with the original.
    """

    folder: Path
    file: Path
    sha256: str
    loss: float
    steps: int
    margins: tuple[float, ...]


@dataclass(frozen=True)
class LoopSettings:
    """What the loop reads of an improvement."""

    seed: int
    checkpoint_every: int
    digest: str
    ema: float | None = None
    keep: str = "last"
    keep_checkpoints: bool = False


def train_lesson(job: ImproveJob, learning: LearningSet, emit: Emit) -> TrainedAdapter:
    """Train a lesson on a learning set, and write the adapter to the run's own folder.

    A run that was interrupted goes on from its last checkpoint, and ends with the same bits. If its feedback has
    changed since, it starts again. Raises LimnerError where there is no feedback for the lesson.
    """
    _check_enough(job.settings.lesson, learning)
    if (known := finished(job, learning)) is not None:
        return known
    try:
        with memory_errors(LESS_MEMORY):
            emit(Stage(name="loading"))
            components = load_base(job)
            if job.original is not None:
                check_base(job.original, job.model, components.architecture, emit)
            plan = lesson_plan(job, components.side)
            emit(Stage(name="encoding"))
            encoded = LESSONS[job.settings.lesson].encode(LessonEncoder(job, plan, components), learning)
            loop, compared = _build_loop(job, plan, components, encoded, learning)
            loss = _run(job, loop, emit)
            with loop.evaluating():
                margins = _measure(job, compared, encoded, emit)
            return _save(job, plan, components, loop, learning, loss, margins)
    finally:
        loading.unload_all()


def pair_margins(job: ImproveJob, improved: Path, pairs: Sequence[WeightedPair], emit: Emit) -> tuple[float, ...]:
    """The margins of pairs by an improved adapter's file, in order, as compared with the job's original.

    A margin is the difference of implicit rewards for beta 1, the mean over several timesteps and noise that are the
    same every time. It is positive where the adapter prefers the image that people preferred.
    """
    try:
        with memory_errors(LESS_MEMORY):
            emit(Stage(name="loading"))
            components = load_base(job)
            plan = lesson_plan(job, components.side)
            encoded = LessonEncoder(job, plan, components).held_out(pairs)
            strip(components, job.autocast, keep_text=job.trains_text)
            trainable = job.attach(components)
            compared = _compared(job, plan, components, trainable)
            job.method.restore(trainable, improved)
            return _measure(job, compared, encoded, emit)
    finally:
        loading.unload_all()


def _measure(job: ImproveJob, compared: PairErrors, encoded: EncodedFeedback, emit: Emit) -> tuple[float, ...]:
    """The margins of the held-out pairs, in the order of the learning set; Interrupted if the run should stop."""
    emit(Stage(name="held-out pairs", total=sum(map(len, encoded.held_out_pairs))))

    def on_done(done: int) -> None:
        emit(Progress(done=done))
        job.workspace.check()

    return encoded.in_order(compared.margins(encoded.held_out_pairs, on_done))


def _compared(job: ImproveJob, plan: TrainPlan, components: Components, trainable: Trainable) -> PairErrors:
    """The errors of the model that is trained, as compared with what it is now."""
    settings = job.settings
    denoising = Denoising(job.model.family, components, plan.objective, job.autocast, job.trains_text)
    return PairErrors(denoising, Reference(trainable), settings.seed, settings.own_noise, plan.batch)


def load_base(job: ImproveJob) -> Components:
    """Load the base model; on a CPU in fp32."""
    on_cpu = job.device.type == "cpu"
    dtype = torch.float32 if on_cpu else pick_dtype(job.settings.precision, job.device)
    return loading.load(job.model, dtype, job.device, job.training.quantise)


def lesson_plan(job: ImproveJob, side: int) -> TrainPlan:
    """The plan of a lesson: the original's, with the lesson's length and learning rate. side: the model's own."""
    return make_plan(_lesson_request(job), job.photographs or Scan(()), job.facts, side)


def _lesson_request(job: ImproveJob) -> TrainRequest:
    settings = job.settings
    usual = job.method.learning_rate(float(job.facts.defaults["learning_rate"]))
    own = {
        "steps": settings.steps or STEPS,
        "epochs": None,
        "batch": settings.batch,
        "accumulation": 1,
        "optimiser": "adamw",
        "learning_rate": settings.learning_rate or SHARE_OF_RATE * usual,
        "text_learning_rate": None,
        "schedule": "constant",
        "held_out": 0,
        "min_snr_gamma": None,
        "noise_offset": None,
        "seed": settings.seed,
    }
    return job.training.model_copy(update=own)


def _build_loop(
    job: ImproveJob, plan: TrainPlan, components: Components, encoded: EncodedFeedback, learning: LearningSet
) -> tuple[Loop, PairErrors]:
    """Free the encoders, attach the original, and build the lesson and the loop. No weight decay: it pulls an adapter
    towards its base model.
    """
    settings = job.settings
    strip(components, job.autocast, keep_text=job.trains_text)
    trainable = job.attach(components)
    if job.training.gradient_checkpointing:
        getattr(components.denoiser, "enable_gradient_checkpointing")()  # noqa: B009
    compared = _compared(job, plan, components, trainable)
    lesson = _with_class(job, LESSONS[settings.lesson].build(job, plan, compared, encoded), compared, encoded)
    optimiser = build_optimiser("adamw", trainable.groups(), plan.rates, 0.0)
    request = LoopSettings(settings.seed, settings.checkpoint_every, job.digest(learning.digest))
    return Loop(request, plan, lesson, trainable, optimiser, job.device, job.autocast), compared


def _with_class(job: ImproveJob, lesson: Lesson, compared: PairErrors, encoded: EncodedFeedback) -> Lesson:
    """The lesson, which also keeps the class as it is where captions name the subject."""
    if not encoded.plain or not job.settings.kept_class:
        return lesson
    weight = job.settings.kept_class * LESSONS[job.settings.lesson].scale(_reward_settings(job, compared.denoising))
    both = compared.denoising, compared.reference
    return KeptClass(lesson, *both, encoded.plain, weight, compared.together, compared.seed)


def _reward_settings(job: ImproveJob, denoising: Denoising) -> RewardSettings:
    settings = job.settings
    usual = denoising.family.objective(denoising.components).beta
    return RewardSettings(usual if settings.beta is None else settings.beta, settings.margin, settings.anchor)


def _preference(job: ImproveJob, plan: TrainPlan, compared: PairErrors, encoded: EncodedFeedback) -> Lesson:
    settings = _reward_settings(job, compared.denoising)
    return PreferenceLesson(compared, encoded.pairs, encoded.watched_pairs, settings, plan.batch)


def _kto(job: ImproveJob, plan: TrainPlan, compared: PairErrors, encoded: EncodedFeedback) -> Lesson:
    return KtoLesson(
        compared.denoising,
        compared.reference,
        encoded.ratings,
        encoded.watched_ratings,
        _reward_settings(job, compared.denoising),
        plan.batch,
        compared.seed,
        compared.own_noise,
    )


def _liked(job: ImproveJob, plan: TrainPlan, compared: PairErrors, encoded: EncodedFeedback) -> Lesson:
    sets = encoded.liked, encoded.photographs, encoded.watched_liked
    return RatedLesson(compared.denoising, *sets, plan.batch, compared.seed, job.settings.photographs)


@dataclass(frozen=True)
class LessonKind:
    """How the feedback of a lesson is encoded, and how the lesson is built.

    needs: what it trains on, for people. scale: how strong its loss is, as compared with a denoising loss.
    """

    encode: Callable[[LessonEncoder, LearningSet], EncodedFeedback]
    build: Callable[[ImproveJob, TrainPlan, PairErrors, EncodedFeedback], Lesson]
    count: Callable[[LearningSet], int]
    needs: str
    scale: Callable[[RewardSettings], float] = lambda settings: settings.beta


LESSONS: Mapping[LessonName, LessonKind] = {
    "preference": LessonKind(
        LessonEncoder.preference, _preference, lambda learning: len(learning.pairs), "pairs of images"
    ),
    "kto": LessonKind(
        LessonEncoder.kto,
        _kto,
        lambda learning: len(decided(learning.ratings)),
        "images with 1, 2, 4 or 5 stars",
    ),
    "liked": LessonKind(
        LessonEncoder.liked,
        _liked,
        lambda learning: len(liked(learning.ratings)),
        "images with 4 or 5 stars",
        lambda settings: 1.0,
    ),
}


def _check_enough(lesson: LessonName, learning: LearningSet) -> None:
    kind = LESSONS[lesson]
    if not kind.count(learning):
        raise nothing_to_learn(lesson, kind.needs)


def _run(job: ImproveJob, loop: Loop, emit: Emit) -> float:
    """Train to the end, from the last checkpoint if the run was interrupted; returns the last loss."""
    folder, execution = job.workspace.folder, job.workspace.execution
    first = _resume(job, loop, emit)
    metrics = MetricsLog(folder, first, execution.track, asdict(job.settings))
    loop.run(first, [ProgressLog(metrics, emit), Checkpoints(folder)], job.workspace.stop)
    return metrics.last("loss")


def _resume(job: ImproveJob, loop: Loop, emit: Emit) -> int:
    """Load the newest sound checkpoint of an interrupted run; returns the steps done, 0 for a new run."""
    folder = job.workspace.folder
    if not job.workspace.resume:
        return 0
    if discard_others(folder, loop.request.digest):
        emit(Notice(text="the feedback or the settings have changed since the run was interrupted: it starts again"))
    path, damaged = newest_sound(folder, loop)
    for error in damaged:
        emit(Notice(text=f"{error.problem} and was set aside", level="warning"))
    first = load_checkpoint(path, loop) if path else 0
    if first:
        emit(Notice(text=f"resuming from step {first}"))
    return first


def _save(
    job: ImproveJob,
    plan: TrainPlan,
    components: Components,
    loop: Loop,
    learning: LearningSet,
    loss: float,
    margins: tuple[float, ...],
) -> TrainedAdapter:
    """Write the adapter with its header, and what was measured beside it."""
    folder = result_folder(job)
    with atomic_folder(folder, lambda found: (found / RESULT).is_file()) as partial:
        entries = improved_header(job, plan, components, learning)
        with loop.evaluating():
            file = job.method.save(loop.trainable, partial, entries, _no_base).relative_to(partial)
        measured = {
            "digest": loop.request.digest,
            "file": str(file),
            "sha256": sha256_of(partial / file),
            "loss": loss,
            "steps": plan.steps,
            "margins": margins,
        }
        (partial / RESULT).write_text(json.dumps(measured), encoding="utf-8")
        (partial / "README.md").write_text(_card(job, learning, loss), encoding="utf-8")
        shutil.copyfile(job.workspace.folder / "metrics.jsonl", partial / "metrics.jsonl")
    return TrainedAdapter(folder, folder / file, measured["sha256"], loss, plan.steps, margins)


def _card(job: ImproveJob, learning: LearningSet, loss: float) -> str:
    """The model card: the original's if it has one, and what the adapter was improved by."""
    name = job.workspace.out.name
    card = f"# {name}\n"
    if job.original is not None and (known := job.original.file.with_name("README.md")).is_file():
        card = known.read_text(encoding="utf-8")
    rows = {
        "Lesson": job.settings.lesson,
        "Feedback": f"{len(learning.pairs)} pairs, {len(learning.ratings)} ratings (SHA-256 `{learning.digest[:16]}`)",
        "Steps, seed": f"{job.settings.steps or STEPS}, {job.settings.seed}",
        "Final loss": f"{loss:.4f}",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"{card}\n## Improved by feedback\n\n| | |\n|---|---|\n{table}\n"


def _no_base() -> Any:
    raise AssertionError("only adapters are improved")


def finished(job: ImproveJob, learning: LearningSet) -> TrainedAdapter | None:
    """The adapter that an interrupted run has trained to the end already; None without one."""
    folder = result_folder(job)
    try:
        known = facts_of(folder / RESULT)
        file = folder / str(known["file"])
        if known["digest"] != job.digest(learning.digest) or sha256_of(file) != known["sha256"]:
            return None
        margins = tuple(map(float, known["margins"]))
        return TrainedAdapter(folder, file, str(known["sha256"]), float(known["loss"]), int(known["steps"]), margins)
    except (LimnerError, OSError, KeyError, TypeError, ValueError):
        return None


def improved_header(job: ImproveJob, plan: TrainPlan, components: Components, learning: LearningSet) -> dict[str, str]:
    """The safetensors metadata of an improved adapter: the original's, with what it was improved by.

    An adapter that a base model gets has the header of a training without photographs.
    """
    name = job.workspace.out.name
    if job.original is None:
        body = body_of(_lesson_request(job), job.workspace.execution)
        entries = header(Trained(body, plan, job.model, Scan(()), name), components)
    else:
        entries = {key: value for key, value in job.original.header.items() if key not in OWN_OF_FILE}
        entries |= {"modelspec.title": name, "ss_output_name": name}
    ours = json.loads(entries.get("limner", "{}"))
    ours["improved"] = {
        "from": None if job.original is None else job.original.sha256,
        "feedback": learning.digest,
        "lesson": job.settings.lesson,
        "pairs": len(learning.pairs),
        "ratings": len(learning.ratings),
        "digest": job.digest(learning.digest),
    }
    return entries | {"limner": json.dumps(ours, sort_keys=True, ensure_ascii=False)}
