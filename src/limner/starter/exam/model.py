"""The model under test: the exam's prompts in, images out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Event, Progress, Stage
from limner.core.protocols import Components, Family
from limner.starter.exam.options import ExamOptions
from limner.starter.judge.judge import SIDE
from limner.store.files import atomic_file

SEED, BATCH = 42, 16
Listener = Callable[[Event], None]
Stop = Callable[[], bool]


def hashes_without_judge(hashes: Mapping[str, str]) -> dict[str, str]:
    """Hashes of the weights that generate images, by file name."""
    return {name: value for name, value in hashes.items() if not name.startswith("judge/")}


@dataclass(frozen=True)
class ModelUnderTest:
    """A model with its pipeline and sampling settings (`Model.sampling`).

    facts: what identifies it in reports. listener: receives events. stop: whether to stop.
    """

    family: Family
    components: Components
    pipeline: Any
    facts: dict[str, Any]
    sampling: dict[str, Any]
    listener: Listener
    stop: Stop

    @classmethod
    def load(cls, options: ExamOptions, listener: Listener, stop: Stop) -> ModelUnderTest:
        """Load the model with the exam's scheduler and steps.

        Raises LimnerError for an unknown scheduler, too few steps, or a model whose image size the judge cannot read.
        """
        from limner.engine.generate.schedulers import apply_scheduler, check_scheduler, check_steps
        from limner.models import loading
        from limner.models.devices import pick_device, pick_dtype
        from limner.starter.card import weight_hashes

        check_scheduler(options.scheduler)
        found = loading.resolve(options.model)
        sampling = found.sampling | ({"steps": options.steps} if options.steps else {})
        check_steps(loading.part_config(options.model, "scheduler"), options.scheduler, sampling["steps"])
        device = pick_device("auto")
        dtype = pick_dtype(options.precision, device)
        listener(Stage(name="loading"))
        components = loading.load(found, dtype, device)
        if (side := components.side) != SIDE:
            raise LimnerError(
                f"model {options.model!r} generates images of {side} px, and the judge reads images of {SIDE} px",
                "use the starter",
            )
        pipeline = found.family.pipeline(components)
        apply_scheduler(pipeline, options.scheduler, sampling["steps"])
        facts = {
            "reference": options.model,
            "sha256": weight_hashes(Path(found.location)),
            "steps": sampling["steps"],
            "guidance rescale": sampling["guidance_rescale"],
            "scheduler": type(pipeline.scheduler).__name__,
            "precision": str(dtype).removeprefix("torch."),
        }
        return cls(found.family, components, pipeline, facts, sampling, listener, stop)

    def generate_cached(
        self, folder: Path, stage: str, prompts: Sequence[str], guidance: float, adapter: str = ""
    ) -> np.ndarray:
        """As `generate`, but read from a file in `folder` if there is one, so that a stopped exam can be resumed.

        adapter: the hash of the adapter on the pipeline.
        """
        facts = {name: value for name, value in self.facts.items() if name != "sha256"}
        key = json.dumps(
            [facts, hashes_without_judge(self.facts["sha256"]), list(prompts), guidance, adapter], sort_keys=True
        )
        path = folder / f"{stage.replace(' ', '-')}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)
        pixels = self.generate(stage, prompts, guidance)
        with atomic_file(path) as partial, partial.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)
        return pixels

    def generate(self, stage: str, prompts: Sequence[str], guidance: float | None = None) -> np.ndarray:
        """Images (n, 128, 128, 3) uint8 of n prompts, the i-th from seed 42 + i. stage: name of the progress bar.

        guidance: None for the model's own. Raises Interrupted when asked to stop.
        """
        from limner.engine.generate.sampling import sample_images
        from limner.models.conditioning import conditioning

        sampling: dict[str, Any] = self.sampling if guidance is None else self.sampling | {"guidance": guidance}
        self.listener(Stage(name=stage, total=len(prompts) * sampling["steps"], unit="steps"))

        def on_step(done: int) -> None:
            self.listener(Progress(done=done))
            if self.stop():
                raise Interrupted("stopped")

        pictures = sample_images(
            self.pipeline,
            conditioning(self.family, self.components, prompts),
            range(SEED, SEED + len(prompts)),
            sampling,
            (SIDE, SIDE),
            batch=BATCH,
            on_step=on_step,
        )
        return np.stack(list(pictures))
