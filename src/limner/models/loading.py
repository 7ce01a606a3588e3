"""References to models -> loaded components, those used last kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from limner.core.errors import LimnerError, unknown
from limner.core.events import Emit, Notice
from limner.core.protocols import Alias, Components, Family, Source
from limner.models import hub
from limner.models.cache import LruCache
from limner.models.logging import quiet_libraries
from limner.models.prompt_cache import Embeddings, no_embeddings
from limner.plugins import registry
from limner.store.files import sha256_of

PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


@dataclass(frozen=True)
class Model:
    """A base model that a request names: its family, where its weights are, and its alias if it has one.

    vae: an autoencoder in place of its own. told: request values that a model which was taught here says of itself.
    """

    reference: str
    location: str
    family_name: str
    alias: Alias | None
    licence: str
    vae: str | None = None
    told: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def source(self, quantised: str | None = None) -> Source:
        """Where it is loaded from; a file on the hub is fetched first."""
        location = self.location
        if (repository := hub.file_of(location)) is not None:
            from huggingface_hub import hf_hub_download

            location = hf_hub_download(*repository)
        return Source(location, self.vae, self.alias and self.alias.config, quantised)

    @property
    def family(self) -> Family:
        return registry.families.get(self.family_name)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Request values that suit this model: the family's, overruled by the alias's own or by what it says itself."""
        return {**self.family.facts.defaults, **(self.alias.defaults if self.alias else {}), **self.told}

    @property
    def sampling(self) -> dict[str, Any]:
        """How its pictures are painted where nothing is said, by the names that a GenerateRequest and `paint` use."""
        defaults = self.defaults
        return {
            "steps": int(defaults["denoising_steps"]),
            "guidance": float(defaults["guidance"]),
            "guidance_rescale": float(defaults.get("guidance_rescale", 0.0)),
        }

    def fingerprint(self, dtype: torch.dtype) -> str | None:
        """SHA-256 of the denoiser's weights in the files that this number format is loaded from.

        Of several files, it is that of their hashes in order. None while they are not on disk.
        """
        half = dtype in (torch.float16, torch.bfloat16)
        full, fp16 = self._weights()
        hashes = [_weights_sha256(path.resolve(), path.stat().st_mtime_ns) for path in (half and fp16) or full or fp16]
        if len(hashes) > 1:
            return hashlib.sha256("".join(hashes).encode()).hexdigest()
        return hashes[0] if hashes else None

    def fingerprints(self) -> set[str]:
        """The fingerprints in all formats that are on disk."""
        return {known for dtype in (torch.float32, torch.float16) if (known := self.fingerprint(dtype))}

    def on_disk(self) -> Path | None:
        """The folder or file that it is loaded from, None while its weights are not on disk."""
        return hub.on_disk(self.location) if any(self._weights()) else None

    def _weights(self) -> tuple[list[Path], list[Path]]:
        """The denoiser's weights files, full and fp16."""
        place = hub.on_disk(self.location)
        if place is None or place.is_file():
            return [place] if place else [], []
        found = sorted((place / self.family.facts.denoiser).glob("*.safetensors"))
        return [path for path in found if ".fp16" not in path.name], [path for path in found if ".fp16" in path.name]


@cache
def _weights_sha256(file: Path, changed: int) -> str:
    """Hash of a weights file as it was at the time `changed`; the hub's cache calls large files by their hash."""
    return file.name if re.fullmatch(r"[0-9a-f]{64}", file.name) else sha256_of(file)


def needs_download(reference: str) -> bool:
    """Whether this is a Hugging Face id whose weights are not on disk; aliases are known to be what they say."""
    if reference in registry.aliases() or Path(reference).expanduser().exists():
        return False
    if not (hub.is_repository(reference) or hub.file_of(reference)):
        return False
    place = hub.on_disk(reference)
    return place is None or (place.is_dir() and not any(place.rglob("*.safetensors")))


def resolve(reference: str, vae: str | None = None) -> Model:
    """Find what a model reference means: alias, folder, single file, or Hugging Face id; vae: in place of its own."""
    aliases = registry.aliases()
    if reference in aliases:
        family_name, alias = aliases[reference]
        return Model(reference, _place(alias.reference), family_name, alias, alias.licence, vae or alias.vae)
    place = Path(reference).expanduser()
    if place.is_file():
        return Model(reference, str(place.resolve()), _family_of_file(reference, place), None, "unknown", vae)
    if place.exists():
        return replace(_from_folder(reference, place), vae=vae)
    if (repository := hub.file_of(reference)) is not None:
        from huggingface_hub import hf_hub_download

        with hub.hub_errors(reference):
            file = Path(hf_hub_download(*repository))
        return Model(reference, reference, _family_of_file(reference, file), None, hub.licence_of(repository[0]), vae)
    if hub.is_repository(reference):
        index, licence = hub.index_of(reference)
        return Model(reference, reference, _family_of(reference, index), None, licence, vae)
    raise unknown("model", reference, aliases)


