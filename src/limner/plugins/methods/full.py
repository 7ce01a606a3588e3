"""Full fine-tuning: every weight of the denoiser learns, and of the text encoders too where that is wished."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, Subject, WeightedFile
from limner.core.requests import Frozen

if TYPE_CHECKING:
    from limner.models.full_weights import FullWeights


class Options(Frozen):
    """Options of full fine-tuning."""

    text_encoder: bool = Field(False, description="Teach the text encoders too.")


class Full:
    Options = Options
    makes = "model"
    preserves_class = False
    file = "limner.json"

    def learning_rate(self, lora: float) -> float:
        """Ruiz et al. 2022 (arXiv 2208.12242) teach all of a model at 5e-6, where LoRA takes 1e-4."""
        return lora / 20

    def trains_text(self, options: Any) -> bool:
        return options.text_encoder

    def check(self, facts: Facts, options: Any, subject: Subject) -> None:
        """Every family has weights."""

    def attach(self, components: Components, facts: Facts, options: Any, subject: Subject, seed: int) -> FullWeights:
        from limner.models.full_weights import FullWeights

        encoders = [name for name, part in components.parts.items() if name.startswith("text_encoder") and part]
        return FullWeights(components, [components.denoiser_name, *(encoders if options.text_encoder else ())])

    def save(self, trainable: FullWeights, folder: Path, header: Mapping[str, str], base: Callable[[], Any]) -> Path:
        """Write a whole diffusers folder, and the header's facts as JSON beside it."""
        from limner.models.full_weights import copy_weights

        pipeline = base()
        copy_weights(pipeline, trainable)
        pipeline.save_pretrained(folder)
        told = {name: value for name, value in header.items() if name != "limner"}
        facts = json.loads(header.get("limner", "{}")) | {"header": told}
        (folder / self.file).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return folder / trainable.components.denoiser_name

    def restore(self, trainable: FullWeights, file: Path) -> None:
        raise _no_adapter(file)

    def usage(self, name: str, base: str, facts: Facts, subject: Subject) -> str:
        return f'pipeline = DiffusionPipeline.from_pretrained("{name}")'

    def recognises(self, names: Collection[str]) -> bool:
        """A model is a folder, not a file."""
        return False

    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> AbstractContextManager[None]:
        raise _no_adapter(uses[0].file)


def _no_adapter(file: Path) -> LimnerError:
    return LimnerError(f"{str(file)!r} is a whole model, not an adapter", "give its folder to --model")


plugin = Full()
