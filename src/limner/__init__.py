"""Limner: teach a text-to-image diffusion model a subject from a few pictures, and make new pictures of it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.core.errors import Interrupted, LimnerError
    from limner.core.requests import (
        AdapterUse,
        CompareRequest,
        GenerateRequest,
        InfluenceRequest,
        PrepareRequest,
        SweepRequest,
        TrainRequest,
    )
    from limner.studio.studio import Studio

# GNU OpenMP's threads spin for milliseconds when they wait for each other, which beside other work on the same cores
# makes a step take ten times as long (benchmarks/busy.py). It reads this when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

__all__ = [
    "AdapterUse",
    "CompareRequest",
    "GenerateRequest",
    "InfluenceRequest",
    "Interrupted",
    "LimnerError",
    "PrepareRequest",
    "Studio",
    "SweepRequest",
    "TrainRequest",
]

_MODULES = {"Studio": ".studio.studio", "Interrupted": ".core.errors", "LimnerError": ".core.errors"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, ".core.requests"), __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
