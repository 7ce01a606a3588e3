"""An improvement that was checked as far as is possible without loading the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, Method, SubjectWords, Trainable
from limner.core.requests import TrainRequest
from limner.core.requests.improve import LessonName
from limner.core.requests.request import Precision, digest_of
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan
from limner.engine.influence.restored import resolve_base
from limner.engine.train.continuation import training_of
from limner.models import loading
from limner.models.adapters import Adapter, check_family
from limner.models.devices import autocast_dtype, check_quantised, pick_device, pick_dtype
from limner.plugins import registry

NEW_METHOD = "lora"
"""The method of the adapter that a base model gets."""
NOT_SAID = "image"
"""Class word of an adapter that was trained on feedback only."""


@dataclass(frozen=True)
class LessonSettings:
    """How a lesson trains; None for what suits the model.

    beta: strength of the reference model. margin: log-odds from which on a pair or an image is left alone. anchor:
    weight of the denoising loss on preferred images, as a share of beta. photographs: weight of the loss on the
    original's photographs. kept_class: weight of the loss that keeps images of the class, in the measure of the anchor.
    own_noise: add the noise that an image was generated from, where it is known.
    """

    lesson: LessonName
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    beta: float | None = None
    margin: float = 3.0
    anchor: float = 0.5
    photographs: float = 1.0
    kept_class: float = 4.0
    own_noise: bool = False
    seed: int = 42
    precision: Precision = "auto"
    checkpoint_every: int = 50


@dataclass(frozen=True)
class ImproveJob:
    """What the training of an improvement needs but the feedback and the loaded model.

    model: the base model. original: the adapter to improve; None where the model itself is improved, by a new adapter.
    training: the request that the original was trained by; for a model, one that describes the new adapter. options:
    of its method. photographs: that the original was trained on; None where they are not on this machine.
    """

    settings: LessonSettings
    workspace: Workspace
    model: loading.Model
    training: TrainRequest
    options: BaseModel
    device: torch.device
    original: Adapter | None = None
    photographs: Scan | None = None

    @property
    def method(self) -> Method:
        return registry.methods.get(self.training.method)

    @property
    def subject(self) -> SubjectWords:
        return SubjectWords(self.training.identifier or "", self.training.class_word)

    @cached_property
    def facts(self) -> Facts:
        """The family's facts with the model's own defaults."""
        return replace(self.model.family.facts, defaults=self.model.defaults)

    @property
    def autocast(self) -> torch.dtype | None:
        """The number format of the forward pass; None for the weights' own."""
        return autocast_dtype(self.settings.precision, self.device)

    @property
    def trains_text(self) -> bool:
        return self.method.trains_text(self.options)

    def attach(self, components: Components) -> Trainable:
        """Attach the method's tensors to the model: those of the original, or new ones."""
        trainable = self.method.attach(components, self.facts, self.options, self.subject, self.settings.seed)
        if self.original is not None:
            self.method.restore(trainable, self.original.file)
        return trainable

    def digest(self, feedback: str) -> str:
        """SHA-256 of everything that the result depends on. feedback: digest of the feedback."""
        target: dict[str, Any] = {"model": self.training.model, "vae": self.training.vae}
        if self.original is not None:
            target["adapter"] = self.original.sha256
        photographs = None if self.photographs is None else self.photographs.digest
        return digest_of([asdict(self.settings), target, photographs, feedback])


def adapter_job(
    adapter: Adapter,
    settings: LessonSettings,
    workspace: Workspace,
    photographs: Scan | None = None,
    model: str | None = None,
    vae: str | None = None,
) -> ImproveJob:
    """The job that improves an adapter; LimnerError where it, its base model or the device does not suit.

    model, vae: where its base model is, if not where its header says.
    """
    training, options = training_of(adapter)
    base = resolve_base(adapter, training, model, vae)
    check_family(adapter, base)
    method, subject = (
        registry.methods.get(training.method),
        SubjectWords(training.identifier or "", training.class_word),
    )
    method.check(base.family.facts, options, subject)
    device = _checked_device(settings, workspace)
    check_quantised(training.quantise, device)
    return ImproveJob(settings, workspace, base, training, steady(options), device, adapter, photographs)


def model_job(
    model: str, settings: LessonSettings, workspace: Workspace, vae: str | None = None, photographs: Scan | None = None
) -> ImproveJob:
    """The job that improves a base model by a new adapter; LimnerError where the model or the device does not suit."""
    training = TrainRequest(
        data="feedback",
        class_word=NOT_SAID,
        identifier=None,
        prior=False,
        model=model,
        vae=vae,
        method=NEW_METHOD,
        seed=settings.seed,
    )
    base = loading.resolve(model, vae)
    method = registry.methods.get(NEW_METHOD)
    options = method.Options()
    method.check(base.family.facts, options, SubjectWords("", NOT_SAID))
    device = _checked_device(settings, workspace)
    return ImproveJob(settings, workspace, base, training, options, device, None, photographs)


def steady(options: BaseModel) -> BaseModel:
    """A method's options without dropout, whose noise would hide how an image's error differs from the reference's."""
    return options.model_copy(update={"dropout": 0.0} if "dropout" in type(options).model_fields else {})


def _checked_device(settings: LessonSettings, workspace: Workspace) -> torch.device:
    device = pick_device(workspace.execution.device)
    pick_dtype(settings.precision, device)  # raises where the device cannot compute in it
    return device


def result_folder(job: ImproveJob) -> Path:
    """Where the trained adapter is written, in the run's own folder."""
    return job.workspace.folder / "improved"


def nothing_to_learn(lesson: str, what: str) -> LimnerError:
    """The error for a lesson without feedback of its kind."""
    return LimnerError(f"the lesson {lesson!r} needs {what}, and there are none to train on", "choose another --lesson")
