"""TrainRequest -> adapter folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Emit, Notice, Stage
from limner.core.execution import body_of, digests_of
from limner.core.protocols import Components
from limner.core.requests import TrainRequest
from limner.core.requests.request import SUBJECT
from limner.core.runs import CHECKPOINTS
from limner.core.workspace import Workspace
from limner.engine.scoring.scorers import Scorers
from limner.engine.train.callbacks import Checkpoints, Previews, ProgressLog, ScoreCheckpoints
from limner.engine.train.checkpoint import kept_weights, load_checkpoint, load_weights, newest_sound
from limner.engine.train.checkpoint_report import PAGE, write_checkpoint_report
from limner.engine.train.checkpoint_scores import PROMPTS, CheckpointScorer
from limner.engine.train.dataset_notices import describe_run
from limner.engine.train.encoding import DatasetEncoder, EncodedSets, strip
from limner.engine.train.job import TrainJob, check_job, same_result
from limner.engine.train.loop import Callback, Loop
from limner.engine.train.model_card import Trained, best_summary, header, model_card
from limner.engine.train.optimisers import build_optimiser, check_rates
from limner.engine.train.plan import TrainPlan, make_plan
from limner.engine.train.preview_sampler import PreviewSampler
from limner.engine.train.subject import SubjectLesson
from limner.engine.train.trackers import MetricsLog
from limner.models import loading
from limner.models.adapters import check_base
from limner.models.devices import memory_errors, pick_dtype
from limner.store.files import atomic_folder, sha256_of

LESS_MEMORY = "use a smaller --batch or --resolution, --precision bf16, or --no-prior"


def train(request: TrainRequest, workspace: Workspace, emit: Emit) -> None:
    """Train on a subject's images, and write an adapter or a model to the workspace's out."""
    job = check_job(request, workspace, emit)
    try:
        with memory_errors(LESS_MEMORY):
            components = load_model(job)
            plan = make_plan(job.request, job.dataset, job.facts, components.side, job.processes.count)
            describe_run(plan, job.dataset, job.request, emit)
            if job.earlier is not None:
                check_base(job.earlier, job.model, components.architecture, job.emit)
            check_trainable(job, plan, components)
            sets = encode_sets(job, plan, components)
            samplers = SamplerSet(job, plan, components) if job.processes.main else None
            loop = build_loop(job, plan, components, sets)
            first = resume(job, loop)
            if samplers is None:
                return loop.run(first, stop=job.workspace.stop)
            loss = run_with_callbacks(job, loop, first, samplers)
        save_result(job, plan, components, loop, samplers.scorer, loss)
    finally:
        loading.unload_all()


def load_model(job: TrainJob) -> Components:
    """Load the base model. On a CPU, and where its own weights are trained, it is loaded in fp32."""
    full = job.device.type == "cpu" or job.whole
    dtype = torch.float32 if full else pick_dtype(job.request.precision, job.device)
    return loading.load(job.model, dtype, job.device, job.request.quantise)


def check_trainable(job: TrainJob, plan: TrainPlan, components: Components) -> None:
    """Attach and detach the method; LimnerError where it cannot be trained, before class images are generated."""
    request, trainable = job.request, job.attach(components)
    try:
        if request.text_learning_rate is not None and not trainable.groups().get("text"):
            raise LimnerError(
                f"text_learning_rate ({request.text_learning_rate:g}) is given, and no text encoder is trained",
                "add --text-encoder, or leave it out",
            )
        check_rates(request.optimiser, trainable.groups(), plan.rates)
    finally:
        trainable.detach()


def encode_sets(job: TrainJob, plan: TrainPlan, components: Components) -> EncodedSets:
    """Encode all images and captions; the main process generates class images first, which the others read."""
    if not job.processes.main:
        job.processes.wait()
    sets = DatasetEncoder(job.request, plan, job.model, components).encode_all(job.dataset, job.workspace, job.emit)
    if job.processes.main:
        job.processes.wait()
    return sets


class SamplerSet:
    """What generates images during training, prepared while the encoders are loaded. None where it is not asked for."""

    def __init__(self, job: TrainJob, plan: TrainPlan, components: Components) -> None:
        self.previews: PreviewSampler | None = None
        self.scorer: CheckpointScorer | None = None
        request, home = job.request, job.workspace.home
        if job.workspace.execution.preview_every:
            prompts = request.preview_prompt or (request.instance_prompt, request.class_prompt)
            seeds = [request.seed] * len(prompts)
            self.previews = PreviewSampler(job.model, components, prompts, seeds, plan.resolution, home=home)
        if job.scorers is not None:
            self.scorer = self._open_scorer(job, job.scorers, plan, components)

    def _open_scorer(
        self, job: TrainJob, scorers: Scorers, plan: TrainPlan, components: Components
    ) -> CheckpointScorer:
        """The scorer of checkpoints; the base model generates its images for comparison."""
        job.emit(Stage(name="scoring the base model"))
        request = job.request
        prompts = request.trial_prompt or PROMPTS
        seeds = [request.seed + number for number in range(len(prompts))]

        def sampler(texts: Sequence[str]) -> PreviewSampler:
            return PreviewSampler(job.model, components, texts, seeds, plan.resolution, plan.batch)

        base = sampler([prompt.replace(SUBJECT, request.class_word) for prompt in prompts])
        subject = sampler([request.of_subject(prompt) for prompt in prompts])
        images = [image.path for image in job.dataset.images]
        scorer = CheckpointScorer(request, scorers, base, subject, images, job.workspace)
        scorer.describe(job.emit)
        return scorer


def build_loop(job: TrainJob, plan: TrainPlan, components: Components, sets: EncodedSets) -> Loop:
    """Free the encoders, attach the method, and build the optimiser, the lesson and the loop."""
    request = job.request
    trains_text = job.method.trains_text(job.options)
    strip(components, None if job.whole else job.autocast, keep_text=trains_text)
    trainable = job.attach(components)
    if request.gradient_checkpointing:
        cast(Any, components.denoiser).enable_gradient_checkpointing()  # arXiv 1604.06174
    optimiser = build_optimiser(request.optimiser, trainable.groups(), plan.rates, request.weight_decay)
    lesson = SubjectLesson(
        request=request,
        plan=plan,
        family=job.model.family,
        components=components,
        trainable=trainable,
        subject=sets.subject,
        prior=sets.prior,
        held_out=sets.held_out,
        autocast=job.autocast,
        trains_text=trains_text,
        processes=job.processes,
    )
    return Loop(job.named, plan, lesson, trainable, optimiser, job.device, job.autocast, job.processes)


def resume(job: TrainJob, loop: Loop) -> int:
    """Load the newest sound checkpoint of an interrupted run; returns the steps done, 0 for a new run."""
    if not job.workspace.resume:
        return 0
    path, damaged = None, []
    digests = digests_of(job.named, job.workspace.execution)
    if job.processes.main:
        path, damaged = newest_sound(job.workspace.folder, loop, digests)
    path = job.processes.from_main(path)
    first = load_checkpoint(path, loop, digests) if path else 0
    if job.processes.main:
        for error in damaged:
            job.emit(Notice(text=f"{error.problem} and was set aside", level="warning"))
        if path or damaged:
            job.emit(Notice(text=f"resuming from step {first}" if path else "starting again from step 0"))
    return first


def run_with_callbacks(job: TrainJob, loop: Loop, first: int, samplers: SamplerSet) -> float:
    """Train as the main process: log, save, score, preview; returns the last loss."""
    folder, execution = job.workspace.folder, job.workspace.execution
    settings = body_of(job.named, execution).model_dump(mode="json")
    metrics = MetricsLog(folder, first, execution.track, settings)
    log = ProgressLog(metrics, job.emit)
    callbacks: list[Callback] = [log, Checkpoints(folder)]
    if samplers.scorer is not None:
        callbacks.append(ScoreCheckpoints(samplers.scorer, log.log))
    if samplers.previews is not None:
        callbacks.append(Previews(samplers.previews, folder, execution.preview_every, job.emit))
    loop.run(first, callbacks, job.workspace.stop)
    if (scorer := samplers.scorer) is not None:
        early = f"stopped early: no better checkpoint in {scorer.patience}; " if scorer.finished else ""
        job.emit(Notice(text=f"{early}kept {best_summary(scorer.scores)}"))
    return metrics.last("loss")


def save_result(
    job: TrainJob, plan: TrainPlan, components: Components, loop: Loop, scorer: CheckpointScorer | None, loss: float
) -> None:
    """Write the result's folder: trained weights with their header, model card, metrics, previews and report."""
    request, workspace, method, model = job.named, job.workspace, job.method, job.model

    def base() -> Any:
        fresh = model.family.load(model.source(), components.dtype, torch.device("cpu"))
        return model.family.pipeline(fresh)

    if scorer is not None:
        scorer.restore_best(loop)
    body = body_of(request, workspace.execution)
    trained = Trained(body, plan, model, job.dataset, workspace.out.name, None if scorer is None else scorer.scores)
    with atomic_folder(workspace.out, lambda folder: same_result(folder, request, workspace)) as partial:
        with loop.evaluating():
            file = method.save(loop.trainable, partial, header(trained, components), base).relative_to(partial)
        (partial / "README.md").write_text(model_card(trained, method, loss), encoding="utf-8")
        shutil.copyfile(workspace.folder / "metrics.jsonl", partial / "metrics.jsonl")
        for preview in workspace.folder.glob("preview-*.png"):
            shutil.copyfile(preview, partial / preview.name)
        if scorer is not None:
            write_checkpoint_report(scorer, partial)
        save_checkpoints(job, loop, partial / CHECKPOINTS, trained, components, base)
    details = {
        "trigger_words": list(request.trigger_words),
        **({"say": request.instance_prompt} if request.identifier else {}),
        "loss": loss,
        "base": request.model,
        "vae": request.vae,
    }
    if scorer is not None:
        details |= {"kept_step": scorer.scores.best.step}
        page = workspace.out / PAGE
        job.emit(ArtifactCreated(what=ArtifactKind.REPORT, path=str(page), sha256=sha256_of(page)))
    path = workspace.out
    job.emit(
        ArtifactCreated(what=ArtifactKind(method.makes), path=str(path), sha256=sha256_of(path / file), details=details)
    )


def save_checkpoints(
    job: TrainJob, loop: Loop, folder: Path, trained: Trained, components: Components, base: Callable[[], Any]
) -> None:
    """Write the adapter of every checkpoint whose weights were kept, into a folder for each step."""
    if not job.request.keep_checkpoints:
        return
    loop.ema = None  # what was kept is the average already
    for step, weights in kept_weights(job.workspace.folder).items():
        load_weights(weights, loop.trainable)
        place = folder / str(step)
        place.mkdir(parents=True)
        with loop.evaluating():
            job.method.save(loop.trainable, place, header(trained, components, step), base)
