"""Reading LoRA files of any layout as updates of a model's layers; a tensor that is not used is an error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limner.core.errors import LimnerError
from limner.models.lora_layouts import (
    DENOISER,
    LayerNames,
    canonical,
    is_whole_update,
    method_of,
    part_of,
    places,
    split,
)
from limner.models.lora_update import Layer, Update
from limner.models.options import OVERFLOWED
from limner.models.tensor_files import open_tensors

Layers = Mapping[str, Layer]
"""A network's linear and convolution layers by their names."""

LARGEST = 1e9
"""Upper bound of alphas and ranks in a header."""


@dataclass
class TensorGroup:
    """Tensors of a file that share a layer's name, by role. names: their names in the file, by role."""

    part: str
    layer: str
    place: LayerNames
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


class Scales:
    """Scales in the header of a PEFT file, for one part of the pipeline.

    Layers have their names in the file. Methods raise ValueError for invalid values in the header.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.ranks, self.alphas = (_exceptions(config, name) for name in ("rank_pattern", "alpha_pattern"))

    def of(self, layer: str, rank: int) -> float:
        """Return alpha / rank, or alpha / sqrt(rank) with rsLoRA (arXiv 2312.03732); 1 without a header."""
        if self._number("r", self.ranks, layer, rank) != rank:
            raise ValueError(f"a rank that is not that of the tensors, {rank}, for the layer {_quoted(layer)}")
        alpha = self._number("lora_alpha", self.alphas, layer, rank)
        return alpha / (math.sqrt(rank) if self.config.get("use_rslora") is True else rank)

    def check(self, layers: Iterable[str]) -> None:
        """Refuse ranks and alphas of layers that are not in the file."""
        known = {ending for layer in layers for ending in _endings(layer)}
        unknown = [name for name in (*self.ranks, *self.alphas) if name not in known]
        if unknown:
            raise ValueError(f"ranks or alphas for layers that are not in the file ({_first(unknown)})")

    def _number(self, name: str, exceptions: Mapping[str, Any], layer: str, default: float) -> float:
        matching = {ending for ending in _endings(layer) if ending in exceptions}
        value = self.config.get(name, default)
        if matching:  # the first match in the table is used, as in PEFT
            value = next(value for ending, value in exceptions.items() if ending in matching)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -LARGEST < value < LARGEST:
            raise ValueError(f"no valid number as {name!r} for the layer {_quoted(layer)}")
        return value


def _exceptions(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = config.get(name) or {}
    if not isinstance(table, dict):
        raise ValueError(f"no table as {name!r}")
    return {pattern.removeprefix("^").removesuffix("$").replace("\\.", "."): value for pattern, value in table.items()}


def _endings(layer: str) -> list[str]:
    """Return a layer's name and its endings, which PEFT's tables use."""
    parts = layer.split(".")
    return [".".join(parts[index:]) for index in range(len(parts))]


class LoraFile:
    """A LoRA file, and the networks of a pipeline that it is read for, by name. denoiser: name of the denoiser."""

    def __init__(self, file: Path, networks: Mapping[str, nn.Module], denoiser: str) -> None:
        self.file = file
        self.layers: dict[str, Layers] = {
            (DENOISER if name == denoiser else name): {
                path: module
                for path, module in network.named_modules()
                if isinstance(module, (nn.Linear, nn.Conv2d)) and path
            }
            for name, network in networks.items()
        }
        self.denoiser = denoiser

    def updates(self) -> list[tuple[Layer, Update]]:
        """Return the update of each layer; raise LimnerError unless every tensor is used."""
        with open_tensors(self.file, f"adapter {str(self.file)!r}", "copy or train it again", "pt") as opened:
            header = opened.metadata() or {}
            names: list[str] = list(opened.keys())
            tensors = {name: opened.get_tensor(name) for name in names}
        groups = self._groups(tensors)
        self._check_numbers(tensors)
        scales = self._scales(header, groups)
        self._check_whole(groups, scales)
        updates: dict[tuple[str, str], Update] = {}
        for group in groups:
            for layer, update in self._split(group, scales.get(group.part, Scales({}))):
                if (group.part, layer) in updates:
                    raise self._broken(f"changes the layer {layer!r} twice")
                updates[group.part, layer] = update
        return [(self.layers[part][layer], update) for (part, layer), update in updates.items()]

    def _groups(self, tensors: Mapping[str, torch.Tensor]) -> list[TensorGroup]:
        """Group the file's tensors by layer; raise LimnerError if some belong to no layer."""
        known = {part: places(tuple(layers)) for part, layers in self.layers.items()}
        groups: dict[tuple[str, str], TensorGroup] = {}
        unused: dict[str, str] = {}
        for name, tensor in tensors.items():
            stem, role = split(name) or (name, "")
            part, rest = part_of(stem)
            place = known.get(part, {}).get(canonical(rest)) if role else None
            if place is None:
                unused[name] = stem
                continue
            group = groups.setdefault((part, canonical(rest)), TensorGroup(part, rest, place))
            if role in group.tensors:
                raise self._broken(
                    f"contains both {_quoted(group.names[role])} and {_quoted(name)}, which are for the same layer"
                )
            group.tensors[role], group.names[role] = tensor, name
        # some converters write updates of zeros for layers that the model does not have
        zero = {stem for name, stem in unused.items() if is_whole_update(name) and not tensors[name].any()}
        if unused := {name: stem for name, stem in unused.items() if stem not in zero}:
            raise self._unused(list(unused), len(tensors))
        return list(groups.values())

    def _check_numbers(self, tensors: Mapping[str, torch.Tensor]) -> None:
        bad = [name for name, tensor in tensors.items() if tensor.is_complex() or not tensor.float().isfinite().all()]
        if bad:
            raise LimnerError(
                f"adapter {str(self.file)!r} contains numbers that are not finite (NaN or infinity) in {_listed(bad)}",
                OVERFLOWED,
            )

    def _scales(self, header: Mapping[str, str], groups: Sequence[TensorGroup]) -> Mapping[str, Scales]:
        """Return the scales of each part that PEFT's configuration in the header names."""
        try:
            config = json.loads(header.get("lora_adapter_metadata") or "{}")
            if not isinstance(config, dict):
                raise ValueError("not a table")
        except (ValueError, RecursionError) as error:
            raise self._broken("has a header whose 'lora_adapter_metadata' cannot be read") from error
        parts: dict[str, dict[str, Any]] = {}
        for name, value in config.items():
            part, _, option = name.partition(".")
            parts.setdefault(DENOISER if part == self.denoiser else part, {})[option] = value
        try:
            scales = {part: Scales(options) for part, options in parts.items()}
            for part, own in scales.items():
                own.check(group.layer for group in groups if group.part == part)
        except ValueError as error:
            raise self._broken(f"has a header with {error}") from error
        return scales

    def _check_whole(self, groups: Sequence[TensorGroup], scales: Mapping[str, Scales]) -> None:
        if not groups:
            raise self._broken("contains no tensors")
        missing = []
        for group in groups:
            wanted = ["down", "up"]
            if (own := scales.get(group.part)) and own.config.get("use_dora") is True:
                wanted.append("magnitude")
            first = next(iter(group.names.values()))
            missing += [f"{role!r} for {first}" for role in wanted if role not in group.tensors]
        if missing:
            raise self._broken(f"lacks {_listed(missing)}")

    def _split(self, group: TensorGroup, scales: Scales) -> list[tuple[str, Update]]:
        """Split a group into updates of the layers that its name stands for."""
        names = group.place.layers
        weights = [_shape(self.layers[group.part][name]) for name in names]
        rows = [shape[0] for shape in weights]
        up, down, magnitude = self._fitted(group, (sum(rows), *weights[0][1:]))
        rank = down.shape[0]
        scale = self._scale(group, scales, rank)
        if group.place.swapped:
            up = up.roll(len(up) // 2, 0)
            magnitude = magnitude if magnitude is None or len(magnitude) == 1 else magnitude.roll(len(up) // 2, 0)
        ups = up.split(rows)
        if magnitude is None:
            magnitudes: Sequence[torch.Tensor | None] = [None] * len(names)
        elif len(magnitude) == len(up):
            magnitudes = magnitude.split(rows)
        elif len(names) == 1:
            magnitudes = [magnitude]
        else:
            raise LimnerError(
                f"adapter {str(self.file)!r} has DoRA's norms by input in {_quoted(_dora(group))}, which cannot be "
                f"split between {', '.join(names)}",
                "use a version with norms by output, or one without DoRA",
            )
        return [
            (name, Update(up, down, scale, magnitude))
            for name, up, magnitude in zip(names, ups, magnitudes, strict=True)
        ]

    def _scale(self, group: TensorGroup, scales: Scales, rank: int) -> float:
        """Return the file's own alpha / rank, or else the scale in the header."""
        if (alpha := group.tensors.get("alpha")) is not None:
            if alpha.numel() != 1:
                raise self._wrong_shape(group.names["alpha"], alpha, "a single number")
            return alpha.item() / rank
        try:
            return scales.of(group.layer, rank)
        except ValueError as error:
            raise self._broken(f"has a header with {error}") from error

    def _fitted(
        self, group: TensorGroup, shape: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return up (out, rank), down (rank, ...) and DoRA's norms for a weight of a shape (out, ...)."""
        tensors, names = group.tensors, group.names
        up, down, mid = tensors["up"], tensors["down"], tensors.get("mid")
        for role in ("up", "down", "mid"):
            if role in tensors and not (tensors[role].is_floating_point() and tensors[role].ndim in (2, 4)):
                raise self._wrong_shape(names[role], tensors[role], "a matrix of real numbers")
        if len(up) != shape[0]:
            raise self._wrong_shape(names["up"], up, f"({shape[0]}, {len(down)})", fits=False)
        if up.shape[2:].numel() != 1 or down.shape[0] != up.shape[1] or not len(down):
            raise self._wrong_shape(names["up"], up, f"({shape[0]}, {len(down)})")
        up = up.flatten(1)
        if mid is not None:  # LyCORIS' Tucker form: a 1 x 1 convolution before one of the layer's size
            if mid.shape != (wanted := (len(down), len(down), *shape[2:])):
                raise self._wrong_shape(names["mid"], mid, str(wanted), fits=False)
            if _squeezed(down.shape) != (len(down), shape[1]):
                raise self._wrong_shape(names["down"], down, str((len(down), shape[1])), fits=False)
            down = torch.einsum("ij...,jr->ir...", mid.float(), down.flatten(1).float())
        wanted = (len(down), *shape[1:])
        if _squeezed(down.shape) != _squeezed(wanted):
            raise self._wrong_shape(names["down"], down, str(wanted), fits=False)
        return up, down.reshape(wanted), self._magnitude(group, shape)

    def _magnitude(self, group: TensorGroup, shape: Sequence[int]) -> torch.Tensor | None:
        """Return DoRA's norms in LyCORIS' shape: (out, 1, ...) or (1, in, ...).

        PEFT writes (out,), or (1, out, 1, 1) for convolutions.
        """
        if not (name := _dora(group)):
            return None
        norms = group.tensors["magnitude" if "magnitude" in group.tensors else "dora_scale"]
        ones = (1,) * (len(shape) - 2)
        rows, columns = (shape[0], 1, *ones), (1, shape[1], *ones)
        if "magnitude" in group.tensors and "dora_scale" in group.tensors:
            raise self._broken(f"contains two norms for one layer, such as {_quoted(name)}")
        if not norms.is_floating_point():
            raise self._wrong_shape(name, norms, "real numbers")
        if "magnitude" in group.tensors:
            if norms.shape in ((shape[0],), (1, shape[0], *ones)):
                return norms.reshape(rows)
        elif norms.ndim in (2, len(shape)) and _squeezed(norms.shape) in (rows[:2], columns[:2]):
            return norms.reshape(rows if _squeezed(norms.shape) == rows[:2] else columns)
        raise self._wrong_shape(name, norms, f"{rows} or {columns}", fits=False)

    def _unused(self, names: Sequence[str], total: int) -> LimnerError:
        methods = {method: name for name in reversed(names) if (method := method_of(name))}
        if methods:
            method, name = min(methods.items())
            return LimnerError(
                f"adapter {str(self.file)!r} contains {method}, which is not supported: {_listed(names)} of {total}, "
                f"such as {_quoted(name)}",
                "use a LoRA or DoRA of the same subject",
            )
        return LimnerError(
            f"adapter {str(self.file)!r} does not fit this base model: {len(names)} of its {total} tensors belong to "
            f"no layer of the model ({_first(names)})",
            "use the model that it was trained on",
        )

    def _wrong_shape(self, name: str, tensor: torch.Tensor, wanted: str, fits: bool = True) -> LimnerError:
        shape = f"{_quoted(name)} is {str(tuple(tensor.shape))[:80]}, and must be {wanted}"
        if fits:
            return self._broken(f"is damaged: {shape}")
        return LimnerError(
            f"adapter {str(self.file)!r} does not fit this base model: {shape}", "use the model that it was trained on"
        )

    def _broken(self, problem: str) -> LimnerError:
        return LimnerError(f"adapter {str(self.file)!r} {problem}", "download, export or train it again")


def _dora(group: TensorGroup) -> str | None:
    """Return the name of the tensor with DoRA's norms."""
    return group.names.get("magnitude") or group.names.get("dora_scale")


def _shape(layer: Layer) -> tuple[int, ...]:
    """Return the shape of a layer's weight before it was quantised."""
    if isinstance(layer, nn.Conv2d):
        return (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
    return (layer.out_features, layer.in_features)


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without the kernel size of a 1 x 1 convolution."""
    return tuple(shape[:2]) if all(size == 1 for size in shape[2:]) else tuple(shape)


def _quoted(name: str | None) -> str:
    return repr((name or "")[:120])


def _first(names: Sequence[str]) -> str:
    return ", ".join(name[:120] for name in names[:3]) + (", ..." if len(names) > 3 else "")


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} tensor{'s' * (len(names) != 1)} ({_first(names)})"
