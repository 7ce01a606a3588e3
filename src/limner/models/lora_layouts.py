"""Names of tensors in LoRA files: the layers that a name stands for, and the role of the tensor.

Each layout is one file in `limner.models.formats`. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from limner.plugins.registry import PluginGroup

DENOISER = "denoiser"


@dataclass(frozen=True)
class LayerNames:
    """Layers that a name stands for; their rows follow each other. swapped: the halves of the rows are exchanged."""

    layers: tuple[str, ...]
    swapped: bool = False


Aliases = Callable[[Collection[str]], Iterable[tuple[str, LayerNames]]]
"""Names of a network's layers in diffusers -> other names, with the layers that each stands for."""


@dataclass(frozen=True)
class Layout:
    """How a tool names the tensors of a LoRA file.

    parts: start of a name -> part of the pipeline, `DENOISER` or a name in diffusers. Names without such a start are
    the denoiser's. roles: end of a name -> role of the tensor: "down", "up", "mid", "alpha", and "magnitude" or
    "dora_scale" (DoRA's norms in PEFT's and in LyCORIS' shape). suffixes: ends of layer names to remove. normalise:
    rewrites a tensor's name first. aliases: other names of layers. other_methods: start of the last part of a name ->
    method other than LoRA, which cannot be applied. updates: ends of tensors, besides those with the role "up", that
    change nothing if they are zero.
    """

    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    suffixes: tuple[str, ...] = ()
    normalise: Callable[[str], str] | None = None
    aliases: Aliases = lambda layers: ()
    other_methods: Mapping[str, str] = field(default_factory=dict[str, str])
    updates: tuple[str, ...] = ()


LAYOUTS: PluginGroup[Layout] = PluginGroup("limner.lora_layouts", "LoRA layout", "limner.models.formats")


@cache
def _all_layouts() -> Layout:
    """Return one layout that recognises the names of all."""
    layouts = list(LAYOUTS.all().values())

    def merged(name: str) -> dict[str, Any]:
        tables = chain.from_iterable(getattr(layout, name).items() for layout in layouts)
        return dict(sorted(tables, key=lambda item: -len(item[0])))

    def normalise(name: str) -> str:
        for layout in layouts:
            name = layout.normalise(name) if layout.normalise else name
        return name

    return Layout(
        merged("parts"),
        merged("roles"),
        tuple(chain.from_iterable(layout.suffixes for layout in layouts)),
        normalise,
        lambda layers: chain.from_iterable(layout.aliases(layers) for layout in layouts),
        merged("other_methods"),
        tuple(chain.from_iterable(layout.updates for layout in layouts)),
    )


def split(name: str) -> tuple[str, str] | None:
    """Split a tensor's name into the layer's name and the role; None if it is not a tensor of a LoRA."""
    layout = _all_layouts()
    assert layout.normalise is not None
    name = layout.normalise(name)
    for ending, role in layout.roles.items():
        if name.endswith(ending):
            return _without_suffix(name.removesuffix(ending), layout.suffixes), role
    return None


def _without_suffix(layer: str, suffixes: Iterable[str]) -> str:
    for suffix in suffixes:
        if layer.endswith(suffix):
            return layer.removesuffix(suffix)
    return layer


def method_of(name: str) -> str | None:
    """Return the method other than LoRA that writes tensors of this name."""
    last = f".{name.rpartition('.')[2]}"
    methods = _all_layouts().other_methods
    return next((method for beginning, method in methods.items() if last.startswith(beginning)), None)


def is_whole_update(name: str) -> bool:
    """Whether a layer's update is zero if the tensor of this name is."""
    layout = _all_layouts()
    return name.endswith((*(ending for ending, role in layout.roles.items() if role == "up"), *layout.updates))


def is_adapter(names: Collection[str]) -> bool:
    """Whether these are tensor names of LoRA, or of a similar method that is refused with its name."""
    return any("." in name and (split(name) or method_of(name)) for name in names)


def part_of(layer: str) -> tuple[str, str]:
    """Split a layer's name into the part of the pipeline and the rest."""
    for prefix, part in _all_layouts().parts.items():
        if layer.startswith(prefix):
            return part, layer.removeprefix(prefix)
    return DENOISER, layer


def canonical(name: str) -> str:
    """Return a layer's name as kohya writes it; names of all layouts are compared in this form."""
    return name.replace(".", "_")


@lru_cache(16)
def places(layers: tuple[str, ...]) -> Mapping[str, LayerNames]:
    """Return all canonical names of the layers of one network, with the layers that each stands for."""
    known = {canonical(name): LayerNames((name,)) for name in layers}
    for alias, place in _all_layouts().aliases(layers):
        known.setdefault(canonical(alias), place)
    return known


def numbered_aliases(
    table: Iterable[tuple[str, tuple[str, ...]]], layers: Collection[str], swapped: Mapping[str, str]
) -> Iterator[tuple[str, LayerNames]]:
    """Return the aliases of a table for the layers of a network.

    table: name in the authors' code, and the layers of diffusers whose rows it holds one after another. "#" stands for
    the number of the block. A line counts for networks that have all of its layers. swapped: name in the authors' code
    -> layer in diffusers, for layers that hold shift and scale in the other order.
    """
    present = set(layers)
    numbers = {number for name in layers for number in re.findall(r"\.(\d{1,4})\.", name)}
    for alias, rows in table:
        for number in numbers if "#" in alias else ("",):
            names = tuple(name.replace("#", number) for name in rows)
            if present.issuperset(names):
                yield alias.replace("#", number), LayerNames(names, swapped.get(alias) == names[0])


def rows_of(block: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the layers of a block whose rows follow each other."""
    return tuple(f"{block}.{name}" for name in names)


Q_K_V = ("to_q", "to_k", "to_v")
ADDED_Q_K_V = ("add_q_proj", "add_k_proj", "add_v_proj")
