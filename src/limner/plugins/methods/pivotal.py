"""Pivotal tuning: a new word is trained together with LoRA layers (after Roich et al. 2021, arXiv 2106.05744)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, SubjectWords, WeightedFile
from limner.models.options import (
    EMBEDDINGS_FILE,
    LORA_FILE,
    EmbeddingOptions,
    LoraOptions,
    check_embeddings,
    check_text_encoders,
)
from limner.models.tensor_files import open_tensors

if TYPE_CHECKING:
    from limner.models.embeddings import LearnedEmbeddings
    from limner.models.lora import LoraLayers

EMBEDDINGS_HASH = "words_sha256"
"""Key in the LoRA file's header."""


class PivotalOptions(LoraOptions, EmbeddingOptions):
    """Options of LoRA and of Textual Inversion."""


class LoraWithEmbeddings:
    """LoRA layers and learned embeddings, trained together."""

    def __init__(self, layers: LoraLayers, embeddings: LearnedEmbeddings) -> None:
        self.layers, self.embeddings = layers, embeddings

    def groups(self) -> dict[str, list[Any]]:
        groups = self.layers.groups()
        return groups | {"text": [*groups["text"], *self.embeddings.groups()["text"]]}

    def state(self) -> dict[str, Any]:
        return {**self.layers.state(), **{f"word.{name}": rows for name, rows in self.embeddings.state().items()}}

    def train(self, on: bool) -> None:
        self.layers.train(on)
        self.embeddings.train(on)

    def base_model(self) -> AbstractContextManager[None]:
        return self.layers.base_model()

    def detach(self) -> None:
        self.embeddings.detach()
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

    def check(self, facts: Facts, options: Any, subject: SubjectWords) -> None:
        check_embeddings(facts, subject)
        check_text_encoders(facts, options)

    def attach(
        self, components: Components, facts: Facts, options: Any, subject: SubjectWords, seed: int
    ) -> LoraWithEmbeddings:
        from limner.models.embeddings import LearnedEmbeddings
        from limner.models.lora import attach_lora

        layers = attach_lora(components, facts, options, seed)
        initial = options.initial_word or subject.class_word
        return LoraWithEmbeddings(layers, LearnedEmbeddings(components, facts, subject, options.vectors, initial, seed))

    def save(
        self, trainable: LoraWithEmbeddings, folder: Path, header: Mapping[str, str], base: Callable[[], Any]
    ) -> Path:
        """Write both files; the LoRA's header has the hash of the embeddings, because they only work together."""
        from limner.models.embeddings import save_embeddings
        from limner.models.lora import save_lora
        from limner.store.files import sha256_of

        save_embeddings(trainable.embeddings, folder / EMBEDDINGS_FILE, header)
        embeddings_hash = {EMBEDDINGS_HASH: sha256_of(folder / EMBEDDINGS_FILE)}
        save_lora(trainable.layers, folder / self.file, {**header, **embeddings_hash})
        return folder / self.file

    def restore(self, trainable: LoraWithEmbeddings, file: Path) -> None:
        from limner.models.embeddings import restore_embeddings
        from limner.models.lora import restore_lora

        restore_embeddings(trainable.embeddings, _embeddings_of(file))
        restore_lora(trainable.layers, file)

    def usage(self, name: str, base: str, facts: Facts, subject: SubjectWords) -> str:
        from limner.models.embeddings import usage

        return f'pipeline = {base}\n{usage(name, facts, subject)}\npipeline.load_lora_weights("{name}")'

    def recognises(self, names: Collection[str]) -> bool:
        """Recognise no file of other tools: they keep LoRA and embeddings separate."""
        return False

    @contextmanager
    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> Iterator[None]:
        from limner.models.embeddings import embeddings_applied
        from limner.models.lora import lora_applied

        embeddings = [WeightedFile(_embeddings_of(use.file), use.weight) for use in uses]
        with ExitStack() as stack:
            stack.enter_context(embeddings_applied(pipeline, facts, embeddings))
            stack.enter_context(lora_applied(pipeline, facts, uses))
            yield


def _embeddings_of(file: Path) -> Path:
    """Return the embeddings file that was saved with a LoRA file."""
    from limner.store.files import sha256_of

    with open_tensors(file, f"adapter {str(file)!r}", "copy or train it again") as tensors:
        wanted = (tensors.metadata() or {}).get(EMBEDDINGS_HASH)
    embeddings = file.with_name(EMBEDDINGS_FILE)
    if not embeddings.is_file() or sha256_of(embeddings) != wanted:
        state = "was changed" if embeddings.is_file() else "is missing"
        raise LimnerError(
            f"the learned embeddings {str(embeddings)!r} of this adapter {state}", "copy the whole folder again"
        )
    return embeddings


plugin = Pivotal()
