"""Class images for prior preservation (Ruiz et al. 2022, arXiv 2208.12242), generated once by the base model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from limner.core.errors import LimnerError
from limner.core.events import Emit, Progress, Stage
from limner.core.protocols import Components
from limner.core.workspace import Workspace
from limner.data.sets.pixels import Crops
from limner.engine.generate.sampling import sample_images
from limner.engine.train.plan import TrainPlan
from limner.models.conditioning import conditioning
from limner.models.loading import Model
from limner.store.files import atomic_file

BATCH, PIXELS = 8, 2**21
"""The most images that are generated together, and the most pixels."""


class ClassImages:
    """Class images in a cache folder, read a part at a time. Reading raises LimnerError where a file is damaged."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, part: slice) -> Crops:
        paths = [self.path(index) for index in range(self.count)[part]]
        try:
            return Crops.whole(np.stack([np.load(path, allow_pickle=False) for path in paths]))
        except (ValueError, OSError) as error:
            raise LimnerError(
                f"the cached class images in {str(self.folder)!r} cannot be read: {error}", "delete that folder"
            ) from error

    def path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.npy"


def class_images(
    model: Model,
    components: Components,
    prompts: Sequence[str],
    plan: TrainPlan,
    seed: int,
    workspace: Workspace,
    emit: Emit,
    quantised: str | None = None,
) -> ClassImages:
    """The plan's class images, squares of its resolution, with the prompts in turn; missing ones are generated.

    They are generated in whole batches, always split at the same places, so that a cache that was filled in two runs
    holds the same bits as one that was filled at once. quantised: format of the model's quantised weights.
    """
    sampling, side = model.sampling, plan.resolution
    fingerprint = f"{model.fingerprint(components.dtype) or model.location} {model.vae or ''}".strip()
    facts = {"model": fingerprint, "prompts": list(prompts), "side": side, "seed": seed, **sampling}
    facts |= {"device": components.device.type, "dtype": str(components.dtype)}
    size = max(1, min(BATCH, PIXELS // side**2))
    facts |= {"batch": size} if size < BATCH else {}
    facts |= {"quantised": quantised} if quantised else {}
    folder = workspace.cache / "class" / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    images = ClassImages(folder, plan.class_pictures)
    groups = sorted({i // size for i in range(len(images)) if not images.path(i).exists()})
    missing = [group * size + row for group in groups for row in range(size)]
    if not missing:
        return images
    emit(Stage(name="class images", total=len(missing) * sampling["steps"]))

    def on_step(done: int) -> None:
        emit(Progress(done=done))
        workspace.check()

    generated = sample_images(
        model.family.pipeline(components),
        conditioning(model.family, components, [prompts[i % len(prompts)] for i in missing]),
        [seed + i for i in missing],
        sampling,
        (side, side),
        batch=size,
        on_step=on_step,
    )
    for index, pixels in zip(missing, generated, strict=True):
        with atomic_file(images.path(index)) as partial, partial.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)
    return images
