"""Optimisers by name. Those of other packages are imported when they are used."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import torch

from limner.core.errors import LimnerError


@dataclass(frozen=True)
class Optimiser:
    """Where an optimiser is and how it is built.

    rate: the learning rate that it is made for, where it finds its own. package: the one that pip installs it with.
    """

    module: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rate: float | None = None
    package: str | None = None


OPTIMISERS = {
    "adamw": Optimiser("torch.optim", "AdamW", {"foreach": True}),
    "adamw8bit": Optimiser("bitsandbytes.optim", "AdamW8bit", package="bitsandbytes"),
    "prodigy": Optimiser(
        "prodigyopt",
        "Prodigy",
        {"decouple": True, "use_bias_correction": True, "safeguard_warmup": True},
        rate=1.0,
        package="prodigyopt",
    ),
    "adafactor": Optimiser("torch.optim", "Adafactor"),
}
"""AdamW (arXiv 1711.05101), AdamW in eight bits (arXiv 2110.02861), Prodigy (arXiv 2306.06101) with the settings that
its authors advise for diffusion models, and Adafactor (arXiv 1804.04235).
"""


def check_optimiser(name: str) -> None:
    """Raise LimnerError for an optimiser whose package is not installed."""
    _class_of(name)


def check_rates(name: str, groups: Mapping[str, Sequence[torch.nn.Parameter]], rates: Mapping[str, float]) -> None:
    """Raise LimnerError for several learning rates where the optimiser finds its own."""
    used = {rates[kind] for kind, parameters in groups.items() if parameters}
    if OPTIMISERS[name].rate is not None and len(used) > 1:
        raise LimnerError(
            f"optimiser {name!r} finds one learning rate for all parameters, and {len(used)} are given",
            "leave out --text-learning-rate",
        )


def build_optimiser(
    name: str, groups: Mapping[str, Sequence[torch.nn.Parameter]], rates: Mapping[str, float], weight_decay: float
) -> torch.optim.Optimizer:
    """An optimiser of groups of parameters. Each group's rate is also its `scale`, in multiples of the first rate."""
    first = next(iter(rates.values()))
    built = [
        {"params": list(parameters), "lr": rates[kind], "scale": rates[kind] / first}
        for kind, parameters in groups.items()
        if parameters
    ]
    with redirect_stdout(io.StringIO()):  # Prodigy prints to stdout, which is for results
        return _class_of(name)(built, weight_decay=weight_decay, **OPTIMISERS[name].options)


def _class_of(name: str) -> Any:
    known = OPTIMISERS[name]
    try:
        return getattr(importlib.import_module(known.module), known.name)
    except ImportError as error:
        raise LimnerError(
            f"optimiser {name!r} needs a package that is missing: {error}", f"pip install {known.package}"
        ) from error
