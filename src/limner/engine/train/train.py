"""TrainRequest -> adapter folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import BaseModel

from limner.core.errors import LimnerError
from limner.core.events import Emit, Made, Notice, Stage
from limner.core.protocols import Components, Facts, Method, Subject, Trainable
from limner.core.requests import TrainRequest, relocated
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan
from limner.engine.generate.sizes import check_side
from limner.engine.scoring.scorers import Scorers
from limner.engine.train.callbacks import Checkpoints, Previews, ProgressLog, ScoreCheckpoints
from limner.engine.train.checkpoint import checkpoints, load_checkpoint
from limner.engine.train.checkpoint_report import PAGE, write_checkpoint_report
from limner.engine.train.checkpoint_scores import PROMPTS, CheckpointScorer, open_scorers
from limner.engine.train.dataset_notices import describe_run, scan_dataset
from limner.engine.train.encoding import DatasetEncoder, EncodedSets, strip
from limner.engine.train.loop import Callback, Loop
from limner.engine.train.model_card import Trained, best_summary, header, model_card
from limner.engine.train.optimisers import build_optimiser, check_optimiser, check_rates
from limner.engine.train.plan import TrainPlan, make_plan
from limner.engine.train.preview_sampler import PreviewSampler
from limner.engine.train.processes import ProcessGroup
from limner.engine.train.subject import SubjectLesson
from limner.engine.train.trackers import MetricsLog, check_trackers
from limner.models import loading
from limner.models.adapters import facts_of
from limner.models.devices import autocast_dtype, check_quantised, memory_told, pick_device, pick_dtype
from limner.plugins import registry
from limner.store.files import check_replaceable, exists_already, sha256_of, writing_folder

LESS_MEMORY = "use a smaller --batch or --resolution, --precision bf16, or --no-prior"


@dataclass(frozen=True)
class TrainJob:
    """A request that was checked as far as is possible without loading the model.

    named: the request with its files as the user names them. scorers: score checkpoints, in the main process of a run
    that keeps the best one.
    """

    request: TrainRequest
    named: TrainRequest
    workspace: Workspace
    emit: Emit
    dataset: Scan
    model: loading.Model
    options: BaseModel
    device: torch.device
    processes: ProcessGroup
    scorers: Scorers | None

    @property
    def method(self) -> Method:
        return registry.methods.get(self.request.method)

    @property
    def subject(self) -> Subject:
        return Subject(self.request.identifier or "", self.request.class_word)

    @cached_property
    def facts(self) -> Facts:
        """The family's facts with the model's own defaults."""
        return replace(self.model.family.facts, defaults=self.model.defaults)

    @property
    def whole(self) -> bool:
        """Whether the model's own weights are trained, which takes full precision."""
        return self.method.makes == "model"

    @property
    def autocast(self) -> torch.dtype | None:
        """The number format of the forward pass; None for the weights' own."""
        return autocast_dtype(self.request.precision, self.device)

    def attach(self, components: Components) -> Trainable:
        """Attach the method's fresh tensors to the model."""
        return self.method.attach(components, self.facts, self.options, self.subject, self.request.seed)


def train(request: TrainRequest, workspace: Workspace, emit: Emit) -> None:
    """Train on a subject's images, and write an adapter or a model to the workspace's out."""
    job = check_job(request, workspace, emit)
    try:
        with memory_told(LESS_MEMORY):
            components = load_model(job)
            plan = make_plan(job.request, job.dataset, job.facts, components.side, job.processes.count)
            describe_run(plan, job.dataset, job.request, emit)
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
        loading.forget()


def check_job(request: TrainRequest, workspace: Workspace, emit: Emit) -> TrainJob:
    """Check a request before the model is loaded; raises LimnerError for all that can be known by then."""
    named = cast(TrainRequest, relocated(request, workspace.called))
    method = registry.methods.get(request.method)
    options = method.Options.model_validate(request.options)
    dataset = scan_dataset(request, emit)
    model = loading.resolve(request.model, request.vae)
    device = pick_device(request.device)
    processes = ProcessGroup.joined(device)
    workspace = processes.shared(workspace)
    if processes.main:
        check_out(named, workspace)
    pick_dtype(request.precision, device)  # raises where the device cannot compute in it
    check_side("resolution", request.resolution, model.family.facts.multiple)
    method.check(model.family.facts, options, Subject(request.identifier or "", request.class_word))
    check_trackers(request.track)
    scorers = open_scorers(request, workspace) if processes.main else None
    job = TrainJob(request, named, workspace, emit, dataset, model, options, device, processes, scorers)
    check_optimiser(request.optimiser)
    loading.tell_terms(model, emit)
    emit(Stage(name="loading"))
    check_quantised(request.quantise, device)
    if request.quantise and job.whole:
        raise LimnerError(f"rounded weights ({request.quantise}) cannot be trained", "leave out --quantise")
    return job


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
        if request.preview_every:
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
    trains_text = job.method.teaches_text(job.options)
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
    """Load the newest checkpoint of an interrupted run; returns the steps done, 0 for a new run."""
    saved = checkpoints(job.workspace.folder) if job.workspace.resume else []
    first = load_checkpoint(saved[-1], loop) if saved else 0
    if saved and job.processes.main:
        job.emit(Notice(text=f"resuming from step {first}"))
    job.processes.wait()
    return first


def run_with_callbacks(job: TrainJob, loop: Loop, first: int, samplers: SamplerSet) -> float:
    """Train as the main process: log, save, score, preview; returns the last loss."""
    folder, request = job.workspace.folder, loop.request
    metrics = MetricsLog(folder, first, request.track, request.model_dump(mode="json"))
    log = ProgressLog(metrics, job.emit)
    callbacks: list[Callback] = [log, Checkpoints(folder)]
    if samplers.scorer is not None:
        callbacks.append(ScoreCheckpoints(samplers.scorer, log.log))
    if samplers.previews is not None:
        callbacks.append(Previews(samplers.previews, folder, request.preview_every, job.emit))
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
    trained = Trained(request, plan, model, job.dataset, workspace.out.name, None if scorer is None else scorer.scores)
    with writing_folder(workspace.out, lambda folder: same_result(folder, request, workspace)) as partial:
        with loop.evaluating():
            file = method.save(loop.trainable, partial, header(trained, components), base).relative_to(partial)
        (partial / "README.md").write_text(model_card(trained, method, loss), encoding="utf-8")
        shutil.copyfile(workspace.folder / "metrics.jsonl", partial / "metrics.jsonl")
        for preview in workspace.folder.glob("preview-*.png"):
            shutil.copyfile(preview, partial / preview.name)
        if scorer is not None:
            write_checkpoint_report(scorer, partial)
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
        job.emit(Made(what="report", path=str(page), sha256=sha256_of(page)))
    path = workspace.out
    job.emit(Made(what=method.makes, path=str(path), sha256=sha256_of(path / file), details=details))


def check_out(request: TrainRequest, workspace: Workspace) -> None:
    """Raise LimnerError unless out is absent or empty, or holds what this run wrote before it was stopped."""
    out = workspace.out
    if out.exists() and not out.is_dir():
        raise exists_already(out)
    check_replaceable(out, lambda folder: same_result(folder, request, workspace))


def same_result(folder: Path, request: TrainRequest, workspace: Workspace) -> bool:
    """Whether a resumed run finds its own result, which it wrote just before it was stopped."""
    file = folder / registry.methods.get(request.method).file
    return workspace.resume and file.is_file() and facts_of(file).get("digest") == request.digest
