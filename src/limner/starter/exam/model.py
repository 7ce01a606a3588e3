"""The model that is examined: prompts in, pictures out."""

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
from limner.starter.exam.options import Sitting
from limner.starter.judge.judge import SIDE
from limner.store.files import writing

SEED, BATCH = 42, 16
Listener = Callable[[Event], None]
Stop = Callable[[], bool]


def weights_that_paint(hashes: Mapping[str, str]) -> dict[str, str]:
    """All but the judge's."""
    return {name: value for name, value in hashes.items() if not name.startswith("judge/")}


@dataclass(frozen=True)
class Examinee:
    """A model and its stock pipeline, what identifies it, how it paints (`Model.sampling`), who is told of progress."""

    family: Family
    components: Components
    pipeline: Any
    facts: dict[str, Any]
    sampling: dict[str, Any]
    listener: Listener
    stop: Stop

    @classmethod
    def open(cls, sitting: Sitting, listener: Listener, stop: Stop) -> Examinee:
        from limner.engine.generate.schedulers import apply_scheduler, check_scheduler, check_steps
        from limner.models import loading
        from limner.models.devices import pick_device, pick_dtype
        from limner.starter.card import hashes

        check_scheduler(sitting.scheduler)
        found = loading.resolve(sitting.model)
        sampling = found.sampling | ({"steps": sitting.steps} if sitting.steps else {})
        check_steps(loading.settings_of(sitting.model, "scheduler"), sitting.scheduler, sampling["steps"])
        device = pick_device("auto")
        dtype = pick_dtype(sitting.precision, device)
        listener(Stage(name="loading"))
        components = loading.load(found, dtype, device)
        if (side := components.side) != SIDE:
            raise LimnerError(
                f"model {sitting.model!r} paints {side} px, and the judge reads pictures of {SIDE}", "use the starter"
            )
        pipeline = found.family.pipeline(components)
        apply_scheduler(pipeline, sitting.scheduler, sampling["steps"])
        facts = {
            "reference": sitting.model,
            "sha256": hashes(Path(found.location)),
            "steps": sampling["steps"],
            "guidance rescale": sampling["guidance_rescale"],
            "scheduler": type(pipeline.scheduler).__name__,
            "precision": str(dtype).removeprefix("torch."),
        }
        return cls(found.family, components, pipeline, facts, sampling, listener, stop)

    def kept_answer(
        self, folder: Path, what: str, prompts: Sequence[str], guidance: float, adapter: str = ""
    ) -> np.ndarray:
        """As `answer`, from a file in `folder` where the same was painted before, so that a stopped exam goes on.

        adapter: hash of what is on the pipeline besides.
        """
        told = {name: value for name, value in self.facts.items() if name != "sha256"}
        asked = json.dumps(
            [told, weights_that_paint(self.facts["sha256"]), list(prompts), guidance, adapter], sort_keys=True
        )
        path = folder / f"{what.replace(' ', '-')}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)
        pixels = self.answer(what, prompts, guidance)
        with writing(path) as partial, partial.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)
        return pixels

    def answer(self, what: str, prompts: Sequence[str], guidance: float | None = None) -> np.ndarray:
        """Pictures (n, 128, 128, 3) uint8, prompt i painted from seed 42 + i, told as the stage `what`.

        guidance: the model's own where none is given.

        Raises Interrupted when asked to stop.
        """
        from limner.engine.generate.sampling import paint
        from limner.models.conditioning import conditioning

        sampling: dict[str, Any] = self.sampling if guidance is None else self.sampling | {"guidance": guidance}
        self.listener(Stage(name=what, total=len(prompts) * sampling["steps"]))

        def on_step(done: int) -> None:
            self.listener(Progress(done=done))
            if self.stop():
                raise Interrupted("stopped")

        pictures = paint(
            self.pipeline,
            conditioning(self.family, self.components, prompts),
            range(SEED, SEED + len(prompts)),
            **sampling,
            height=SIDE,
            width=SIDE,
            batch=BATCH,
            on_step=on_step,
        )
        return np.stack(list(pictures))
