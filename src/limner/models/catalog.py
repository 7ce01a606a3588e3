"""Named models: what they need, whether they are on disk, and downloading them with progress events."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from limner.core.errors import LimnerError, unknown
from limner.core.events import ArtifactCreated, ArtifactKind, Emit, Progress, Stage
from limner.core.files import expand_home
from limner.models import hub, loading
from limner.models.logging import quiet_libraries
from limner.plugins import registry
from limner.store.files import translate_disk_errors
from limner.store.removal import remove

MEGABYTE = 10**6


@dataclass(frozen=True)
class NamedModel:
    """A model with an alias. gigabytes: of the download. memory: gigabytes of GPU memory. place: on disk, or None.
    terms: a sentence on a licence that restricts its use. gated: whether its licence is accepted before a download.
    """

    name: str
    family: str
    reference: str
    gigabytes: float
    memory: float
    licence: str
    place: Path | None
    terms: str = ""
    gated: bool = False


def list_models() -> list[NamedModel]:
    """Return all named models, smallest download first."""
    models = []
    for name, (family, alias) in registry.aliases().items():
        place = loading.resolve(name).on_disk()
        facts = alias.reference, alias.gigabytes, alias.memory, alias.licence, place, alias.terms or "", alias.gated
        models.append(NamedModel(name, family, *facts))
    return sorted(models, key=lambda model: (model.gigabytes, model.name))


TRAINING = 2
"""Memory for training an adapter, as a multiple of that for generating: a rule of thumb, not measured."""


@dataclass(frozen=True)
class Machine:
    """gpu: gigabytes of the largest GPU, 0 without one. disk: gigabytes that are free for downloads."""

    gpu: float
    disk: float

    @classmethod
    def this(cls) -> Machine:
        """Ask this machine; a GPU that shares the machine's memory may use three quarters of it."""
        from huggingface_hub.constants import HF_HUB_CACHE

        cache = expand_home(HF_HUB_CACHE).absolute()
        place = next(folder for folder in (cache, *cache.parents) if folder.exists())
        gpu = 0.0
        if torch.cuda.is_available():
            count = torch.cuda.device_count()
            gpu = max(torch.cuda.get_device_properties(number).total_memory for number in range(count))
        elif torch.backends.mps.is_available():
            gpu = 0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(gpu / 1e9, shutil.disk_usage(place).free / 1e9)

    def lacks(self, model: NamedModel) -> str:
        """What it lacks for training an adapter on a model; "" if nothing."""
        if not self.gpu:
            return "this machine has no GPU"
        if self.gpu < TRAINING * model.memory:
            return f"the GPU of this machine has {self.gpu:.1f} GB"
        if model.place is None and self.disk < model.gigabytes:
            return f"{self.disk:.1f} GB of disk are free"
        return ""


def model_for_photos(machine: Machine) -> NamedModel:
    """Return the largest named model of photos that an adapter can be trained on here; the smallest if none fits.

    Models that were distilled to few steps, or have terms of their own, are left out.
    """
    aliases = {name: alias for name, (_, alias) in registry.aliases().items()}
    plain = [
        model
        for model in list_models()
        if (alias := aliases[model.name]).domain is None and alias.terms is None and "guidance" not in alias.defaults
    ]
    ranked = sorted(plain, key=lambda model: (model.memory, model.gigabytes), reverse=True)
    return next((model for model in ranked if not machine.lacks(model)), ranked[-1])


def needs(model: NamedModel) -> str:
    """What training an adapter on a model needs, in words."""
    download = "" if model.place else f" and a download of {model.gigabytes:g} GB"
    return f"{model.name} needs a GPU of {TRAINING * model.memory:g} GB{download}"


