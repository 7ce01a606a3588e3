"""Textual Inversion: only the vectors of a new word are trained (Gal et al. 2022, arXiv 2208.01618)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Components, Facts, SubjectWords, WeightedFile
from limner.models.options import EMBEDDINGS_FILE, EmbeddingOptions, check_embeddings

if TYPE_CHECKING:
    from limner.models.embeddings import LearnedEmbeddings


_PARTS_OF_LAYERS = (".weight", ".bias", ".alpha")
"""Ends of tensor names that no word has."""


class TextualInversion:
    Options = EmbeddingOptions
    makes = "adapter"
    preserves_class = True
    file = EMBEDDINGS_FILE

    def learning_rate(self, lora: float) -> float:
        """Embeddings have about the same scale in all text encoders; diffusers trains them at 2e-3."""
        return 2e-3

    def trains_text(self, options: Any) -> bool:
        return True

    def check(self, facts: Facts, options: Any, subject: SubjectWords) -> None:
        check_embeddings(facts, subject)

    def attach(
        self, components: Components, facts: Facts, options: Any, subject: SubjectWords, seed: int
    ) -> LearnedEmbeddings:
        from limner.models.embeddings import LearnedEmbeddings

        return LearnedEmbeddings(
            components, facts, subject, options.vectors, options.initial_word or subject.class_word, seed
        )

    def save(
        self, trainable: LearnedEmbeddings, folder: Path, header: Mapping[str, str], base: Callable[[], Any]
    ) -> Path:
        from limner.models.embeddings import save_embeddings

        save_embeddings(trainable, folder / self.file, header)
        return folder / self.file

    def restore(self, trainable: LearnedEmbeddings, file: Path) -> None:
        from limner.models.embeddings import restore_embeddings

        restore_embeddings(trainable, file)

    def usage(self, name: str, base: str, facts: Facts, subject: SubjectWords) -> str:
        from limner.models.embeddings import usage

        return f"pipeline = {base}\n{usage(name, facts, subject)}"

    def recognises(self, names: Collection[str]) -> bool:
        """Recognise the names of A1111 and ComfyUI, and a single tensor, which diffusers names like the word."""
        known = {"emb_params", "clip_l", "clip_g", "t5"}
        return set(names) <= known or (len(names) == 1 and not next(iter(names)).endswith(_PARTS_OF_LAYERS))

    def applied(self, pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> AbstractContextManager[None]:
        from limner.models.embeddings import embeddings_applied

        return embeddings_applied(pipeline, facts, uses)


plugin = TextualInversion()
