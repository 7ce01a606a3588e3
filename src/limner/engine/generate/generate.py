"""GenerateRequest -> PNG files."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Notice, Stage
from limner.core.execution import body_of
from limner.core.protocols import Components, Facts
from limner.core.requests import GenerateRequest, replace_references
from limner.core.version import version
from limner.core.workspace import Workspace
from limner.engine.generate.batching import Abandoned, Order, living, painted, passes, tell
from limner.engine.generate.inputs import Inputs, fit_inputs, fitted, open_inputs
from limner.engine.generate.memory import preset_for, spared
from limner.engine.generate.refining import Over, painted_over, painters_over
from limner.engine.generate.sampling import paint
from limner.engine.generate.schedulers import apply_scheduler, check_scheduler, check_steps
from limner.engine.generate.sizes import check_side
from limner.engine.generate.tasks import (
    accepts,
    arguments,
    keep_outside,
    load_controlnets,
    painted_part,
    pipeline_for,
    strengths,
)
from limner.engine.generate.truncation import tell_truncation, tell_weights
from limner.models import loading
from limner.models.adapters import Adapter, adapters_on, check_base, open_adapter
from limner.models.devices import check_quantised, memory_told, pick_device, pick_dtype
from limner.models.guidance import guided
from limner.models.prompt_cache import encoded
from limner.provenance import watermark
from limner.provenance.labels import Label, write_png
from limner.provenance.xmp import SourceType
from limner.store.files import atomic_file, make_folder, sha256_of, write_numbered

LESS_MEMORY = "use --memory low, a smaller --batch, --width and --height, or another --precision"


def generate(request: GenerateRequest, workspace: Workspace, emit: Emit) -> None:
    """Paint `request.count` pictures into the workspace's out folder as 0001.png, 0002.png and so on."""
    for _, failure in generate_together([Order(request, workspace, emit)]):
        if failure is not None:
            raise failure


def generate_together(orders: Sequence[Order]) -> Iterator[tuple[Order, Exception | None]]:
    """Paint the pictures of requests of one batch key; yields each when it has ended, with why where it ended early."""
    left = list(orders)
    try:
        for order in _generated(orders):
            left.remove(order)
            yield order, None
    except Exception as error:  # Abandoned: all have a reason of their own
        for order in living(left):
            order.failure = error
    for order in left:
        yield order, order.failure


