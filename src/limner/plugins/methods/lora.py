"""LoRA: a frozen weight W plus a trained (alpha / rank) B A (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Components, Facts, SubjectWords, WeightedFile
from limner.models.lora_layouts import is_adapter
from limner.models.options import LORA_FILE, LoraOptions, check_text_encoders

if TYPE_CHECKING:
    from limner.models.lora import LoraLayers


class Lora:
    Options = LoraOptions
    makes = "adapter"
    preserves_class = False
    file = LORA_FILE

    def learning_rate(self, lora: float) -> float:
        return lora

    def trains_text(self, options: Any) -> bool:
        return options.text_encoder

    def check(self, facts: Facts, options: Any, subject: SubjectWords) -> None:
        check_text_encoders(facts, options)

    def attach(
        self, components: Components, facts: Facts, options: Any, subject: SubjectWords, seed: int
    ) -> LoraLayers:
        from limner.models.lora import attach_lora

        return attach_lora(components, facts, options, seed)

    def save(self, trainable: LoraLayers, folder: Path, header: Mapping[str, str], base: Callable[[], Any]) -> Path:
        from limner.models.lora import save_lora

        save_lora(trainable, folder / self.file, header)
        return folder / self.file

    def restore(self, trainable: LoraLayers, file: Path) -> None:
        from limner.models.lora import restore_lora

        restore_lora(trainable, file)

    def usage(self, name: str, base: str, facts: Facts, subject: SubjectWords) -> str:
        return f'pipeline = {base}\npipeline.load_lora_weights("{name}")'

    def recognises(self, names: Collection[str]) -> bool:
        return is_adapter(names)

    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> AbstractContextManager[None]:
        from limner.models.lora import lora_applied

        return lora_applied(pipeline, facts, uses)


plugin = Lora()
