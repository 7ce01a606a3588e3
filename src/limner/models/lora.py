"""Low-rank updates of layers, by way of PEFT: attached to learn, written to files, merged to paint."""

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
from limner.core.protocols import Components, Facts, WeightedFile
from limner.models.cache import LruCache
from limner.models.formats.layer_update import Layer, Update
from limner.models.formats.lora_file import LoraFile
from limner.models.options import LoraOptions
from limner.models.pipelines import is_quantised

ADAPTER = "default"
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""Attention of CLIP."""


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
                        f"LoRA cannot learn the layers {', '.join(layers[name])} ({error})", "name other --targets"
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
    """LoRA tensors on the layers that the options name, or on those that suit the model."""
    targets = options.targets or facts.defaults["targets"]
    layers: dict[str, Sequence[str]] = {components.denoiser_name: _layers_of(components, facts, targets)}
    for name in facts.lora_encoders if options.text_encoder else ():
        layers[name] = TEXT_TARGETS
    return LoraLayers(components, layers, options.rank or facts.defaults["rank"], options, seed)


def _layers_of(components: Components, facts: Facts, targets: str) -> Sequence[str]:
    """The name endings of a preset, or those that are listed; a pattern becomes the names of the layers it matches."""
    wished = facts.lora_targets.get(targets) or [part.strip() for part in targets.split(",")]
    able = [
        name
        for name, module in components.denoiser.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    ]
    known = {layer for name in able if (layer := name.rpartition(".")[2]) and not layer.isdigit()}
    layers: list[str] = []
    for listed in wished:
        if "*" in listed:
            found = [name for name in able if fnmatchcase(name, listed)]
        else:
            found = [listed] if any(name == listed or name.endswith("." + listed) for name in able) else []
        if listed and not found and targets not in facts.lora_targets:
            raise unknown("LoRA target", listed, [*facts.lora_targets, *known])
        layers += found
    return layers


def save_lora(learnt: LoraLayers, path: Path, header: Mapping[str, str]) -> None:
    """Write PEFT's names under the part's own, with rank and alpha in the header.

    Not diffusers' older names: its converter knows only the attention layers, and its loader leaves those out of a
    file where both kinds of name stand.
    """
    tensors = {name: tensor.contiguous().cpu() for name, tensor in _tensors(learnt).items()}
    config: dict[str, Any] = {}
    for prefix in learnt.parts:
        told = learnt.configs[prefix]
        config |= {
            f"{prefix}.{name}": value
            for name, value in told.to_dict().items()
            if isinstance(value, (str, int, float, bool, list, dict)) or value is None
        }
        config[f"{prefix}.target_modules"] = sorted(told.target_modules or ())
    save_file(tensors, path, {"format": "pt", "lora_adapter_metadata": json.dumps(config, sort_keys=True), **header})


def _tensors(learnt: LoraLayers) -> dict[str, torch.Tensor]:
    """The learnt tensors by their names in files, as references."""
    return {
        f"{prefix}.{name}": tensor
        for prefix, part in learnt.parts.items()
        for name, tensor in get_peft_model_state_dict(part, adapter_name=ADAPTER).items()
    }


@torch.no_grad()
def restore_lora(learnt: LoraLayers, path: Path) -> None:
    """Read back what `save_lora` wrote; LimnerError where names or shapes are others."""
    saved, ours = load_file(path), _tensors(learnt)
    if {name: t.shape for name, t in saved.items()} != {name: t.shape for name, t in ours.items()}:
        raise _misfit(path)
    for name, tensor in ours.items():
        tensor.copy_(saved[name])


@contextmanager
def lora_applied(pipeline: Any, uses: Sequence[WeightedFile]) -> Iterator[None]:
    """Merge files into a pipeline's weights, so that painting costs nothing extra; afterwards put back the bits.

    Each file adds its weight times what it changes in the base's own weights, so their order does not matter. Rounded
    weights take nothing in: there the files act beside them.
    """
    given: dict[Layer, list[tuple[Update, float]]] = {}
    for use in uses:
        for layer, update in _updates_of(pipeline, use.file):
            if use.weight:
                given.setdefault(layer, []).append((update, use.weight))
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    rounded = {module for part in networks if is_quantised(part) for module in part.modules()}
    with ExitStack() as stack:
        for layer, updates in given.items():
            stack.enter_context((_beside if layer in rounded else _merged)(layer, updates))
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
def _beside(layer: Layer, updates: Sequence[tuple[Update, float]]) -> Iterator[None]:
    """Add to a layer's output what updates of its weight would."""
    acting = [(update.beside(layer), strength) for update, strength in updates]

    def add(layer: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return output + sum(strength * update.added(layer, inputs[0], output) for update, strength in acting)

    hook = layer.register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


BUDGET = 2**30
"""Bytes of adapters' tensors that are kept in memory for each model."""
Updates = list[tuple[Layer, Update]]
_known: WeakKeyDictionary[torch.nn.Module, LruCache[Updates]] = WeakKeyDictionary()


def _updates_of(pipeline: Any, file: Path) -> Updates:
    """A file's updates of the pipeline's layers; they stay in memory with the network that they are for."""
    denoiser = getattr(pipeline, pipeline._lora_loadable_modules[0])
    known = _known.setdefault(denoiser, LruCache(BUDGET, _bytes))
    told = file.stat()
    return known.of((str(file.resolve()), told.st_mtime_ns, told.st_size), lambda: _load(pipeline, file))


def _bytes(updates: Updates) -> int:
    tensors = (tensor for _, update in updates for tensor in update.tensors())
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _load(pipeline: Any, file: Path) -> Updates:
    denoiser = pipeline._lora_loadable_modules[0]
    networks = {
        name: part
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module) and (name == denoiser or name.startswith("text_encoder"))
    }
    return [(layer, update.to(layer.weight.device)) for layer, update in LoraFile(file, networks, denoiser).updates()]


def _misfit(path: Path) -> LimnerError:
    return LimnerError(f"adapter {str(path)!r} does not fit this base model", "use the model that it was trained on")
