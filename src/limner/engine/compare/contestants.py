"""What a comparison names -> models with adapters, each under a short name of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.requests import (
    AdapterUse,
    CompareRequest,
    Contestant,
    GenerateRequest,
    GenerationSettings,
    TrialRequest,
)
from limner.engine.compare.targets import ImagesTarget, ModelTarget, target_of
from limner.models import loading
from limner.models.adapters import Adapter, open_adapter
from limner.store.blobs import REFERENCE

SHARED = (TrialRequest.model_fields.keys() & GenerationSettings.model_fields.keys()) - {"seed"}
"""Settings of a trial that hold for all contestants."""


@dataclass(frozen=True)
class Entrant:
    """One of those that are compared. name: short, and of no other. told: as it was named."""

    name: str
    told: str
    model: str
    vae: str | None
    adapter: tuple[AdapterUse, ...]

    def known_as(self, called: Callable[[str], str]) -> Entrant:
        """The same, with its files as the user called them."""
        uses = tuple(use.model_copy(update={"path": called(use.path)}) for use in self.adapter)
        return replace(self, model=called(self.model), vae=self.vae and called(self.vae), adapter=uses)

    def request(self, trial: TrialRequest, prompt: str, seed: int, count: int) -> GenerateRequest:
        """What paints its pictures of a prompt."""
        shared: dict[str, Any] = {name: getattr(trial, name) for name in SHARED}
        return GenerateRequest(
            prompt=prompt, model=self.model, vae=self.vae, adapter=self.adapter, seed=seed, count=count, **shared
        )


def entrants(comparison: CompareRequest, called: Callable[[str], str] = str) -> list[Entrant]:
    """Who is compared; LimnerError for what is neither a model nor an adapter, and for what is named twice.

    called: how the user calls a file.
    """
    found = [_entrant(contestant, comparison.model) for contestant in comparison.contestants]
    seen: dict[tuple[Any, ...], str] = {}
    for model, vae, uses, told in found:
        key = model, vae, tuple((use.path, use.weight) for use in uses)
        if key in seen:
            raise LimnerError(f"{seen[key]!r} and {told!r} are the same contestant", "name each once")
        seen[key] = told
    known = [Entrant("", told, model, vae, uses) for model, vae, uses, told in found]
    names = _names([entrant.known_as(called) for entrant in known])
    return [replace(entrant, name=name) for entrant, name in zip(known, names, strict=True)]


def entrant_of(contestant: Contestant, base: str | None, called: Callable[[str], str] = str) -> Entrant:
    """Who is meant by itself."""
    model, vae, uses, told = _entrant(contestant, base)
    known = Entrant("", told, model, vae, uses)
    return replace(known, name=_names([known.known_as(called)])[0])


def made_up(entrants: Sequence[Entrant]) -> list[str]:
    """The words that adapters among them were taught, and nobody else knows."""
    told = [open_adapter(use.path).facts.get("trigger_words") for entrant in entrants for use in entrant.adapter]
    return sorted(
        {word for words in told if isinstance(words, list) for word in words if isinstance(word, str) and word}
    )


Found = tuple[str, str | None, tuple[AdapterUse, ...], str]


def _entrant(contestant: Contestant, base: str | None) -> Found:
    """Model, autoencoder, adapters, and how it was named."""
    told, target = str(contestant), target_of(contestant)
    if isinstance(target, ModelTarget):
        loading.resolve(target.model)
        return target.model, None, target.adapters, told
    if isinstance(target, ImagesTarget):
        open_adapter(str(contestant.model))  # raises: images have nothing that could be compared by prompts
        raise LimnerError(f"{told!r} is a folder of images", "give a model or an adapter")
    first = open_adapter(target.adapters[0].path)
    return *_base_of(first, told, base), target.adapters, told


def _base_of(adapter: Adapter, told: str, base: str | None) -> tuple[str, str | None]:
    """Model and autoencoder that an adapter acts on where no model is named beside it."""
    if base is not None:
        return base, None
    facts, request = adapter.facts.get("base"), adapter.facts.get("request")
    reference = facts.get("reference") if isinstance(facts, dict) else None
    vae = request.get("vae") if isinstance(request, dict) else None
    if not isinstance(reference, str) or not reference:
        raise LimnerError(
            f"adapter {told!r} does not say which model it was taught on", f"write MODEL+{told}, or give --model"
        )
    for part in (reference, vae):  # the file may come from a stranger: it alone must not make us download anything
        if isinstance(part, str) and loading.needs_download(part):
            raise LimnerError(
                f"adapter {told!r} was taught on {part!r}, which is not on disk",
                f"if you trust that model, write {reference}+{told}",
            )
    try:
        loading.resolve(reference)
    except LimnerError as error:
        raise LimnerError(
            f"adapter {told!r} was taught on {reference!r}, which is not here", f"write MODEL+{told}, or give --model"
        ) from error
    return reference, vae if isinstance(vae, str) else None


def _names(found: Sequence[Entrant]) -> list[str]:
    """The shortest ends of paths that tell all apart; of the model only where models differ or no adapter acts."""
    one_model = len({entrant.model for entrant in found}) == 1
    names: list[str] = []
    for parts in range(1, 64):
        names = [_name(entrant, parts, one_model) for entrant in found]
        if len(set(names)) == len(names):
            return names
    return [f"{number} {name}" for number, name in enumerate(names, 1)]


def _name(entrant: Entrant, parts: int, one_model: bool) -> str:
    acting = [_end(use.path, parts) + ("" if use.weight == 1 else f":{use.weight:g}") for use in entrant.adapter]
    return "+".join(acting if one_model and acting else [_end(entrant.model, parts), *acting])


def _end(path: str, parts: int) -> str:
    """The last parts of a path, without what only tells its kind; of a reference by content, the beginning."""
    if found := REFERENCE.fullmatch(path):
        return found[2][: 7 + parts]
    return "/".join(Path(path.removesuffix(".safetensors")).parts[-parts:]) or path
