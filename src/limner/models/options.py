"""Options that ways to learn share. No torch here: flags are made of them without loading it."""

from __future__ import annotations

from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.protocols import Facts, Subject
from limner.core.requests import Frozen

LORA_FILE = "pytorch_lora_weights.safetensors"
"""The name by which diffusers looks for a LoRA."""


EMBEDDINGS_FILE = "learned_embeds.safetensors"
"""The name by which diffusers looks for a learnt word."""


class LoraOptions(Frozen):
    """Options of LoRA; None means what suits the model."""

    rank: int | None = Field(None, ge=1, le=1024, description="Rank of the update (default: what suits the model).")
    alpha: float | None = Field(
        None, gt=0, le=4096, description="Scale; the update counts alpha / rank (default: rank)."
    )
    rslora: bool = Field(
        False, description="Count the update alpha / sqrt(rank), so that high ranks learn as fast (arXiv 2312.03732)."
    )
    dora: bool = Field(False, description="Learn each weight's magnitude apart from its direction (arXiv 2402.09353).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the update's inputs left out while learning.")
    targets: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Layers: a preset (attention, transformer, all), or name endings or patterns with *, separated by "
        "commas.",
    )
    text_encoder: bool = Field(False, description="Teach the text encoders too.")


class EmbeddingOptions(Frozen):
    """Options of Textual Inversion."""

    vectors: int = Field(1, ge=1, le=75, description="Vectors that the identifier stands for.")
    initial_word: str | None = Field(
        None, min_length=1, max_length=200, description="Word that the identifier begins as (default: the class)."
    )


def check_embeddings(facts: Facts, subject: Subject) -> None:
    """Refuse to teach a word to a family whose text encoders take none."""
    if not facts.embeddings:
        raise LimnerError(
            "this kind of model reads prompts by a chat model, which is not taught words here", "use --method lora"
        )
    if not subject.identifier:
        raise LimnerError("there is no identifier to teach", "give one, or use --method lora")


def check_text_encoders(facts: Facts, options: LoraOptions) -> None:
    """Refuse to teach text encoders whose updates diffusers would not read."""
    if options.text_encoder and not facts.lora_encoders:
        raise LimnerError("the text encoder of this kind of model takes no adapter", "leave out --text-encoder")