def _generated(orders: Sequence[Order]) -> Iterator[Order]:
    """The requests whose pictures are painted, as each is done. What they share is said by the first."""
    request, emit = orders[0].request, partial(tell, orders)
    model = loading.resolve(request.model, request.vae)
    facts = model.family.facts
    chosen = {name: value for name in model.sampling if (value := getattr(request, name)) is not None}
    sampling = model.sampling | chosen
    overs = strengths(request, sampling["steps"])
    execution = orders[0].workspace.execution
    device = pick_device(execution.device)
    dtype = pick_dtype(request.precision, device)
    check_scheduler(request.scheduler, facts)
    check_passes(request, sampling["steps"], overs)
    check_side("height", request.height, facts.multiple)
    check_side("width", request.width, facts.multiple)
    adapters = [open_adapter(use.path) for use in request.adapter]
    given = open_inputs(request)
    preset = preset_for(request, execution.memory, device)
    check_quantised(preset.quantised, device)
    if execution.memory != "high" and device.type != "cuda":
        told = f"memory {execution.memory!r}: networks leave the GPU, and are rounded, only where there is a CUDA GPU"
        emit(Notice(text=told))
    loading.tell_terms(model, emit)
    emit(Stage(name="loading"))
    with memory_told(LESS_MEMORY):
        components = loading.load(model, dtype, device, preset.quantised)
    for adapter in adapters:
        check_base(adapter, model, components.architecture, emit)
    base = model.family.pipeline(components)
    apply_scheduler(base, request.scheduler, sampling["steps"], passes_of(request, overs))
    controlnets = load_controlnets(request, facts, base)
    inputs = fit_inputs(request, given, components.side, facts.multiple)
    pipeline = pipeline_for(base, inputs.image is not None, inputs.mask is not None, controlnets)
    if not components.guided and sampling["guidance"] != model.sampling["guidance"]:
        emit(Notice(text=f"guidance {sampling['guidance']:g} changes nothing: this model was distilled to need none"))
    if request.negative_prompt and not components.guided:
        raise LimnerError("this kind of model has no negative prompt", "leave --negative-prompt out")
    check_arguments(request, pipeline, sampling)
    check_guidance(request, facts, sampling["guidance"])
    acting_in = (interval.start, interval.stop) if (interval := request.guidance_interval) else (0.0, 1.0)
    if "guidance_rescale" not in accepts(pipeline) or request.guidance_method != "cfg":
        sampling["guidance_rescale"] = 0.0  # the model's own, which has no meaning here
    # told in full, so that a label means the same for good
    full = sampling | dict(zip(("width", "height"), inputs.size, strict=True))
    rows, settings = arguments(request, pipeline, inputs, overs["strength"])
    for order in orders:
        order.request = order.request.model_copy(update=full)
        if not facts.long_prompts:
            with order.own():
                tell_weights(order.request.prompt, order.emit)
                tell_truncation(*model.family.reader(components), "prompt", order.request.prompt, order.emit)
    with (
        memory_told(LESS_MEMORY),
        spared(pipeline, preset, device, loading.forget),
        adapters_on(pipeline, facts, adapters, [use.weight for use in request.adapter]),
        guided(pipeline, components.denoiser, request.guidance_method, acting_in, sampling["guidance"]),
    ):
        again = painters_over(request, base, overs)
        acting = tuple((adapter.sha256, use.weight) for adapter, use in zip(adapters, request.adapter, strict=True))
        for order in orders:
            with order.own():
                order.told = told_of(order.request, model, components, acting)
                order.emit(Stage(name="painting", total=order.request.count * sampling["steps"] * (1 + len(again))))

        def paint_pass(told: Mapping[str, Any], seeds: Sequence[int], on_step: Callable[[int], None]) -> Iterator[Any]:
            with memory_told(LESS_MEMORY):
                yield from paint(
                    pipeline,
                    {**told, **rows},
                    seeds,
                    **sampling,
                    width=inputs.size[0],
                    height=inputs.size[1],
                    settings=settings,
                    batch=len(seeds),
                    on_step=on_step,
                )

        size = orders[0].workspace.together
        for each in passes(orders, size or request.batch, padded=size is not None):
            for row, pixels, together in painted(each, paint_pass):
                order = row.order
                with order.own():
                    pixels = finished(order, row.index, pixels, again, inputs, sampling)
                    label = label_of(order.request, model, components, adapters, inputs, order.workspace).model_copy(
                        update={
                            "index": row.index,
                            "seed": row.seed,
                            "together": together if size or len(each.orders) > 1 else None,
                        }
                    )
                    keep_picture(order, label, pixels, inputs)
                if order.failure is None and row.index == order.request.count - 1:
                    yield order
    if not living(orders):
        raise Abandoned


def told_of(
    request: GenerateRequest, model: loading.Model, components: Components, acting: Hashable
) -> Mapping[str, Any]:
    """What the pipeline is told of a request's prompts."""
    kept = loading.embeddings(components)
    told = encoded(kept, model.family, components, acting, request.prompt, request.negative_prompt)
    if request.negative_prompt and not any(name.startswith("negative") for name in told):
        raise LimnerError("this kind of model has no negative prompt", "leave --negative-prompt out")
    return told


def keep_picture(order: Order, label: Label, pixels: np.ndarray, inputs: Inputs) -> None:
    """Write a picture with its mark and all its labels, and tell of it."""
    request, workspace, emit = order.request, order.workspace, order.emit
    name = watermark.payload_for(pixels)
    pixels = watermark.embed(pixels, name, painted_part(inputs, pixels))
    source = "compositeWithTrainedAlgorithmicMedia" if inputs.foreign else "trainedAlgorithmicMedia"
    write = partial(write_png, Image.fromarray(pixels), label=label, source=source, home=workspace.home)
    path = write_numbered(workspace.out, ".png", write)
    height, width = pixels.shape[:2]
    details = {
        "seed": label.seed,
        "index": label.index,
        "prompt": request.prompt,
        "steps": request.steps,
        "guidance": request.guidance,
        "width": width,
        "height": height,
        "mark": f"{name:08x}",
    }
    emit(Made(what=ArtifactKind.PICTURE, path=str(path), sha256=sha256_of(path), details=details))
    if inputs.guides and label.index == 0:
        write_guides(request, inputs, pixels, workspace, emit)


