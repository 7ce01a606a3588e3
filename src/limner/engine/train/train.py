"""TrainRequest -> adapter folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Stage
from limner.core.execution import body_of, digests_of
from limner.core.protocols import Components, Subject, Trainable
from limner.core.requests import TrainRequest, replace_references
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan
from limner.engine.generate.sizes import check_side
from limner.engine.scoring.scorers import Scorers
from limner.engine.train.callbacks import run_helping, run_watched
from limner.engine.train.checkpoint_report import PAGE, write_standings
from limner.engine.train.checkpoint_scores import PROMPTS, Contest, scorers_of
from limner.engine.train.dataset_notices import scan_told, told
from limner.engine.train.encoding import encode_all, strip
from limner.engine.train.loop import Loop
from limner.engine.train.model_card import header, model_card
from limner.engine.train.optimisers import build_optimiser, check_optimiser, check_rates
from limner.engine.train.plan import Plan, make_plan
from limner.engine.train.preview_sampler import Glimpses
from limner.engine.train.previews import Previews
from limner.engine.train.processes import Processes
from limner.engine.train.trackers import check_trackers
from limner.models import loading
from limner.models.adapters import facts_of
from limner.models.devices import autocast_dtype, check_quantised, memory_told, pick_device, pick_dtype
from limner.plugins import registry
from limner.store.files import already_exists, atomic_folder, check_replaceable, sha256_of

LESS_MEMORY = "use a smaller --batch or --resolution, --precision bf16, or --no-prior"


def train(request: TrainRequest, workspace: Workspace, emit: Emit) -> None:
    """Teach a subject and leave an adapter folder at the workspace's out."""
    asked = cast(TrainRequest, replace_references(request, workspace.called))
    method = registry.methods.get(request.method)
    options = method.Options.model_validate(request.options)
    photographs = scan_told(request, emit)
    model = loading.resolve(request.model, request.vae)
    device = pick_device(workspace.execution.device)
    processes = Processes.joined(device)
    workspace = processes.shared(workspace)
    if processes.main:
        refuse_to_overwrite(asked, workspace)
    wished = pick_dtype(request.precision, device)  # before the choice, to refuse what the device cannot do
    check_side("resolution", request.resolution, model.family.facts.multiple)
    words = Subject(request.identifier or "", request.class_word)
    method.check(model.family.facts, options, words)
    check_trackers(workspace.execution.track)
    scorers = scorers_of(request, workspace) if processes.main else None  # refused before anything is painted
    check_optimiser(request.optimiser)
    loading.tell_terms(model, emit)
    emit(Stage(name="loading"))
    check_quantised(request.quantise, device)
    if request.quantise and method.makes == "model":
        raise LimnerError(f"rounded weights ({request.quantise}) cannot learn themselves", "leave out --quantise")
    whole = method.makes == "model"  # its weights learn themselves, which takes full precision
    dtype = torch.float32 if device.type == "cpu" or whole else wished
    with memory_told(LESS_MEMORY):
        components = loading.load(model, dtype, device, request.quantise)
    try:
        with memory_told(LESS_MEMORY):
            facts = replace(model.family.facts, defaults=model.defaults)
            plan = make_plan(request, photographs, facts, components.side, processes.count)
            told(plan, photographs, request, emit)
            check_learning(request, plan, method.attach(components, facts, options, words, request.seed))
            if not processes.main:  # the main one paints what all read
                processes.wait()
            subject, prior, watched = encode_all(request, plan, photographs, model, components, workspace, emit)
            if processes.main:
                processes.wait()
            previews, contest = None, None
            if processes.main:
                previews = previews_of(request, plan, model, components, workspace)
                contest = contest_of(request, scorers, plan, model, components, photographs, workspace, emit)
            autocast = autocast_dtype(request.precision, device)
            teaches_text = method.teaches_text(options)
            strip(components, None if whole else autocast, keep_text=teaches_text)
            trainable = method.attach(components, facts, options, words, request.seed)
            if request.gradient_checkpointing:
                cast(Any, components.denoiser).enable_gradient_checkpointing()  # arXiv 1604.06174
            optimiser = build_optimiser(request.optimiser, trainable.groups(), plan.rates, request.weight_decay)
            loop = Loop(
                asked,
                plan,
                model.family,
                components,
                trainable,
                optimiser,
                subject,
                prior,
                watched,
                autocast,
                teaches_text,
                processes,
            )
            if not processes.main:
                return run_helping(loop, workspace)
            last = run_watched(loop, workspace, previews, contest, emit)
        sha256 = save_result(asked, plan, model, components, photographs, loop, last, contest, workspace)
    finally:
        loading.forget()
    details = {
        "trigger_words": list(request.trigger_words),
        **({"say": request.instance_prompt} if request.identifier else {}),
        "loss": last,
        "base": workspace.called(request.model),
        "vae": request.vae and workspace.called(request.vae),
    }
    if contest is not None:
        details |= {"kept_step": contest.standings.best.step}
        page = workspace.out / PAGE
        emit(Made(what=ArtifactKind.REPORT, path=str(page), sha256=sha256_of(page)))
    emit(Made(what=ArtifactKind(method.makes), path=str(workspace.out), sha256=sha256, details=details))


