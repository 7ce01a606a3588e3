"""A batch's model, ready to generate: its pipeline, inputs, adapters and settings, checked before and after loading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice, Stage
from limner.core.execution import Execution, body_of
from limner.core.protocols import Components, Facts
from limner.core.requests import GenerateRequest, replace_references
from limner.core.version import version
from limner.core.workspace import Workspace
from limner.engine.generate.checks import (
    CheckedRequest,
    check_arguments,
    check_guidance,
    check_passes,
    checked,
    pass_strengths,
)
from limner.engine.generate.inputs import Inputs, fit_inputs, mask_notices
from limner.engine.generate.memory import MemoryPreset, memory_saved, preset_for
from limner.engine.generate.pipelines import accepts, arguments, load_controlnets, pipeline_for
from limner.engine.generate.previews import OnPreview, previewing
from limner.engine.generate.sampling import sample_images
from limner.engine.generate.schedulers import apply_scheduler
from limner.models import loading
from limner.models.adapters import adapters_applied, check_base
from limner.models.cache import MODELS
from limner.models.conditioning import cached_conditioning
from limner.models.devices import check_quantised, memory_errors, pick_device, pick_dtype
from limner.models.guidance import guidance_applied
from limner.provenance.labels import Label

LESS_MEMORY = "use --memory low, a smaller --batch, --width and --height, or another --precision"


@dataclass(frozen=True)
class Setup(CheckedRequest):
    """A request that passed all checks that need no model in memory."""

    execution: Execution
    device: torch.device
    dtype: torch.dtype
    preset: MemoryPreset

    @property
    def facts(self) -> Facts:
        return self.model.family.facts


def check_request(request: GenerateRequest, execution: Execution) -> Setup:
    """Check a request as far as that is possible before its model is loaded."""
    found = checked(request)
    device = pick_device(execution.device)
    dtype = pick_dtype(request.precision, device)
    check_passes(request, found.sampling["steps"], found.strengths)
    preset = preset_for(request, execution.memory, device)
    check_quantised(preset.quantised, device)
    return Setup(**vars(found), execution=execution, device=device, dtype=dtype, preset=preset)


@dataclass(frozen=True)
class Session:
    """A loaded model with the pipeline for a request.

    base: text-to-image pipeline. sampling: steps and guidance. rows, settings: arguments of the pipeline besides
    prompts, those with a row for each image and those for all images.
    """

    setup: Setup
    components: Components
    base: Any
    pipeline: Any
    inputs: Inputs
    sampling: Mapping[str, Any]
    rows: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def open(cls, setup: Setup, emit: Emit) -> Session:
        """Load the model, and make the checks that need it."""
        request, model, facts, sampling = setup.request, setup.model, setup.facts, dict(setup.sampling)
        memory = setup.execution.memory
        if memory != "high" and setup.device.type != "cuda":
            emit(Notice(text=f"memory {memory!r} offloads and quantises networks only on a CUDA GPU"))
        for text in mask_notices(request, setup.opened):
            emit(Notice(text=text, level="warning"))
        loading.notify_terms(model, emit)
        emit(Stage(name="loading"))
        with memory_errors(LESS_MEMORY):
            components = loading.load(model, setup.dtype, setup.device, setup.preset.quantised)
        for adapter in setup.adapters:
            check_base(adapter, model, components.architecture, emit)
        base = model.family.pipeline(components)
        apply_scheduler(base, request.scheduler, sampling["steps"], pass_strengths(request, setup.strengths))
        controlnets = load_controlnets(request, facts, base)
        inputs = fit_inputs(request, setup.opened, components.side, facts.multiple)
        pipeline = pipeline_for(base, inputs.image is not None, inputs.mask is not None, controlnets)
        if not components.guided and sampling["guidance"] != model.sampling["guidance"]:
            emit(Notice(text=f"guidance {sampling['guidance']:g} has no effect: this model was distilled without it"))
        if request.negative_prompt and not components.guided:
            raise _no_negative_prompt()
        check_arguments(request, pipeline, sampling["guidance"])
        check_guidance(request, facts, sampling["guidance"])
        if "guidance_rescale" not in accepts(pipeline) or request.guidance_method != "cfg":
            sampling["guidance_rescale"] = 0.0  # the model's default does not apply here
        rows, settings = arguments(request, pipeline, inputs, setup.strengths["strength"])
        return cls(setup, components, base, pipeline, inputs, sampling, rows, settings)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Open a context in which memory saving, adapters and the guidance method are applied to the pipeline."""
        setup, request = self.setup, self.setup.request
        interval = (window.start, window.stop) if (window := request.guidance_interval) else (0.0, 1.0)
        denoiser, method, guidance = self.components.denoiser, request.guidance_method, self.sampling["guidance"]
        with (
            memory_errors(LESS_MEMORY),
            memory_saved(self.pipeline, setup.preset, setup.device, loading.unload_all),
            adapters_applied(self.pipeline, setup.facts, setup.adapters, [use.weight for use in request.adapter]),
            guidance_applied(self.pipeline, denoiser, method, interval, guidance),
        ):
            yield

    def complete(self, request: GenerateRequest) -> GenerateRequest:
        """Fill in sampling settings and size, so that the label of an image reproduces it if defaults change."""
        return request.model_copy(
            update={**self.sampling, **dict(zip(("width", "height"), self.inputs.size, strict=True))}
        )

    def conditioning(self, request: GenerateRequest) -> Mapping[str, Any]:
        """Encode a request's prompts, or return them from the cache."""
        setup = self.setup
        uses = zip(setup.adapters, setup.request.adapter, strict=True)
        adapters = tuple((adapter.sha256, use.weight) for adapter, use in uses)
        cache, family = MODELS.prompts(self.components), setup.model.family
        prompts = (request.prompt, request.negative_prompt)
        encoded = cached_conditioning(cache, family, self.components, adapters, *prompts)
        if request.negative_prompt and not any(name.startswith("negative") for name in encoded):
            raise _no_negative_prompt()
        return encoded

    def sample(
        self,
        conditioning: Mapping[str, Any],
        seeds: Sequence[int],
        on_step: Callable[[int], None],
        on_preview: OnPreview | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield images (h, w, 3) uint8, one per seed, in one batch. on_preview: receives previews, if they are on."""
        every = self.setup.execution.preview_every
        if every and on_preview is not None:
            previews = previewing(self.pipeline, every, self.inputs.size, on_preview)
        else:
            previews = nullcontext(_ignore)
        with memory_errors(LESS_MEMORY), previews as on_timestep:
            yield from sample_images(
                self.pipeline,
                {**conditioning, **self.rows},
                seeds,
                self.sampling,
                self.inputs.size,
                settings=self.settings,
                batch=len(seeds),
                on_step=on_step,
                on_timestep=on_timestep,
            )

    def label(self, request: GenerateRequest, workspace: Workspace) -> Label:
        """Return the label of a request's first image."""
        model, uses = self.setup.model, request.adapter
        return Label(
            request=body_of(replace_references(request, workspace.called), workspace.execution),
            index=0,
            seed=request.seed,
            version=version(),
            model={
                "reference": workspace.called(request.model),
                "sha256": model.fingerprint(self.components.dtype),
                "licence": model.licence,
            },
            adapters=tuple(
                {
                    "name": adapter.name,
                    "path": workspace.called(use.path),
                    "sha256": adapter.sha256,
                    "weight": use.weight,
                }
                for adapter, use in zip(self.setup.adapters, uses, strict=True)
            ),
            inputs={workspace.called(path): sha256 for path, sha256 in self.inputs.files.items()},
        )


def _ignore(done: int, rows: int) -> None:
    return None


def _no_negative_prompt() -> LimnerError:
    return LimnerError("this model does not support a negative prompt", "leave --negative-prompt out")
