"""LoRA in memory: attached for training (PEFT), written to files, and merged into weights for generation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from limner.core.errors import LimnerError, unknown
from limner.core.protocols import Components, Facts, WeightedFile, is_text_encoder
from limner.models.cache import LruCache
from limner.models.lora_file import LoraFile
from limner.models.lora_update import Layer, Update
from limner.models.options import LoraOptions
from limner.models.pipelines import is_quantised

ADAPTER = "default"
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""Attention layers of CLIP."""


class LoraLayers:
    """LoRA tensors on parts of a model. layers: names or name endings of the layers, by the part's name."""

    def __init__(
        self, components: Components, layers: Mapping[str, Sequence[str]], rank: int, options: LoraOptions, seed: int
    ) -> None:
        self.denoiser = components.denoiser_name
        self.parts: dict[str, Any] = {name: components.parts[name] for name in layers}
        self.configs = {
            name: LoraConfig(
                r=rank,
                lora_alpha=cast(int, options.alpha or float(rank)),
                use_rslora=options.rslora,
                use_dora=options.dora,
                lora_dropout=options.dropout,
                target_modules=list(endings),
                init_lora_weights="gaussian",
            )
            for name, endings in layers.items()
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, part in self.parts.items():
                try:
                    part.add_adapter(self.configs[name], adapter_name=ADAPTER)
                except ValueError as error:
                    raise LimnerError(
                        f"LoRA cannot be attached to the layers {', '.join(layers[name])} ({error})",
                        "choose other --targets",
                    ) from error
        self._state = {
            f"{prefix}.{name}": parameter
            for prefix, part in self.parts.items()
            for name, parameter in part.named_parameters()
            if ".lora_" in name
        }
        self._layers = [m for part in self.parts.values() for m in part.modules() if isinstance(m, BaseTunerLayer)]
        for parameter in self._state.values():
            parameter.data = parameter.data.float()

    def groups(self) -> dict[str, list[torch.nn.Parameter]]:
        groups: dict[str, list[torch.nn.Parameter]] = {"denoiser": [], "text": []}
        for name, parameter in self._state.items():
            groups["denoiser" if name.startswith(f"{self.denoiser}.") else "text"].append(parameter)
        return groups

    def state(self) -> dict[str, torch.nn.Parameter]:
        return self._state

    def train(self, on: bool) -> None:
        for layer in self._layers:
            layer.lora_dropout.train(on)  # type: ignore[union-attr]

    @contextmanager
    def base_model(self) -> Iterator[None]:
        for layer in self._layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self._layers:
                layer.enable_adapters(True)

    def detach(self) -> None:
        from diffusers.utils.peft_utils import recurse_remove_peft_layers

        for part in self.parts.values():
            recurse_remove_peft_layers(part)
            if hasattr(part, "peft_config"):
                del part.peft_config
            part._hf_peft_config_loaded = False


def attach_lora(components: Components, facts: Facts, options: LoraOptions, seed: int) -> LoraLayers:
    """Attach LoRA tensors to the layers in the options, or to the family's default layers."""
    targets = options.targets or facts.defaults["targets"]
    layers: dict[str, Sequence[str]] = {components.denoiser_name: _layers_of(components, facts, targets)}
    for name in facts.lora_encoders if options.text_encoder else ():
        layers[name] = TEXT_TARGETS
    return LoraLayers(components, layers, options.rank or facts.defaults["rank"], options, seed)


def _layers_of(components: Components, facts: Facts, targets: str) -> Sequence[str]:
    """Return the name endings of a preset or a list; a pattern is replaced by the names of the layers it matches."""
    wanted = facts.lora_targets.get(targets) or [part.strip() for part in targets.split(",")]
    possible = [
        name
        for name, module in components.denoiser.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    ]
    known = {layer for name in possible if (layer := name.rpartition(".")[2]) and not layer.isdigit()}
    layers: list[str] = []
    for target in wanted:
        if "*" in target:
            found = [name for name in possible if fnmatchcase(name, target)]
        else:
            found = [target] if any(name == target or name.endswith("." + target) for name in possible) else []
        if target and not found and targets not in facts.lora_targets:
            raise unknown("LoRA target", target, [*facts.lora_targets, *known])
        layers += found
    return layers


def save_lora(trained: LoraLayers, path: Path, header: Mapping[str, str]) -> None:
    """Write PEFT's tensor names after the part's name, with rank and alpha in the header.

    Not diffusers' older names: its converter supports only the attention layers, and its loader ignores those in a
    file that has both kinds of names.
    """
    tensors = {name: tensor.contiguous().cpu() for name, tensor in _tensors(trained).items()}
    metadata: dict[str, Any] = {}
    for prefix in trained.parts:
        config = trained.configs[prefix]
        metadata |= {
            f"{prefix}.{name}": value
            for name, value in config.to_dict().items()
            if isinstance(value, (str, int, float, bool, list, dict)) or value is None
        }
        metadata[f"{prefix}.target_modules"] = sorted(config.target_modules or ())
    save_file(tensors, path, {"format": "pt", "lora_adapter_metadata": json.dumps(metadata, sort_keys=True), **header})


def _tensors(trained: LoraLayers) -> dict[str, torch.Tensor]:
    """Return the trained tensors by their names in files, as references."""
    return {
        f"{prefix}.{name}": tensor
        for prefix, part in trained.parts.items()
        for name, tensor in get_peft_model_state_dict(part, adapter_name=ADAPTER).items()
    }


@torch.no_grad()
def restore_lora(attached: LoraLayers, path: Path) -> None:
    """Read what `save_lora` wrote; raise LimnerError if names or shapes differ."""
    saved, own = load_file(path), _tensors(attached)
    if {name: t.shape for name, t in saved.items()} != {name: t.shape for name, t in own.items()}:
        raise LimnerError(f"adapter {str(path)!r} does not fit this base model", "use the model that it was trained on")
    for name, tensor in own.items():
        tensor.copy_(saved[name])


@contextmanager
def lora_applied(pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> Iterator[None]:
    """Merge files into a pipeline's weights, so that they cost no time; restore the original bits afterwards.

    Each file adds its weight times its update of the base weights, so their order does not matter. Quantised weights
    cannot be changed: their updates are computed next to the layers.
    """
    by_layer: dict[Layer, list[tuple[Update, float]]] = {}
    for use in uses:
        for layer, update in _updates(pipeline, facts.denoiser, use.file):
            if use.weight:
                by_layer.setdefault(layer, []).append((update, use.weight))
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    quantised = {module for part in networks if is_quantised(part) for module in part.modules()}
    with ExitStack() as stack:
        for layer, updates in by_layer.items():
            stack.enter_context((_hooked if layer in quantised else _merged)(layer, updates))
        yield


@contextmanager
@torch.no_grad()
def _merged(layer: Layer, updates: Sequence[tuple[Update, float]]) -> Iterator[None]:
    """Add updates to a layer's weight."""
    weight, original = layer.weight, layer.weight.detach().cpu().clone()
    try:
        added = sum(strength * update.delta(weight) for update, strength in updates)
        weight.copy_(weight + added)
        yield
    finally:
        weight.copy_(original)


@contextmanager
def _hooked(layer: Layer, updates: Sequence[tuple[Update, float]]) -> Iterator[None]:
    """Add to a layer's output what its updated weight would."""
    separate = [(update.separate(layer), strength) for update, strength in updates]

    def add(layer: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return output + sum(strength * update.added(layer, inputs[0], output) for update, strength in separate)

    hook = layer.register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


BUDGET = 2**30
"""Bytes of adapter tensors that stay in memory for each model."""
Updates = list[tuple[Layer, Update]]
_updates_by_denoiser: WeakKeyDictionary[torch.nn.Module, LruCache[Updates]] = WeakKeyDictionary()


def _updates(pipeline: Any, denoiser: str, file: Path) -> Updates:
    """Return a file's updates of the pipeline's layers; they stay in memory as long as the denoiser."""
    network = pipeline.components[denoiser]
    cache = _updates_by_denoiser.setdefault(network, LruCache(BUDGET, _bytes))
    stat = file.stat()
    key = (str(file.resolve()), stat.st_mtime_ns, stat.st_size)
    return cache.get(key, lambda: _load(pipeline, denoiser, file))


def _bytes(updates: Updates) -> int:
    tensors = (tensor for _, update in updates for tensor in update.tensors())
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _load(pipeline: Any, denoiser: str, file: Path) -> Updates:
    networks = {
        name: part
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module) and (name == denoiser or is_text_encoder(name))
    }
    return [(layer, update.to(layer.weight.device)) for layer, update in LoraFile(file, networks, denoiser).updates()]