def fetch(reference: str, emit: Emit) -> Path:
    """Download a model from the Hugging Face hub to the hub's cache; return its folder or file.

    Files that are there already are kept, and an interrupted download is continued. Only safetensors files that
    generating in half precision needs are downloaded.
    """
    quiet_libraries()
    named = registry.aliases().get(reference)
    with hub.hub_errors(reference, location=named and named[1].reference), download_progress(emit) as bar:
        if named is None:
            _download_file(reference, bar)  # a file is needed to find its family
        model = loading.resolve(reference)
        loading.notify_terms(model, emit)
        place = Path(_download_file(model.location, bar) or _download_pipeline(model.location))
        if model.vae is not None and not Path(model.vae).exists():
            _download_snapshot(model.vae, bar, "*.json", "*.safetensors")
        if model.alias is not None and model.alias.config is not None:
            _download_snapshot(model.alias.config, bar, "*.json", "*.txt")
    if not model.fingerprints():
        raise LimnerError(f"model {reference!r} has no safetensors weights", "choose a version of it in safetensors")
    emit(ArtifactCreated(what=ArtifactKind.MODEL, path=str(place), sha256=sorted(model.fingerprints())[0]))
    return place


def delete(name: str) -> int:
    """Delete a named model from the hub's cache; return the bytes that its files had.

    Raises LimnerError for a model that is not downloaded, or that is part of Limner.
    """
    from huggingface_hub import constants, scan_cache_dir

    if name not in registry.aliases():
        raise unknown("base model", name[:80], registry.aliases())
    _, alias = registry.aliases()[name]
    if not alias.gigabytes:
        raise LimnerError(f"{name!r} is part of Limner and cannot be deleted", "choose a model that was downloaded")
    location = loading.resolve(name).location
    repository = (hub.file_of(location) or (location,))[0]
    cache = expand_home(constants.HF_HUB_CACHE)
    repositories = scan_cache_dir(cache).repos if cache.is_dir() else ()
    found = next((each for each in repositories if (each.repo_type, each.repo_id) == ("model", repository)), None)
    if found is None:
        raise LimnerError(f"{name!r} is not downloaded", "choose a model that was downloaded")
    with translate_disk_errors(found.repo_path):
        remove(Path(found.repo_path), cache)
    return found.size_on_disk


def _download_file(location: str, bar: type) -> str | None:
    """Download one file of a repository; None if the location is not one file."""
    from huggingface_hub import hf_hub_download

    single = hub.file_of(location)
    return hf_hub_download(*single, tqdm_class=bar) if single else None


def _download_pipeline(repository: str) -> str:
    """Download the files of a diffusers repository that half precision needs; a local path is returned as it is."""
    if Path(repository).exists():
        return repository
    from diffusers import DiffusionPipeline

    options: dict[str, Any] = {"use_safetensors": True}
    try:
        return str(DiffusionPipeline.download(repository, variant="fp16", **options))
    except ValueError:  # it has no files of that variant
        return str(DiffusionPipeline.download(repository, **options))


def _download_snapshot(repository: str, bar: type, *patterns: str) -> str:
    from huggingface_hub import snapshot_download

    with hub.hub_errors(repository):
        return snapshot_download(repository, allow_patterns=list(patterns), tqdm_class=bar)


@contextmanager
def download_progress(emit: Emit) -> Iterator[type]:
    """Emit a stage that counts megabytes; the value is the progress bar for the hub's argument `tqdm_class`.

    diffusers does not pass the bar on to the hub, so its downloads are patched while the context is open.
    """
    from diffusers.pipelines import pipeline_utils

    bar = _progress_bar(emit)
    emit(Stage(name="downloading, MB"))
    with_bar = partial(pipeline_utils.snapshot_download, tqdm_class=bar)
    with patch.object(pipeline_utils, "snapshot_download", with_bar):
        yield bar


def _progress_bar(emit: Emit) -> type:
    from tqdm.auto import tqdm

    counting: list[Any] = []

    class Bar(tqdm):
        """Emits progress and draws nothing.

        The hub has one bar for bytes received and one for bytes written; the further one counts.
        """

        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **{**options, "file": StringIO()})
            if options.get("unit") == "B":
                counting.append(self)

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self in counting:
                furthest = max(counting, key=lambda bar: bar.n)
                total = round(furthest.total / MEGABYTE) if furthest.total else None
                emit(Progress(done=round(furthest.n / MEGABYTE), total=total))
            return shown

    return Bar
