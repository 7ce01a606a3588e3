"""Limner: teach a text-to-image diffusion model a subject from a few pictures, and make new pictures of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.errors import Interrupted, LimnerError
    from .core.requests import (
        AdapterUse,
        CompareRequest,
        GenerateRequest,
        InfluenceRequest,
        SweepRequest,
        TrainRequest,
    )
    from .studio import Studio

__all__ = [
    "AdapterUse",
    "CompareRequest",
    "GenerateRequest",
    "InfluenceRequest",
    "Interrupted",
    "LimnerError",
    "Studio",
    "SweepRequest",
    "TrainRequest",
]

_ROOMS = {"Studio": ".studio", "Interrupted": ".core.errors", "LimnerError": ".core.errors"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_ROOMS.get(name, ".core.requests"), __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
