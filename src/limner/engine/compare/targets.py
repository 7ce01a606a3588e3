"""What a contestant is (a model, an adapter without a base model, a folder of images), decided once from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limner.core.errors import LimnerError, unknown
from limner.core.files import expand_home
from limner.core.requests import AdapterUse, Contestant
from limner.models import hub, loading
from limner.models.adapters import open_adapter
from limner.plugins.registry import aliases


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """A model with the adapters that are used with it."""

    model: str
    adapters: tuple[AdapterUse, ...]


@dataclass(frozen=True, slots=True)
class AdapterTarget:
    """One or more adapters, for the model that the first one was trained on."""

    adapters: tuple[AdapterUse, ...]


@dataclass(frozen=True, slots=True)
class ImagesTarget:
    """A folder of images."""

    folder: Path


Target = ModelTarget | AdapterTarget | ImagesTarget


def target_of(contestant: Contestant) -> Target:
    """What a contestant is; raises LimnerError for a name that is neither a model nor something on disk."""
    reference = contestant.model
    if reference is None:
        return AdapterTarget(contestant.adapter)
    if reference in aliases():
        return ModelTarget(reference, contestant.adapter)
    place = expand_home(reference)
    with_adapter = AdapterTarget((AdapterUse(path=reference), *contestant.adapter))
    if place.is_dir():
        if (place / "model_index.json").exists():
            return ModelTarget(reference, contestant.adapter)
        if not contestant.adapter and not any(place.glob("*.safetensors")):
            return ImagesTarget(place)
        return with_adapter
    if place.is_file():
        try:
            loading.resolve(reference)
        except LimnerError:
            open_adapter(reference)
            return with_adapter
        return ModelTarget(reference, contestant.adapter)
    if hub.is_repository(reference) or hub.file_of(reference):
        return ModelTarget(reference, contestant.adapter)
    known = unknown("model", reference, aliases()).remedy
    raise LimnerError(f"{reference!r} is not an adapter, not a folder and not the name of a model", known)
