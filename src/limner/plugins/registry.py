"""The registry of plugins: built-in ones by file name, third-party ones by entry point, loaded on first use."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, cached_property
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Generic, TypeVar, cast

from limner.core.datasets import Captioner, Detector, Source
from limner.core.errors import LimnerError, unknown
from limner.core.metrics import Metric
from limner.core.moderation import Check
from limner.core.protocols import Alias, Control, Domain, Family, Method

T = TypeVar("T")


@cache
def installed(group: str) -> EntryPoints:
    """The entry points of a group in all installed packages; cached, because it reads a file of each package."""
    return entry_points(group=group)


class PluginGroup(Generic[T]):
    """Plugins of one type: modules with an attribute `plugin`, in a package of Limner or named by an entry point.

    entry_points: the group of third-party entry points, such as `limner.families`. package: the built-in ones.
    """

    def __init__(self, entry_points: str, noun: str, package: str | None = None) -> None:
        self.entry_points = entry_points
        self.noun = noun
        self.package = package or entry_points.replace("limner.", "limner.plugins.", 1)
        self._loaded: dict[str, T] = {}

    @cached_property
    def _built_in(self) -> list[str]:
        package = importlib.import_module(self.package)
        return [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]

    def _third_party(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in installed(self.entry_points)}

    def names(self) -> list[str]:
        """Names of all plugins; loads none."""
        return sorted({*self._built_in, *self._third_party()})

    def check(self, name: str) -> None:
        """Raise LimnerError, with the nearest name, for an unknown name; load no plugin."""
        if name not in self.names():
            raise unknown(self.noun, name, self.names())

    def get(self, name: str) -> T:
        """The plugin of a name; raises LimnerError, with the nearest name, for an unknown one."""
        if name not in self._loaded:
            self.check(name)
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> T:
        point = self._third_party().get(name)
        try:
            module = importlib.import_module(point.value if point else f"{self.package}.{name}")
        except ImportError as error:
            raise LimnerError(f"{self.noun} {name!r} needs a package that is missing: {error}", "install it") from error
        return cast(T, cast(Any, module).plugin)

    def all(self) -> dict[str, T]:
        """All plugins by name."""
        return {name: self.get(name) for name in self.names()}


families: PluginGroup[Family] = PluginGroup("limner.families", "family")
methods: PluginGroup[Method] = PluginGroup("limner.methods", "method")
metrics: PluginGroup[Metric] = PluginGroup("limner.metrics", "metric")
controls: PluginGroup[Control] = PluginGroup("limner.controls", "control")
checks: PluginGroup[Check] = PluginGroup("limner.moderation", "check", "limner.plugins.checks")
sources: PluginGroup[Source] = PluginGroup("limner.sources", "source")
detectors: PluginGroup[Detector] = PluginGroup("limner.detectors", "detector")
captioners: PluginGroup[Captioner] = PluginGroup("limner.captioners", "captioner")


@cache
def aliases() -> dict[str, tuple[str, Alias]]:
    """The aliases of all families: name -> (family name, alias)."""
    return {alias.name: (name, alias) for name, family in families.all().items() for alias in family.aliases}


def load_domain(alias: Alias | None) -> Domain | None:
    """The domain of a model with an alias; None for models of all kinds of images."""
    return None if alias is None or alias.domain is None else importlib.import_module(alias.domain).domain


def family_of_pipeline(class_name: str) -> str | None:
    """The family that uses a diffusers pipeline class, as named in `model_index.json`; None for an unknown one."""
    return next((name for name, family in families.all().items() if class_name in family.facts.pipelines), None)