def previews_of(
    request: TrainRequest, plan: Plan, model: loading.Model, components: Components, workspace: Workspace
) -> Previews | None:
    """What paints rows of pictures along the way, where that is asked for."""
    if not workspace.execution.preview_every:
        return None
    prompts = request.preview_prompt or (request.instance_prompt, request.class_prompt)
    seeds = [request.seed] * len(prompts)
    glimpses = Glimpses(model.family, components, prompts, seeds, plan.resolution, model.sampling)
    return Previews(glimpses, workspace.home)


def contest_of(
    request: TrainRequest,
    scorers: Scorers | None,
    plan: Plan,
    model: loading.Model,
    components: Components,
    photographs: Scan,
    workspace: Workspace,
    emit: Emit,
) -> Contest | None:
    """What scores checkpoints, where the best is asked for; the base model paints for comparison."""
    if scorers is None:
        return None
    emit(Stage(name="painting by the base model"))
    prompts = request.trial_prompt or PROMPTS
    plain, taught = (
        Glimpses(
            model.family,
            components,
            told,
            [request.seed + number for number in range(len(prompts))],
            plan.resolution,
            model.sampling,
            plan.batch,
        )
        for told in (
            [prompt.replace(SUBJECT, request.class_word) for prompt in prompts],
            [request.of_subject(prompt) for prompt in prompts],
        )
    )
    paths = [photograph.path for photograph in photographs.photographs]
    contest = Contest(request, scorers, plain, taught, paths, workspace)
    contest.tell(emit)
    return contest


def check_learning(request: TrainRequest, plan: Plan, trainable: Trainable) -> None:
    """Attach on trial, and take off again: what cannot learn is said before class pictures are painted."""
    try:
        if request.text_learning_rate is not None and not trainable.groups().get("text"):
            raise LimnerError(
                f"text_learning_rate ({request.text_learning_rate:g}) is given, and no text encoder learns",
                "add --text-encoder, or leave it out",
            )
        check_rates(request.optimiser, trainable.groups(), plan.rates)
    finally:
        trainable.detach()


def save_result(
    request: TrainRequest,
    plan: Plan,
    model: loading.Model,
    components: Components,
    photographs: Scan,
    loop: Loop,
    last: float,
    contest: Contest | None,
    workspace: Workspace,
) -> str:
    """Write the folder: what was learnt with its header, model card, figures and pages; returns its hash.

    request: with its files as the user calls them.
    """
    facts = (photographs.digest, len(photographs.photographs), workspace.out.name, photographs.rights)
    body = body_of(request, workspace.execution)
    method = registry.methods.get(request.method)

    def base() -> Any:
        fresh = model.family.load(model.source(), components.dtype, torch.device("cpu"))
        return model.family.pipeline(fresh)

    if contest is not None:
        contest.put_best(loop)
    kept = None if contest is None else contest.standings
    with atomic_folder(workspace.out, lambda folder: same_result(folder, request, workspace)) as partial:
        with loop.shown():
            learnt = method.save(
                loop.trainable,
                partial,
                header(body, plan, model, components, *facts, kept),
                base,
            ).relative_to(partial)
        card = model_card(request, plan, model, method, *facts, f"{last:.4f}", kept)
        (partial / "README.md").write_text(card, encoding="utf-8")
        shutil.copyfile(workspace.folder / "metrics.jsonl", partial / "metrics.jsonl")
        for preview in workspace.folder.glob("preview-*.png"):
            shutil.copyfile(preview, partial / preview.name)
        if contest is not None:
            write_standings(contest, partial)
    return sha256_of(workspace.out / learnt)


def refuse_to_overwrite(request: TrainRequest, workspace: Workspace) -> None:
    """Only an empty folder is filled, or one that this very request filled before it was stopped at the last moment."""
    out = workspace.out
    if out.exists() and not out.is_dir():
        raise already_exists(out)
    check_replaceable(out, lambda folder: same_result(folder, request, workspace))


def same_result(folder: Path, request: TrainRequest, workspace: Workspace) -> bool:
    """Whether a resumed run finds its own result, which it wrote just before it was stopped."""
    file = folder / registry.methods.get(request.method).file
    known = digests_of(request, workspace.execution)
    return workspace.resume and file.is_file() and facts_of(file).get("digest") in known
