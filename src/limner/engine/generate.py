"""GenerateRequest -> PNG files."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from PIL import Image

from ..core.events import Emit, Made, Progress, Stage
from ..core.requests import GenerateRequest
from ..core.workspace import Workspace
from ..store.files import sha256_of, write_numbered
from . import models
from .adapters import adapters_on, check_base, open_adapter
from .conditioning import conditioning
from .devices import memory_told, pick_device, pick_dtype
from .labels import Label, write_png
from .painting import paint
from .schedulers import apply_scheduler, check_scheduler
from .sides import check_side
from .truncation import tell_truncation

LESS_MEMORY = "use a smaller --batch, --width and --height, or another --precision"


def generate(request: GenerateRequest, workspace: Workspace, emit: Emit) -> None:
    """Paint `request.count` pictures into the workspace's out folder as 0001.png, 0002.png and so on."""
    model = models.resolve(request.model)
    chosen = {name: value for name in model.sampling if (value := getattr(request, name)) is not None}
    sampling = model.sampling | chosen
    request = request.model_copy(update=sampling)  # told in full, so that a label means the same for good
    device = pick_device(request.device)
    dtype = pick_dtype(request.precision, device)
    check_scheduler(request.scheduler)
    check_side("height", request.height, model.family.facts.multiple)
    check_side("width", request.width, model.family.facts.multiple)
    adapters = [open_adapter(use.path) for use in request.adapter]
    emit(Stage(name="loading"))
    with memory_told(LESS_MEMORY):
        components = models.load(model, dtype, device)
    for adapter in adapters:
        check_base(adapter, model, components.architecture, emit)
    height, width = request.height or components.side, request.width or components.side
    pipeline = model.family.pipeline(components, "text2image")
    apply_scheduler(pipeline, request.scheduler)
    tell_truncation(components.parts, "prompt", request.prompt, emit)
    with (
        memory_told(LESS_MEMORY),
        adapters_on(pipeline, model.family.facts, adapters, [use.weight for use in request.adapter]),
    ):
        emit(Stage(name="painting", total=request.count * sampling["steps"]))

        def on_step(done: int) -> None:
            emit(Progress(done=done))
            workspace.check()

        seeds = [request.seed + i for i in range(request.count)]
        pictures = paint(
            pipeline,
            conditioning(model.family, components, [request.prompt], request.negative_prompt),
            seeds,
            **sampling,
            height=height,
            width=width,
            batch=request.batch,
            on_step=on_step,
        )
        for index, pixels in enumerate(pictures):
            label = Label(
                request=request,
                index=index,
                seed=seeds[index],
                version=version("limner"),
                model={
                    "reference": request.model,
                    "sha256": model.fingerprint(components.dtype),
                    "licence": model.licence,
                },
                adapters=tuple(
                    {"name": adapter.name, "path": use.path, "sha256": adapter.sha256, "weight": use.weight}
                    for adapter, use in zip(adapters, request.adapter, strict=True)
                ),
            )
            path = write_numbered(workspace.out, ".png", partial(write_png, Image.fromarray(pixels), label=label))
            details = {"seed": seeds[index], "index": index, "prompt": request.prompt}
            emit(Made(what="picture", path=str(path), sha256=sha256_of(path), details=details))
