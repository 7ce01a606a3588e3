"""Full fine-tuning: all weights of the denoiser are trained, and optionally those of the text encoders."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, SubjectWords, WeightedFile
from limner.core.requests import Frozen

if TYPE_CHECKING:
    from limner.models.full_weights import FullWeights


class FullOptions(Frozen):
    """Options of full fine-tuning."""

    text_encoder: bool = Field(False, description="Train the text encoders too.")


class Full:
    Options = FullOptions
    makes = "model"
    preserves_class = False
    file = "limner.json"

    def learning_rate(self, lora: float) -> float:
        """Ruiz et al. 2022 (arXiv 2208.12242) train a whole model at 5e-6, where LoRA uses 1e-4."""
        return lora / 20

    def trains_text(self, options: Any) -> bool:
        return options.text_encoder

    def check(self, facts: Facts, options: Any, subject: SubjectWords) -> None:
        """Accept every family."""

    def attach(
        self, components: Components, facts: Facts, options: Any, subject: SubjectWords, seed: int
    ) -> FullWeights:
        from limner.models.full_weights import FullWeights

        encoders = components.text_encoders if options.text_encoder else ()
        return FullWeights(components, [components.denoiser_name, *encoders])

    def save(self, trainable: FullWeights, folder: Path, header: Mapping[str, str], base: Callable[[], Any]) -> Path:
        """Write a diffusers folder of the whole model, with the header as a JSON file."""
        from limner.models.full_weights import copy_weights

        pipeline = base()
        copy_weights(pipeline, trainable)
        pipeline.save_pretrained(folder)
        other = {name: value for name, value in header.items() if name != "limner"}
        facts = json.loads(header.get("limner", "{}")) | {"header": other}
        (folder / self.file).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return folder / trainable.components.denoiser_name

    def restore(self, trainable: FullWeights, file: Path) -> None:
        raise _not_an_adapter(file)

    def usage(self, name: str, base: str, facts: Facts, subject: SubjectWords) -> str:
        return f'pipeline = DiffusionPipeline.from_pretrained("{name}")'

    def recognises(self, names: Collection[str]) -> bool:
        """Recognise no file: a model is a folder."""
        return False

    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> AbstractContextManager[None]:
        raise _not_an_adapter(uses[0].file)


def _not_an_adapter(file: Path) -> LimnerError:
    return LimnerError(f"{str(file)!r} is a whole model, not an adapter", "use its folder as --model")


plugin = Full()
