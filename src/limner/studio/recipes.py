"""Recipes that come with Limner, as the pages offer them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

RECIPES = Path(__file__).parents[1] / "recipes"


@cache
def shipped_recipe(name: str) -> MappingProxyType[str, Any]:
    """The fields of the only request of a recipe."""
    import yaml

    return MappingProxyType(yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8")))
