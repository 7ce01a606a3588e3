"""Finds the models and adapters of a comparison or evaluation, and gives each a short unique name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.requests import AdapterUse, CompareRequest, Contestant, GenerateRequest, TrialRequest
from limner.engine.compare.targets import ImagesTarget, ModelTarget, target_of
from limner.models import loading
from limner.models.adapters import Adapter, open_adapter
from limner.store.blobs import REFERENCE

SHARED = sorted((TrialRequest.model_fields.keys() & GenerateRequest.model_fields.keys()) - {"kind", "prompt"})
"""Fields of a trial that apply to every image."""


@dataclass(frozen=True)
class ModelWithAdapters:
    """A contestant of a comparison or the target of an evaluation.

    name: short and unique. text: as the user typed it. model, vae: references of the base model and its autoencoder.
    """

    name: str
    text: str
    model: str
    vae: str | None
    adapters: tuple[AdapterUse, ...]

    def with_original_names(self, original_name: Callable[[str], str]) -> ModelWithAdapters:
        """The same, with its files as the user named them."""
        uses = tuple(use.model_copy(update={"path": original_name(use.path)}) for use in self.adapters)
        return replace(self, model=original_name(self.model), vae=self.vae and original_name(self.vae), adapters=uses)

    def request(self, trial: TrialRequest, prompt: str) -> GenerateRequest:
        """The request that generates its images for a prompt."""
        shared: dict[str, Any] = {name: getattr(trial, name) for name in SHARED}
        return GenerateRequest(prompt=prompt, model=self.model, vae=self.vae, adapter=self.adapters, **shared)


def find_contestants(request: CompareRequest, original_name: Callable[[str], str] = str) -> list[ModelWithAdapters]:
    """The contestants of a comparison.

    original_name: how the user named a file. Raises LimnerError for a contestant that is neither a model nor an
    adapter, and for one that is named twice.
    """
    found = [_find(contestant, request.model) for contestant in request.contestants]
    seen: dict[tuple[Any, ...], str] = {}
    for each in found:
        key = each.model, each.vae, tuple((use.path, use.weight) for use in each.adapters)
        if key in seen:
            raise LimnerError(f"{seen[key]!r} and {each.text!r} are the same contestant", "name each once")
        seen[key] = each.text
    names = _unique_names([each.with_original_names(original_name) for each in found])
    return [replace(each, name=name) for each, name in zip(found, names, strict=True)]


def find_target(
    target: Contestant, base_model: str | None, original_name: Callable[[str], str] = str
) -> ModelWithAdapters:
    """A single model or adapter. base_model: of an adapter, in place of the one that it was trained on."""
    found = _find(target, base_model)
    return replace(found, name=_unique_names([found.with_original_names(original_name)])[0])


def identifiers(contestants: Sequence[ModelWithAdapters]) -> list[str]:
    """The identifier tokens that their adapters were trained on, which mean nothing to other people."""
    facts = [open_adapter(use.path).facts.get("trigger_words") for each in contestants for use in each.adapters]
    return sorted(
        {word for words in facts if isinstance(words, list) for word in words if isinstance(word, str) and word}
    )


def _find(contestant: Contestant, base_model: str | None) -> ModelWithAdapters:
    """A contestant, still without a name."""
    text, target = str(contestant), target_of(contestant)
    if isinstance(target, ModelTarget):
        loading.resolve(target.model)
        return ModelWithAdapters("", text, target.model, None, target.adapters)
    if isinstance(target, ImagesTarget):
        open_adapter(str(contestant.model))  # raises, because a folder of images has no adapter file
        raise LimnerError(f"{text!r} is a folder of images", "give a model or an adapter")
    adapter = open_adapter(target.adapters[0].path)
    return ModelWithAdapters("", text, *_base_of(adapter, text, base_model), target.adapters)


def _base_of(adapter: Adapter, text: str, base_model: str | None) -> tuple[str, str | None]:
    """The base model and autoencoder of an adapter: those it was trained on, unless another model is given."""
    if base_model is not None:
        return base_model, None
    facts, request = adapter.facts.get("base"), adapter.facts.get("request")
    reference = facts.get("reference") if isinstance(facts, dict) else None
    vae = request.get("vae") if isinstance(request, dict) else None
    if not isinstance(reference, str) or not reference:
        raise LimnerError(
            f"adapter {text!r} does not name the base model that it was trained on",
            f"write MODEL+{text}, or give --model",
        )
    for part in (reference, vae):  # the file may come from a stranger: it must not make us download anything
        if isinstance(part, str) and loading.needs_download(part):
            raise LimnerError(
                f"adapter {text!r} was trained on {part!r}, which is not on disk",
                f"if you trust that model, write {reference}+{text}",
            )
    try:
        loading.resolve(reference)
    except LimnerError as error:
        raise LimnerError(
            f"adapter {text!r} was trained on {reference!r}, which does not exist here",
            f"write MODEL+{text}, or give --model",
        ) from error
    return reference, vae if isinstance(vae, str) else None


def _unique_names(contestants: Sequence[ModelWithAdapters]) -> list[str]:
    """The shortest ends of paths that are unique; with the model only if models differ or there is no adapter."""
    one_model = len({each.model for each in contestants}) == 1
    names: list[str] = []
    for parts in range(1, 64):
        names = [_name(each, parts, one_model) for each in contestants]
        if len(set(names)) == len(names):
            return names
    return [f"{number} {name}" for number, name in enumerate(names, 1)]


def _name(contestant: ModelWithAdapters, parts: int, one_model: bool) -> str:
    adapters = [
        _last_parts(use.path, parts) + ("" if use.weight == 1 else f":{use.weight:g}") for use in contestant.adapters
    ]
    return "+".join(adapters if one_model and adapters else [_last_parts(contestant.model, parts), *adapters])


def _last_parts(path: str, parts: int) -> str:
    """The last parts of a path without its suffix; the first characters of a reference by content."""
    if found := REFERENCE.fullmatch(path):
        return found[2][: 7 + parts]
    return "/".join(Path(path.removesuffix(".safetensors")).parts[-parts:]) or path
