"""Limner: teach a text-to-image diffusion model a subject from a few pictures, and make new pictures of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .core.errors import Interrupted, LimnerError
from .core.requests import AdapterUse, GenerateRequest, TrainRequest

if TYPE_CHECKING:
    from .studio import Studio

__all__ = ["AdapterUse", "GenerateRequest", "Interrupted", "LimnerError", "Studio", "TrainRequest"]


def __getattr__(name: str) -> Any:
    if name == "Studio":
        from .studio import Studio

        return Studio
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
