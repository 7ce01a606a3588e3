"""Model references (alias, folder, file, Hugging Face id) as models, and their components, kept in memory."""

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
from typing import TYPE_CHECKING, Any

from limner.core.errors import LimnerError, unknown
from limner.core.events import Emit, Notice
from limner.core.files import expand_home, reading_problem
from limner.core.protocols import Alias, Components, Domain, Family, ModelSource
from limner.models import hub
from limner.models.logging import quiet_libraries
from limner.plugins import registry
from limner.store.files import sha256_of

if TYPE_CHECKING:
    import torch

PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


@dataclass(frozen=True)
class Model:
    """A base model that a request names.

    alias: its alias, if the reference is one. vae: an autoencoder in place of its own. own_defaults: request values
    that a model trained by Limner stores about itself. trained_from: reference of the model that it was trained from.
    """

    reference: str
    location: str
    family_name: str
    alias: Alias | None
    licence: str
    vae: str | None = None
    own_defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trained_from: str | None = None

    def source(self, quantised: str | None = None) -> ModelSource:
        """Return where it is loaded from; a file on the hub is downloaded first."""
        location = self.location
        if (repository := hub.file_of(location)) is not None:
            from huggingface_hub import hf_hub_download

            location = hf_hub_download(*repository)
        return ModelSource(location, self.vae, self.alias and self.alias.config, quantised)

    @property
    def family(self) -> Family:
        return registry.families.get(self.family_name)

    @property
    def domain(self) -> Domain | None:
        """What it was trained on, where that is images of one kind only."""
        alias = self.alias or registry.aliases().get(self.trained_from or "", ("", None))[1]
        return registry.load_domain(alias)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Defaults of request values: the family's, overridden by the alias's, then by the model's own."""
        return {**self.family.facts.defaults, **(self.alias.defaults if self.alias else {}), **self.own_defaults}

    @property
    def sampling(self) -> dict[str, Any]:
        """Default sampling settings, by the field names of a GenerateRequest."""
        defaults = self.defaults
        return {
            "steps": int(defaults["denoising_steps"]),
            "guidance": float(defaults["guidance"]),
            "guidance_rescale": float(defaults.get("guidance_rescale", 0.0)),
        }

    def fingerprint(self, dtype: torch.dtype) -> str | None:
        """Return the SHA-256 of the denoiser's weights in the files that are loaded for this number format.

        For several files, it is the hash of their hashes in order. None if they are not on disk.
        """
        half = dtype.itemsize < 4
        full, fp16 = self._weights()
        hashes = [_weights_sha256(path.resolve(), path.stat().st_mtime_ns) for path in (half and fp16) or full or fp16]
        if len(hashes) > 1:
            return hashlib.sha256("".join(hashes).encode()).hexdigest()
        return hashes[0] if hashes else None

    def fingerprints(self) -> set[str]:
        """Return the fingerprints for all number formats that are on disk."""
        import torch

        return {known for dtype in (torch.float32, torch.float16) if (known := self.fingerprint(dtype))}

    def on_disk(self) -> Path | None:
        """Return the folder or file that it is loaded from; None if its weights are not on disk."""
        return hub.on_disk(self.location) if any(self._weights()) else None

    def _weights(self) -> tuple[list[Path], list[Path]]:
        """Return the denoiser's weight files, full and fp16."""
        place = hub.on_disk(self.location)
        if place is None or place.is_file():
            return [place] if place else [], []
        found = sorted((place / self.family.facts.denoiser).glob("*.safetensors"))
        return [path for path in found if ".fp16" not in path.name], [path for path in found if ".fp16" in path.name]


@cache
def _weights_sha256(file: Path, changed: int) -> str:
    """Return the hash of a weight file at its modification time; the hub's cache names large files by their hash."""
    return file.name if re.fullmatch(r"[0-9a-f]{64}", file.name) else sha256_of(file)


def needs_download(reference: str) -> bool:
    """Whether this is a Hugging Face id whose weights are not on disk. False for aliases, which are trusted."""
    if reference in registry.aliases() or expand_home(reference).exists():
        return False
    if not (hub.is_repository(reference) or hub.file_of(reference)):
        return False
    place = hub.on_disk(reference)
    return place is None or (place.is_dir() and not any(place.rglob("*.safetensors")))


def check_place(reference: str, what: str) -> None:
    """Raise LimnerError for a part of a model that is neither on disk nor can be on the hub. what: "ControlNet" ..."""
    place = expand_home(reference)
    if not (
        reference in registry.aliases() or place.exists() or hub.is_repository(reference) or hub.file_of(reference)
    ):
        raise LimnerError(
            f"{what} {reference!r} does not exist", "give a folder, a .safetensors file or a Hugging Face id"
        )


