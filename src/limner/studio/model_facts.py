"""What the pages say of base models before a training: their facts, and what they make of words and images."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from limner.core.choice import evenly
from limner.core.errors import LimnerError, unknown
from limner.core.unknown_words import FUNCTION_WORDS, describe_words, unknown_words, words_of
from limner.plugins.registry import aliases

SYLLABLES = ("zo", "vi", "ru", "kel", "mop", "tix", "ba", "quo", "lun", "pim", "wez", "dro")
SIDE = 1024
"""Side in pixels of images for a model whose own side is not known before it is downloaded."""
COMPARED = 16
"""The most images of a draft that are compared with those of a model."""


@dataclass(frozen=True)
class TrainingModel:
    """A base model to choose. gigabytes: of the download. memory: gigabytes that a training needs. images: the only
    kind of images that it knows, or "". side: in pixels. steps, batch, learning_rate: recommended. lacks: what this
    machine lacks for it, or "".
    """

    name: str
    licence: str
    gigabytes: float
    memory: float
    downloaded: bool
    terms: str
    images: str
    side: int
    steps: int
    batch: int
    learning_rate: float
    lacks: str = ""


def training_models() -> list[TrainingModel]:
    """The named models, smallest download first."""
    from limner.models.catalog import TRAINING, Machine, list_models
    from limner.models.loading import resolve

    machine = Machine.this()
    found: list[TrainingModel] = []
    for named in list_models():
        model = resolve(named.name)
        found.append(
            TrainingModel(
                name=named.name,
                licence=named.licence,
                gigabytes=named.gigabytes,
                memory=TRAINING * named.memory,
                downloaded=named.place is not None,
                terms=(model.alias.terms if model.alias else None) or "",
                images="" if model.domain is None else model.domain.images,
                side=_side(named.place) or SIDE,
                steps=int(model.defaults["steps"]),
                batch=int(model.defaults["batch"]),
                learning_rate=float(model.defaults["learning_rate"]),
                lacks=machine.lacks(named) if named.memory else "",
            )
        )
    return found


def _side(place: Path | None) -> int | None:
    """The side in pixels that a downloaded UNet was trained on; None if that is not known."""
    if place is None:
        return None
    try:
        latent: Any = json.loads((place / "unet" / "config.json").read_text(encoding="utf-8"))["sample_size"]
        blocks = json.loads((place / "vae" / "config.json").read_text(encoding="utf-8"))["block_out_channels"]
        return int(latent) * 2 ** (len(blocks) - 1)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def method_options(method: str) -> type[BaseModel] | None:
    """The options of a training method; None for a name that no method has."""
    from limner.plugins.registry import methods

    try:
        return methods.get(method).Options
    except LimnerError:
        return None


def suggested_identifier(seed: str) -> str:
    """A made-up word, always the same for a seed."""
    return "".join(random.Random(seed).sample(SYLLABLES, 2))


def identifier_problem(model: str, identifier: str) -> str:
    """Why a word should not stand for a new subject; "" if nothing is known against it."""
    words = identifier.casefold().split()
    if any(word in FUNCTION_WORDS for word in words):
        return f"{identifier!r} is an ordinary word, which occurs in many prompts; use a made-up word"
    known = _vocabulary(model)
    if words and known is not None and all(word.strip("<>") in known for word in words):
        return f"the model knows {identifier!r} already and would mix its meaning with the subject; use a made-up word"
    return ""


def model_words(model: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The only kind of images that a named model knows, and the words of its prompts by kind; without any, "" and {}.

    Raises LimnerError for an unknown name.
    """
    from limner.plugins.registry import aliases

    if model not in aliases():
        raise unknown("base model", model[:80], aliases())
    found = _resolved(model)
    if found is None or found.domain is None:
        return "", {}
    return found.domain.images, dict(found.domain.phrases())


def class_problem(model: str, class_word: str) -> str:
    """What a model does not know of a class word; "" if it knows it, or if its vocabulary is not small."""
    from limner.models.known_words import known_words

    found = _resolved(model)
    if found is None or found.domain is None or (known := known_words(found)) is None:
        return ""
    words = unknown_words(class_word, known)
    if not words:
        return ""
    return f"{model!r} does not know {describe_words(words, known, found.domain.synonyms)}"


def prompt_problem(model: str, prompt: str, adapters: Mapping[str, Sequence[str]] | None = None) -> str:
    """The words of a prompt that a named model does not know, with the nearest that it knows; "" if it knows all.

    adapters: the names of those that are used with it, with the words by which each is called.
    """
    known = _small_vocabulary(model)
    if known is None:
        return ""
    adapters = adapters or {}
    known |= words_of(text for texts in adapters.values() for text in texts)
    words = unknown_words(prompt, known)
    if not words:
        return ""
    unless = f", unless {' or '.join(adapters)} learned them" if adapters else ""
    return f"{model} does not know {describe_words(words, known, _resolved(model).domain.synonyms)}{unless}"


def adapter_fits(base: str, model: str) -> bool:
    """Whether an adapter for a base model can be used with another model, as far as the names of both are known."""
    known = aliases()
    if base == model or base not in known or model not in known:
        return True
    (family, own), (other, its) = known[base], known[model]
    return family == other and own.domain is None and its.domain is None


def images_problem(model: str, images: Sequence[Path]) -> str:
    """What is wrong with training a model on these images, and which model suits them; "" if nothing is."""
    found = _resolved(model)
    if found is None or found.domain is None:
        return ""
    return _images_problem(model, tuple(evenly(list(images), COMPARED)))


@lru_cache(256)
def _images_problem(model: str, images: tuple[Path, ...]) -> str:
    from limner.engine.train.dataset_notices import foreign_images
    from limner.models.catalog import Machine, model_for_photos, needs

    found = _resolved(model)
    problem = None if found is None else foreign_images(found, images)
    if problem is None:
        return ""
    machine = Machine.this()
    better = model_for_photos(machine)
    if lacks := machine.lacks(better):
        return (
            f"{problem}. Photos need a base model of photos, which cannot be trained here: {lacks}, and {needs(better)}"
        )
    return f"{problem}. For photos, choose a model of photos: {better.name} ({needs(better)})"


def _resolved(model: str) -> Any:
    """The model of an alias; None for any other name, so that what somebody typed reads no file and asks no host."""
    from limner.models.loading import resolve

    return resolve(model) if model in aliases() else None


@lru_cache(64)
def _small_vocabulary(model: str) -> frozenset[str] | None:
    """The words of a named model that knows few; None for any other model."""
    from limner.models.known_words import known_words

    found = _resolved(model)
    return None if found is None else known_words(found)


@lru_cache(64)
def _vocabulary(model: str) -> frozenset[str] | None:
    """The whole words that a model knows; None if only a download would show them."""
    from limner.models.known_words import known_words

    found = _resolved(model)
    if found is None:
        return None
    if (known := known_words(found)) is not None:
        return known
    place = found.on_disk()
    try:
        vocabulary: Any = json.loads((place / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
        ends = "</w>"
        return frozenset(str(word).removesuffix(ends) for word in vocabulary if str(word).endswith(ends))
    except (OSError, ValueError, TypeError):
        return None
