"""Low-rank adaptation: a frozen weight W plus a learnt (alpha / rank) B A (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from ..core.errors import LimnerError, unknown
from ..core.protocols import Components, Facts
from ..core.requests import Frozen

if TYPE_CHECKING:
    import torch

ADAPTER = "default"
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")


class Options(Frozen):
    """Options of LoRA; None means what suits the model."""

    rank: int | None = Field(None, ge=1, le=1024, description="Rank of the update (default: what suits the model).")
    alpha: float | None = Field(
        None, gt=0, le=4096, description="Scale; the update counts alpha / rank (default: rank)."
    )
    targets: str | None = Field(
        None,
        min_length=1,
        description="Layers: a preset (attention, transformer, all) or name endings separated by commas.",
    )
    text_encoder: bool = Field(False, description="Teach the text encoders too.")


class Attached:
    """LoRA tensors on parts of a model, by way of PEFT. endings: name endings of the layers, by the part's name."""

    def __init__(
        self, components: Components, rank: int, alpha: float, endings: Mapping[str, tuple[str, ...]], seed: int
    ) -> None:
        import torch
        from peft import LoraConfig

        self.parts: dict[str, Any] = {name: components.parts[name] for name in endings}
        self.configs = {
            name: LoraConfig(
                r=rank, lora_alpha=cast(int, alpha), target_modules=list(layers), init_lora_weights="gaussian"
            )
            for name, layers in endings.items()
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, part in self.parts.items():
                try:
                    part.add_adapter(self.configs[name], adapter_name=ADAPTER)
                except ValueError as error:
                    raise LimnerError(
                        f"no layer of the model matches the LoRA targets {', '.join(endings[name])}: {error}"
                    ) from error
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self.state().values())  # type: ignore[arg-type]

    def state(self) -> dict[str, torch.Tensor]:
        return {
            f"{prefix}.{name}": parameter
            for prefix, part in self.parts.items()
            for name, parameter in part.named_parameters()
            if ".lora_" in name
        }

    @contextmanager
    def untaught(self) -> Iterator[None]:
        from peft.tuners.tuners_utils import BaseTunerLayer

        layers = [m for part in self.parts.values() for m in part.modules() if isinstance(m, BaseTunerLayer)]
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)

    def detach(self) -> None:
        from diffusers.utils.peft_utils import recurse_remove_peft_layers

        for part in self.parts.values():
            recurse_remove_peft_layers(part)
            if hasattr(part, "peft_config"):
                del part.peft_config
            part._hf_peft_config_loaded = False


class Lora:
    Options = Options

    def teaches_text(self, options: Any) -> bool:
        return options.text_encoder

    def attach(self, components: Components, facts: Facts, options: Any, seed: int) -> Attached:
        rank = options.rank or facts.defaults["rank"]
        targets = options.targets or facts.defaults["targets"]
        if targets in facts.lora_targets:
            endings = facts.lora_targets[targets]
        else:
            endings = tuple(part.strip() for part in targets.split(",") if part.strip())
            names = [name for name, _ in components.denoiser.named_modules()]
            layers = {layer for name in names if (layer := name.rpartition(".")[2]) and not layer.isdigit()}
            for ending in endings:
                if not any(name == ending or name.endswith("." + ending) for name in names):
                    raise unknown("LoRA target", ending, [*facts.lora_targets, *layers])
        taught = {components.denoiser_name: endings}
        if options.text_encoder:
            taught |= {name: TEXT_TARGETS for name in components.parts if name.startswith("text_encoder")}
        return Attached(components, rank, options.alpha or float(rank), taught, seed)

    def save(self, trainable: Attached, path: Path, header: Mapping[str, str]) -> None:
        """Write PEFT's names under the part's own, with rank and alpha in the header.

        Not diffusers' older names: its converter knows only the attention layers, and its loader leaves those out of a
        file where both kinds of name stand.
        """
        from peft.utils import get_peft_model_state_dict
        from safetensors.torch import save_file

        tensors: dict[str, torch.Tensor] = {}
        config: dict[str, Any] = {}
        for prefix, part in trainable.parts.items():
            state = get_peft_model_state_dict(part, adapter_name=ADAPTER)
            tensors |= {f"{prefix}.{name}": tensor.contiguous().cpu() for name, tensor in state.items()}
            told = trainable.configs[prefix]
            config |= {
                f"{prefix}.{name}": value
                for name, value in told.to_dict().items()
                if isinstance(value, (str, int, float, bool, list, dict)) or value is None
            }
            config[f"{prefix}.target_modules"] = sorted(told.target_modules or ())
        save_file(
            tensors, path, {"format": "pt", "lora_adapter_metadata": json.dumps(config, sort_keys=True), **header}
        )

    def load(self, pipeline: Any, path: Path, name: str) -> None:
        try:
            pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name)
            if not any(name in names for names in pipeline.get_list_adapters().values()):
                raise ValueError("the file holds no layer of this model")
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LimnerError(
                f"adapter {str(path)!r} does not fit this base model",
                "use the model that it was trained on: see `base` in its header or model card",
            ) from error


plugin = Lora()
