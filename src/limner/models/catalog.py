"""The models that have names: what they need, whether they are on disk, and fetching them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made
from limner.models import hub, loading
from limner.models.downloads import fetching
from limner.models.logging import hush
from limner.plugins import registry


@dataclass(frozen=True)
class Entry:
    """A named model. gigabytes: to fetch. memory: gigabytes of a GPU. place: where it is on disk, None if it is not."""

    name: str
    family: str
    reference: str
    gigabytes: float
    memory: float
    licence: str
    place: Path | None


def library() -> list[Entry]:
    """All named models, in order of what they need."""
    entries = []
    for name, (family, alias) in registry.aliases().items():
        model = loading.resolve(name)
        place = model.on_disk()
        entries.append(Entry(name, family, alias.reference, alias.gigabytes, alias.memory, alias.licence, place))
    return sorted(entries, key=lambda entry: (entry.gigabytes, entry.name))


def fetch(reference: str, emit: Emit) -> Path:
    """Bring a model from the Hugging Face hub onto this machine, where the hub's own cache is; returns the place.

    What is there already stays; a fetching that was cut off goes on. Only what painting in half precision needs is
    fetched, and only safetensors.
    """
    hush()
    named = registry.aliases().get(reference)
    with hub.errors_told(reference, location=named and named[1].reference), fetching(emit) as bar:
        if named is None:
            _single(reference, bar)  # of what kind a file is, is seen in it
        model = loading.resolve(reference)
        loading.tell_terms(model, emit)
        place = Path(_single(model.location, bar) or _pipeline(model.location))
        if model.vae is not None and not Path(model.vae).exists():
            _snapshot(model.vae, bar, "*.json", "*.safetensors")
        if model.alias is not None and model.alias.config is not None:
            _snapshot(model.alias.config, bar, "*.json", "*.txt")
    if not model.fingerprints():
        raise LimnerError(f"model {reference!r} has no safetensors weights", "choose a version of it in safetensors")
    emit(Made(what=ArtifactKind.MODEL, path=str(place), sha256=sorted(model.fingerprints())[0]))
    return place


def _single(location: str, bar: type) -> str | None:
    """Where a file on the hub now is, None for a location that is none."""
    from huggingface_hub import hf_hub_download

    single = hub.file_of(location)
    return hf_hub_download(*single, tqdm_class=bar) if single else None


def _pipeline(repository: str) -> str:
    """The files of a diffusers repository that loading it in half precision takes; a path here is its own place."""
    if Path(repository).exists():
        return repository
    from diffusers import DiffusionPipeline

    options: dict[str, Any] = {"use_safetensors": True}
    try:
        return str(DiffusionPipeline.download(repository, variant="fp16", **options))
    except ValueError:  # it has no files of that variant
        return str(DiffusionPipeline.download(repository, **options))


def _snapshot(repository: str, bar: type, *patterns: str) -> str:
    from huggingface_hub import snapshot_download

    with hub.errors_told(repository):
        return snapshot_download(repository, allow_patterns=list(patterns), tqdm_class=bar)
