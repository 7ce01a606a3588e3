"""Options that several training methods share. No torch: command-line flags are made of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.protocols import Facts, SubjectWords
from limner.core.requests import Frozen
from limner.core.requests.request import Label

LORA_FILE = "pytorch_lora_weights.safetensors"
"""Name of a LoRA file for diffusers."""


EMBEDDINGS_FILE = "learned_embeds.safetensors"
"""Name of a file of learned embeddings for diffusers."""


OVERFLOWED = "its training overflowed: use an earlier checkpoint, or train it again with a lower learning rate"
"""What to do about an adapter with numbers that are not finite."""


class LoraOptions(Frozen):
    """Options of LoRA; None means the model's default."""

    rank: int | None = Field(None, ge=1, le=1024, description="Rank of the update (default: the model's).")
    alpha: float | None = Field(
        None, gt=0, le=4096, description="Scale: the update is multiplied by alpha / rank (default: rank)."
    )
    rslora: Annotated[bool, Label("rsLoRA")] = Field(
        False,
        description="Multiply the update by alpha / sqrt(rank), so that high ranks train as fast (arXiv 2312.03732).",
    )
    dora: Annotated[bool, Label("DoRA")] = Field(
        False, description="Train each weight's magnitude separately from its direction (arXiv 2402.09353)."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the update's inputs that is dropped in training.")
    targets: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Layers: a preset (attention, transformer, all), or name endings or patterns with *, separated by "
        "commas.",
    )
    text_encoder: bool = Field(False, description="Train the text encoders too.")


class EmbeddingOptions(Frozen):
    """Options of Textual Inversion."""

    vectors: int = Field(1, ge=1, le=75, description="Number of vectors of the identifier.")
    initial_word: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Word whose vectors the identifier starts from (default: the class).",
    )


def check_embeddings(facts: Facts, subject: SubjectWords) -> None:
    """Refuse families whose text encoders cannot be given new tokens, and subjects without an identifier."""
    if not facts.embeddings:
        raise LimnerError("the text encoder of this family does not support new words", "use --method lora")
    if not subject.identifier:
        raise LimnerError("there is no identifier to train", "add --identifier, or use --method lora")


def check_text_encoders(facts: Facts, options: LoraOptions) -> None:
    """Refuse to train text encoders whose updates diffusers would not load."""
    if options.text_encoder and not facts.lora_encoders:
        raise LimnerError("the text encoder of this family does not support adapters", "leave out --text-encoder")
