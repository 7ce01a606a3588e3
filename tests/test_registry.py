"""Plugins by name: built in by file, third party by entry point, unknown ones with the nearest name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, Need, Score
from limner.core.protocols import Family, Method
from limner.imaging.decode import open_image
from limner.plugins import registry


@pytest.fixture
def third_party(monkeypatch):
    """Installs a module as a plugin of a group, as a package with that entry point would."""
    points: list[EntryPoint] = []

    def install(group: str, name: str, module: str, plugin: object | None) -> None:
        if plugin is not None:
            made = ModuleType(module)
            made.plugin = plugin  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, module, made)
        points.append(EntryPoint(name, module, group))

    monkeypatch.setattr(registry, "installed", lambda group: EntryPoints(points).select(group=group))
    registry.aliases.cache_clear()
    yield install
    registry.aliases.cache_clear()


def test_built_in_names_are_file_names():
    assert {"sd", "sdxl"} <= set(registry.families.names())
    assert "lora" in registry.methods.names()


def test_plugins_satisfy_their_protocols():
    assert all(isinstance(plugin, Family) for plugin in registry.families.all().values())
    assert all(isinstance(plugin, Method) for plugin in registry.methods.all().values())


def test_a_plugin_loads_once():
    assert registry.families.get("sd") is registry.families.get("sd")


@pytest.mark.parametrize(("wrong", "nearest"), [("sdx", "sdxl"), ("SDXL", "sdxl"), ("ssd", "sd")])
def test_unknown_family_gives_the_nearest(wrong, nearest):
    with pytest.raises(LimnerError, match=f"unknown family '{wrong}'; did you mean '{nearest}'"):
        registry.families.get(wrong)


def test_unknown_method_gives_the_nearest():
    with pytest.raises(LimnerError, match="unknown method 'lorra'; did you mean 'lora'"):
        registry.methods.get("lorra")


def test_a_name_like_no_other_lists_all():
    with pytest.raises(LimnerError, match=r"unknown method 'qqqqqq'; choose one of: .*lora"):
        registry.methods.get("qqqqqq")


@pytest.mark.parametrize("hostile", ["", "..", "../core", "os", "sd.plugin", "__init__", "sd\n"])
def test_only_known_names_are_imported(hostile):
    with pytest.raises(LimnerError, match="unknown family"):
        registry.families.get(hostile)


def test_third_party_plugin_by_entry_point(third_party):
    plugin = SimpleNamespace(facts=None)
    third_party("limner.methods", "magic", "limner_magic", plugin)
    assert "magic" in registry.methods.names()
    group = registry.PluginGroup("limner.methods", "method")
    assert group.get("magic") is plugin
    assert "lora" in group.names()


def test_third_party_family_brings_aliases(third_party, monkeypatch):
    facts = SimpleNamespace(pipelines=("MagicPipeline",))
    alias = registry.Alias("magic-1", "someone/magic", "mit", 1.0)
    third_party("limner.families", "magic", "limner_magic", SimpleNamespace(facts=facts, aliases=(alias,)))
    monkeypatch.setattr(registry, "families", registry.PluginGroup("limner.families", "family"))
    assert registry.aliases()["magic-1"] == ("magic", alias)
    assert registry.family_of_pipeline("MagicPipeline") == "magic"
    assert registry.family_of_pipeline("StableDiffusionPipeline") == "sd"
    assert registry.family_of_pipeline("NoSuchPipeline") is None


def test_a_plugin_with_a_missing_package_is_told(third_party):
    third_party("limner.methods", "magic", "limner_no_such_package", None)
    with pytest.raises(LimnerError, match=r"method 'magic' needs a package that is missing.*limner_no_such_package"):
        registry.PluginGroup("limner.methods", "method").get("magic")


def test_aliases_name_their_family():
    aliases = registry.aliases()
    assert {"starter", "sd15", "sdxl"} <= aliases.keys()
    assert aliases["sdxl"][0] == "sdxl"
    for name, (family, alias) in aliases.items():
        assert alias.name == name and alias.licence, family


class Redness:
    """A metric of a third party: the mean red of an image, 0 to 255."""

    title, about, better, unit = "redness", "mean of the red channel", None, "picture"
    needs, model, named = frozenset[Need](), None, False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return lambda images: np.array([np.asarray(open_image(path))[..., 0].mean() for path in images.paths])


def test_a_new_metric_needs_no_other_change(third_party, limner, tmp_path):
    third_party("limner.metrics", "redness", "limner_redness", Redness())
    for number, red in enumerate((10, 30)):
        Image.new("RGB", (64, 64), (red, 200, 0)).save(tmp_path / f"{number}.png")
    assert limner("evaluate", tmp_path, "--metric", "redness", "--out", tmp_path / "out").code == 0
    scores = json.loads((tmp_path / "out" / "report.json").read_text())["scores"]
    assert list(scores) == ["redness"] and scores["redness"]["values"] == [10, 30]