def label_of(
    request: GenerateRequest,
    model: loading.Model,
    components: Components,
    adapters: Sequence[Adapter],
    inputs: Inputs,
    workspace: Workspace,
) -> Label:
    """What the label of each of a request's pictures says, as that of the first."""
    return Label(
        request=body_of(replace_references(request, workspace.called), workspace.execution),
        index=0,
        seed=request.seed,
        version=version(),
        model={
            "reference": workspace.called(request.model),
            "sha256": model.fingerprint(components.dtype),
            "licence": model.licence,
        },
        adapters=tuple(
            {"name": adapter.name, "path": workspace.called(use.path), "sha256": adapter.sha256, "weight": use.weight}
            for adapter, use in zip(adapters, request.adapter, strict=True)
        ),
        inputs={workspace.called(path): sha256 for path, sha256 in inputs.files.items()},
    )


def passes_of(request: GenerateRequest, strengths: Mapping[str, float]) -> set[float]:
    """The strengths of the passes that a request's scheduler makes, 1 for one from noise."""
    first = strengths["strength"] if request.image else 1.0
    return {first, strengths["hires_strength"]} if request.hires else {first}


def check_passes(request: GenerateRequest, steps: int, strengths: Mapping[str, float]) -> None:
    """Refuse a number of steps that a scheduler of the request cannot take, before anything is loaded."""
    own = loading.settings_of(request.model, "scheduler")
    check_steps(own, request.scheduler, steps, passes_of(request, strengths))
    if request.refiner is not None:
        check_steps(loading.settings_of(request.refiner, "scheduler"), None, steps, {strengths["refiner_strength"]})


def check_arguments(request: GenerateRequest, pipeline: Any, sampling: dict[str, Any]) -> None:
    """Refuse what this kind of model takes no account of."""
    if request.guidance_rescale and "guidance_rescale" not in accepts(pipeline):
        raise LimnerError(
            f"guidance_rescale ({request.guidance_rescale:g}) means nothing to {type(pipeline).__name__}",
            "leave it out",
        )
    if request.negative_prompt and sampling["guidance"] <= 1 and "true_cfg_scale" not in accepts(pipeline):
        raise LimnerError(
            f"a negative prompt does nothing at guidance {sampling['guidance']:g}", "raise --guidance, or leave it out"
        )


def check_guidance(request: GenerateRequest, facts: Facts, scale: float) -> None:
    """Refuse ways to be guided that this kind of model has no place for, or that do nothing."""
    for name, default in (("guidance_method", "cfg"), ("guidance_interval", None)):
        if (value := getattr(request, name)) == default:
            continue
        if not facts.paired:
            raise LimnerError(
                f"{name} ({value}) is not served for this kind of model", "leave it out, or take sd or sdxl"
            )
        if scale <= 1:
            raise LimnerError(
                f"{name} ({value}) does nothing at guidance {scale:g}", "raise --guidance, or leave it out"
            )


def finished(
    order: Order,
    index: int,
    pixels: np.ndarray,
    again: Sequence[Over],
    inputs: Inputs,
    sampling: Mapping[str, Any],
) -> np.ndarray:
    """A painted picture (h, w, 3) uint8 with all that is painted over it."""
    pixels = keep_outside(pixels, inputs)
    for over in again:
        words = order.told if over.conditioning is None else over.conditioning
        larger = painted_over(over, words, pixels, order.request.seed + index, sampling, order.counter())
        pixels = keep_outside(larger, inputs)
    return pixels


def write_guides(request: GenerateRequest, inputs: Inputs, first: np.ndarray, workspace: Workspace, emit: Emit) -> None:
    """Keep the guide pictures, and a strip of photographs, guides and the first result to be looked at."""
    strip = []
    for use, photograph, guide in zip(request.control, inputs.photographs, inputs.guides, strict=True):
        path = workspace.out / f"guide-{use.kind}-{inputs.files[use.path][:8]}.png"
        write_aside(guide, path, "guide", "algorithmicMedia", workspace, emit)
        same = np.array_equal(np.asarray(photograph.convert("RGB")), np.asarray(guide))
        strip += [guide] if same else [photograph, guide]
    whole = np.concatenate([np.asarray(fitted(part, first.shape[1::-1])) for part in strip] + [first], axis=1)
    path = workspace.out / f"beside-{workspace.run}.png"
    write_aside(Image.fromarray(whole), path, "comparison", "compositeSynthetic", workspace, emit)


def write_aside(
    picture: Image.Image, path: Path, what: str, source: SourceType, workspace: Workspace, emit: Emit
) -> None:
    make_folder(path.parent)
    with atomic_file(path) as partial_path:
        write_png(picture, partial_path, source=source, home=workspace.home)
    emit(Made(what=ArtifactKind(what), path=str(path), sha256=sha256_of(path)))
