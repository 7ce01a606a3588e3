"""The known names of a kind, such as schedulers, for the helps of flags; imports neither torch nor the database."""

from __future__ import annotations

from typing import Any

from limner.core.requests.request import ChoiceKind
from limner.engine.generate.schedulers import SCHEDULERS
from limner.plugins import registry


def choices(of: ChoiceKind) -> list[str]:
    """The known names of a kind, sorted."""
    found = {
        "schedulers": SCHEDULERS.keys,
        "methods": registry.methods.names,
        "models": registry.aliases,
        "metrics": registry.metrics.names,
        "detectors": registry.detectors.names,
        "controls": registry.controls.names,
    }
    return sorted(found[of]())


def model_sides() -> dict[str, int]:
    """The side in pixels that each named model was trained on."""
    return {name: alias.side for name, (_, alias) in registry.aliases().items()}


def method_options(method: str) -> type[Any]:
    """The options model of a training method, whose fields surfaces turn into flags or forms."""
    return registry.methods.get(method).Options