def resolve(reference: str, vae: str | None = None) -> Model:
    """Find the model of a reference: alias, folder, single file, or Hugging Face id. vae: in place of its own."""
    if vae is not None:
        check_place(vae, "autoencoder (VAE)")
    aliases = registry.aliases()
    if reference in aliases:
        family_name, alias = aliases[reference]
        return Model(reference, _location(alias.reference), family_name, alias, alias.licence, vae or alias.vae)
    place = expand_home(reference)
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
    """Return the family that recognises a single file by its tensor names."""
    from safetensors import SafetensorError, safe_open

    if file.suffix in PICKLES:
        raise LimnerError(
            f"model {reference!r} is a pickle file, which can run any code when it is opened",
            "convert it to safetensors, or use the model's safetensors version",
        )
    try:
        with safe_open(file, framework="np") as tensors:
            names = set(tensors.keys())
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = reading_problem(error, "safetensors")
        raise LimnerError(f"model {reference!r} cannot be read: {reason}", "download or copy it again") from error
    families = registry.families.all()
    for name, family in families.items():
        if names.intersection(family.facts.single_file):
            return name
    known = ", ".join(name for name, family in families.items() if family.facts.single_file)
    raise LimnerError(
        f"model {reference!r} is a single file of an unknown layout",
        f"use a diffusers folder, or a single file of one of these families: {known}",
    )


def part_config(reference: str, part: str) -> Mapping[str, Any] | None:
    """Return the configuration of a part of a model that is not loaded, such as "scheduler"; None if unknown."""
    aliases = registry.aliases()
    location = aliases[reference][1].reference if reference in aliases else reference
    return hub.part_config(str(expand_home(_location(location))), part)


def folder_on_disk(reference: str) -> Path | None:
    """Return the folder of a model by its alias, folder or Hugging Face id; None if it is not on this machine."""
    aliases = registry.aliases()
    location = _location(aliases[reference][1].reference if reference in aliases else reference)
    place = hub.on_disk(str(expand_home(location)))
    return place if place is not None and place.is_dir() else None


def _location(reference: str) -> str:
    if reference.startswith("package:"):
        package, _, inside = reference.removeprefix("package:").partition("/")
        return str(files(package).joinpath(inside))
    return reference


def _from_folder(reference: str, folder: Path) -> Model:
    index = folder / "model_index.json"
    if not index.is_file():
        raise LimnerError(
            f"model {reference!r} is not a diffusers model folder: it has no model_index.json",
            "use a folder with model_index.json, a Hugging Face id, or one of: " + ", ".join(registry.aliases()),
        )
    try:
        contents = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise LimnerError(
            f"model {reference!r} has an unreadable model_index.json: {error}", "copy the folder again"
        ) from error
    licence = hub.card_licence(folder / "README.md")
    facts = _own_facts(folder / "limner.json")
    base = facts.get("base")
    trained_from = str(base.get("reference")) if isinstance(base, dict) else None
    family = _family_of(reference, contents)
    place = str(folder.resolve())
    return Model(reference, place, family, None, licence, own_defaults=_own_defaults(facts), trained_from=trained_from)


def _own_facts(file: Path) -> Mapping[str, Any]:
    """Read what a model that Limner trained stores about itself; empty for other models."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _own_defaults(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the sampling settings of a model that Limner trained: those of its base model."""
    try:
        sampling = facts["sampling"]
        return {
            "denoising_steps": int(sampling["steps"]),
            "guidance": float(sampling["guidance"]),
            "guidance_rescale": float(sampling["guidance_rescale"]),
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _family_of(reference: str, index: Mapping[str, Any]) -> str:
    class_name = index.get("_class_name") if isinstance(index, dict) else None
    name = registry.family_of_pipeline(str(class_name))
    if name is None:
        raise LimnerError(
            f"model {reference!r} has the pipeline {class_name or 'None'}, which no family supports",
            f"families: {', '.join(registry.families.names())}",
        )
    return name


def load(model: Model, dtype: torch.dtype, device: torch.device, quantised: str | None = None) -> Components:
    """Load a model's components, or return them from `MODELS`. Models used last stay in memory while there is room."""
    from limner.models.cache import MODELS

    quiet_libraries()

    def load_components() -> Components:
        with hub.hub_errors(model.reference, location=model.location):
            return model.family.load(model.source(quantised), dtype, device)

    key = (model.location, model.vae, str(dtype), str(device), quantised)
    return MODELS.components(key, load_components, lambda: memory_budget(device))


def memory_budget(device: torch.device) -> float:
    """Return the bytes of models that may stay in memory while another one loads.

    That is LIMNER_MODEL_GB, or half of a GPU's memory, or a quarter of the machine's.
    """
    if gigabytes := os.environ.get("LIMNER_MODEL_GB"):
        try:
            return float(gigabytes) * 1e9
        except ValueError as error:
            raise LimnerError(f"LIMNER_MODEL_GB is {gigabytes!r}", "set it to a number of gigabytes") from error
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[1] / 2
    if not hasattr(os, "sysconf"):
        return 0.0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4


def unload_all() -> None:
    """Drop the models in memory. Training needs that, since it changes and strips them."""
    from limner.models.cache import MODELS

    MODELS.drop_models()


def notify_terms(model: Model, emit: Emit) -> None:
    """Emit the terms of the model's licence that the user must know."""
    if model.alias is not None and model.alias.terms:
        emit(Notice(text=model.alias.terms))
