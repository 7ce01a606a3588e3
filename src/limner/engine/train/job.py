"""A training job: a request that was checked as far as is possible without loading the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from pydantic import BaseModel

from limner.core.errors import LimnerError
from limner.core.events import Emit, Stage
from limner.core.execution import digests_of
from limner.core.protocols import Components, Facts, Method, SubjectWords, Trainable
from limner.core.requests import TrainRequest, replace_references
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan
from limner.engine.scoring.scorers import Scorers
from limner.engine.train.checkpoint_scores import open_scorers
from limner.engine.train.checks import check_out_folder, checked_model
from limner.engine.train.continuation import earlier_adapter
from limner.engine.train.dataset_notices import scan_dataset, warn_of_domain
from limner.engine.train.optimisers import check_optimiser
from limner.engine.train.processes import ProcessGroup
from limner.engine.train.trackers import check_trackers
from limner.models import loading
from limner.models.adapters import Adapter, check_family, facts_of
from limner.models.devices import autocast_dtype, check_quantised, pick_device, pick_dtype
from limner.plugins import registry


@dataclass(frozen=True)
class TrainJob:
    """A checked request with everything that its execution needs but the loaded model.

    named: the request with its files as the user names them. scorers: score checkpoints, in the main process of a run
    that keeps the best one. earlier: the adapter to go on from.
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
    earlier: Adapter | None = None

    @property
    def method(self) -> Method:
        return registry.methods.get(self.request.method)

    @property
    def subject(self) -> SubjectWords:
        return SubjectWords(self.request.identifier or "", self.request.class_word)

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
        """Attach the method's tensors to the model: fresh ones, or those of the adapter to go on from."""
        trainable = self.method.attach(components, self.facts, self.options, self.subject, self.request.seed)
        if self.earlier is not None:
            self.method.restore(trainable, self.earlier.file)
        return trainable


def check_job(request: TrainRequest, workspace: Workspace, emit: Emit) -> TrainJob:
    """Check a request before the model is loaded; raises LimnerError for all that can be known by then."""
    named = cast(TrainRequest, replace_references(request, workspace.called))
    earlier, options = earlier_adapter(request)
    dataset = scan_dataset(request, emit)
    model = checked_model(request)
    device = pick_device(workspace.execution.device)
    processes = ProcessGroup.joined(device)
    workspace = processes.shared(workspace)
    if processes.main:
        check_out(named, workspace)
    pick_dtype(request.precision, device)  # raises where the device cannot compute in it
    check_trackers(workspace.execution.track)
    scorers = open_scorers(request, workspace) if processes.main else None
    job = TrainJob(request, named, workspace, emit, dataset, model, options, device, processes, scorers, earlier)
    if earlier is not None:
        check_family(earlier, model)
    if request.keep_checkpoints and job.whole:
        raise LimnerError("every checkpoint would be a whole model", "leave out --keep-checkpoints")
    check_optimiser(request.optimiser)
    loading.notify_terms(model, emit)
    if processes.main:
        warn_of_domain(named, dataset, model, emit, queued=named.data != request.data)
    emit(Stage(name="loading"))
    check_quantised(request.quantise, device)
    if request.quantise and job.whole:
        raise LimnerError(f"quantised weights ({request.quantise}) cannot be trained", "leave out --quantise")
    return job


def check_out(request: TrainRequest, workspace: Workspace) -> None:
    """Raise LimnerError unless out is absent or empty, or holds what this run wrote before it was stopped."""
    check_out_folder(workspace.out, lambda folder: same_result(folder, request, workspace))


def same_result(folder: Path, request: TrainRequest, workspace: Workspace) -> bool:
    """Whether a resumed run finds its own result, which it wrote just before it was stopped."""
    file = folder / registry.methods.get(request.method).file
    known = digests_of(request, workspace.execution)
    return workspace.resume and file.is_file() and facts_of(file).get("digest") in known
