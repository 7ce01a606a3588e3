"""Limner: train a text-to-image diffusion model on a subject from a few images, then generate new images of it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from limner.core.kinds import KINDS

if TYPE_CHECKING:
    from limner.core.errors import Interrupted as Interrupted
    from limner.core.errors import LimnerError as LimnerError
    from limner.core.execution import Execution as Execution
    from limner.core.requests import *  # noqa: F403
    from limner.core.requests import AdapterUse as AdapterUse
    from limner.studio.studio import Studio as Studio

# GNU OpenMP's threads spin for milliseconds when they wait for each other, which beside other work on the same cores
# makes a step take ten times as long (benchmarks/busy.py). It reads this when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

_MODULES = {
    "AdapterUse": "core.requests",
    "Execution": "core.execution",
    "Interrupted": "core.errors",
    "LimnerError": "core.errors",
    "Studio": "studio.studio",
    **{kind.request_class: f"core.requests.{kind.request.partition(':')[0]}" for kind in KINDS.values()},
}
__all__ = [*_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"limner.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
