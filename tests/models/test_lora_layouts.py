"""Layouts of LoRA files: found by file name or entry point, each by itself."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest

from limner.models import lora_layouts
from limner.models.lora_layouts import LAYOUTS, LayerNames, Layout, is_adapter, part_of, places, split
from limner.plugins import registry


@pytest.fixture
def dummy_layout(monkeypatch):
    """A layout from another package, which names the first layer of a text encoder "first"."""
    module = ModuleType("limner_dummy_layout")
    module.plugin = Layout(
        parts={"dummy:": "text_encoder"},
        roles={".a": "down", ".b": "up"},
        aliases=lambda layers: [("first", LayerNames((min(layers),)))],
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    points = EntryPoints([EntryPoint("dummy", module.__name__, "limner.lora_layouts")])
    monkeypatch.setattr(registry, "installed", lambda group: points.select(group=group))
    caches = (lora_layouts._all_layouts, places)
    for each in caches:
        each.cache_clear()
    yield
    LAYOUTS._loaded.pop("dummy")
    for each in caches:
        each.cache_clear()


def test_built_in_layouts_are_files():
    assert {"kohya", "peft", "diffusers_old", "comfyui", "black_forest_labs"} <= set(LAYOUTS.names())
    assert all(isinstance(layout, Layout) for layout in LAYOUTS.all().values())


def test_a_new_layout_needs_no_other_change(dummy_layout):
    assert split("dummy:first.a") == ("dummy:first", "down") and is_adapter(["dummy:first.b"])
    assert part_of("dummy:first") == ("text_encoder", "first")
    assert places(("x.z", "x.y"))["first"] == LayerNames(("x.y",))
    assert split("lora_unet_x.lora_up.weight") == ("lora_unet_x", "up"), "the others are still known"


def test_names_of_a_removed_layout_are_unknown():
    assert split("dummy:first.a") is None and "first" not in places(("x.z", "x.y"))