def _family_of_file(reference: str, file: Path) -> str:
    """The family whose single files hold tensors called as in this one."""
    from safetensors import SafetensorError, safe_open

    if file.suffix in PICKLES:
        raise LimnerError(
            f"model {reference!r} is a pickle file, which can run any code when it is opened",
            "convert it to safetensors, or use the model's safetensors version",
        )
    try:
        with safe_open(file, framework="pt") as tensors:
            names = set(tensors.keys())
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise LimnerError(f"model {reference!r} cannot be read: {error}", "fetch or copy it again") from error
    for name, family in registry.families.all().items():
        if names.intersection(family.facts.single_file):
            return name
    raise LimnerError(
        f"model {reference!r} is a single file of no kind that is known here",
        "give a diffusers folder, or a file in the layout of Stable Diffusion's or SDXL's authors",
    )


def part_config(reference: str, part: str) -> Mapping[str, Any] | None:
    """The settings of a part of a model, such as its scheduler, before it is loaded; None where they are not known."""
    aliases = registry.aliases()
    location = aliases[reference][1].reference if reference in aliases else reference
    return hub.part_config(str(Path(_place(location)).expanduser()), part)


def _place(reference: str) -> str:
    if reference.startswith("package:"):
        package, _, inside = reference.removeprefix("package:").partition("/")
        return str(files(package).joinpath(inside))
    return reference


def _from_folder(reference: str, folder: Path) -> Model:
    index = folder / "model_index.json"
    if not index.is_file():
        raise LimnerError(
            f"model {reference!r} is not a diffusers model folder: it has no model_index.json",
            "give the folder that holds model_index.json, a Hugging Face id, or one of: "
            + ", ".join(registry.aliases()),
        )
    try:
        facts = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise LimnerError(
            f"model {reference!r} has an unreadable model_index.json: {error}", "copy the folder again"
        ) from error
    licence = hub.card_licence(folder / "README.md")
    told = _told_defaults(folder / "limner.json")
    return Model(reference, str(folder.resolve()), _family_of(reference, facts), None, licence, told=told)


def _told_defaults(file: Path) -> Mapping[str, Any]:
    """How a model that was taught here is painted with, as it says itself: what its base model was painted with."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))["sampling"]
        return {
            "denoising_steps": int(told["steps"]),
            "guidance": float(told["guidance"]),
            "guidance_rescale": float(told["guidance_rescale"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _family_of(reference: str, index: Mapping[str, Any]) -> str:
    class_name = index.get("_class_name") if isinstance(index, dict) else None
    name = registry.family_of_pipeline(str(class_name))
    if name is None:
        raise LimnerError(
            f"model {reference!r} is a {class_name or 'model of no known kind'}, which no family here knows",
            f"families: {', '.join(registry.families.names())}",
        )
    return name


@dataclass(frozen=True)
class _Loaded:
    components: Components
    embeddings: Embeddings = field(default_factory=no_embeddings)

    @property
    def bytes(self) -> int:
        parts = [part for part in self.components.parts.values() if isinstance(part, torch.nn.Module)]
        return sum(tensor.nbytes for part in parts for tensor in (*part.parameters(), *part.buffers()))


_loaded: LruCache[_Loaded] = LruCache(float("inf"), lambda loaded: loaded.bytes)


def load(model: Model, dtype: torch.dtype, device: torch.device, quantised: str | None = None) -> Components:
    """Load a model's components. Those used last stay in memory for the next request, as many as leave room enough."""
    quiet_libraries()
    key = (model.location, model.vae, str(dtype), str(device), quantised)

    def made() -> _Loaded:
        with hub.hub_errors(model.reference, location=model.location):
            return _Loaded(model.family.load(model.source(quantised), dtype, device))

    if key not in _loaded:
        _loaded.shrink(room(device))
    try:
        return _loaded.of(key, made).components
    except torch.OutOfMemoryError:
        if not _loaded.values():
            raise
    unload_all()  # what was kept was in the way
    return _loaded.of(key, made).components


def room(device: torch.device) -> float:
    """Bytes of models that may stay in memory while another one is loaded: LIMNER_MODEL_GB, or half of a GPU's memory,
    or a quarter of the machine's.
    """
    if told := os.environ.get("LIMNER_MODEL_GB"):
        try:
            return float(told) * 1e9
        except ValueError as error:
            raise LimnerError(f"LIMNER_MODEL_GB is {told!r}", "give a number of gigabytes") from error
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1] / 2
    if not hasattr(os, "sysconf"):
        return 0.0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4


def embeddings(components: Components) -> Embeddings:
    """What a loaded model encoded prompts to; of one that is not kept, nothing is."""
    found = (loaded.embeddings for loaded in _loaded.values() if loaded.components is components)
    return next(found, None) or no_embeddings()


def unload_all() -> None:
    """Let go of the models in memory (training changes and strips them)."""
    _loaded.clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def notify_terms(model: Model, emit: Emit) -> None:
    """Say what the user must know of the model's licence."""
    if model.alias is not None and model.alias.terms:
        emit(Notice(text=model.alias.terms))
