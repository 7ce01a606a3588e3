"""Pivotal tuning: a new word is learnt together with low-rank updates of the layers (after Roich et al. 2021,
arXiv 2106.05744).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, Subject, WeightedFile
from limner.models.options import (
    EMBEDDINGS_FILE,
    LORA_FILE,
    EmbeddingOptions,
    LoraOptions,
    check_embeddings,
    check_text_encoders,
)

if TYPE_CHECKING:
    from limner.models.embeddings import LearnedEmbeddings
    from limner.models.lora import LoraLayers

WORDS_HASH = "words_sha256"


class PivotalOptions(LoraOptions, EmbeddingOptions):
    """Options of LoRA and of Textual Inversion."""


class LoraWithEmbeddings:
    """What learns in the layers and what learns in the text encoders, as one."""

    def __init__(self, layers: LoraLayers, words: LearnedEmbeddings) -> None:
        self.layers, self.words = layers, words

    def groups(self) -> dict[str, list[Any]]:
        groups = self.layers.groups()
        return groups | {"text": [*groups["text"], *self.words.groups()["text"]]}

    def state(self) -> dict[str, Any]:
        return {**self.layers.state(), **{f"word.{name}": rows for name, rows in self.words.state().items()}}

    def train(self, on: bool) -> None:
        self.layers.train(on)
        self.words.train(on)

    def base_model(self) -> AbstractContextManager[None]:
        return self.layers.base_model()

    def detach(self) -> None:
        self.words.detach()
        self.layers.detach()


class Pivotal:
    Options = PivotalOptions
    makes = "adapter"
    preserves_class = False
    file = LORA_FILE

    def learning_rate(self, lora: float) -> float:
        return lora

    def trains_text(self, options: Any) -> bool:
        return True

    def check(self, facts: Facts, options: Any, subject: Subject) -> None:
        check_embeddings(facts, subject)
        check_text_encoders(facts, options)

    def attach(
        self, components: Components, facts: Facts, options: Any, subject: Subject, seed: int
    ) -> LoraWithEmbeddings:
        from limner.models.embeddings import LearnedEmbeddings
        from limner.models.lora import attach_lora

        layers = attach_lora(components, facts, options, seed)
        initial = options.initial_word or subject.class_word
        return LoraWithEmbeddings(layers, LearnedEmbeddings(components, facts, subject, options.vectors, initial, seed))

    def save(
        self, trainable: LoraWithEmbeddings, folder: Path, header: Mapping[str, str], base: Callable[[], Any]
    ) -> Path:
        """The LoRA's file says what the word's file must hash to, since neither is of use with another."""
        from limner.models.embeddings import save_embeddings
        from limner.models.lora import save_lora
        from limner.store.files import sha256_of

        save_embeddings(trainable.words, folder / EMBEDDINGS_FILE, header)
        save_lora(trainable.layers, folder / self.file, {**header, WORDS_HASH: sha256_of(folder / EMBEDDINGS_FILE)})
        return folder / self.file

    def restore(self, trainable: LoraWithEmbeddings, file: Path) -> None:
        from limner.models.embeddings import restore_embeddings
        from limner.models.lora import restore_lora

        restore_embeddings(trainable.words, _words_beside(file))
        restore_lora(trainable.layers, file)

    def usage(self, name: str, base: str, facts: Facts, subject: Subject) -> str:
        from limner.models.embeddings import usage

        return f'pipeline = {base}\n{usage(name, facts, subject)}\npipeline.load_lora_weights("{name}")'

    def recognises(self, names: Collection[str]) -> bool:
        """Other tools keep the two apart, and each is known by itself."""
        return False

    @contextmanager
    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> Iterator[None]:
        from limner.models.embeddings import embeddings_applied
        from limner.models.lora import lora_applied

        words = [WeightedFile(_words_beside(use.file), use.weight) for use in uses]
        with ExitStack() as stack:
            stack.enter_context(embeddings_applied(pipeline, facts, words))
            stack.enter_context(lora_applied(pipeline, uses))
            yield


def _words_beside(file: Path) -> Path:
    """The word's file that was saved with a LoRA's."""
    from safetensors import safe_open

    from limner.store.files import sha256_of

    with safe_open(file, framework="pt") as tensors:
        wanted = (tensors.metadata() or {}).get(WORDS_HASH)
    words = file.with_name(EMBEDDINGS_FILE)
    if not words.is_file() or sha256_of(words) != wanted:
        state = "was changed" if words.is_file() else "is missing"
        raise LimnerError(
            f"the learnt word {str(words)!r} that belongs to this adapter {state}", "copy the whole folder again"
        )
    return words


plugin = Pivotal()
