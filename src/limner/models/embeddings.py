"""Learned embeddings of new tokens: trained (Textual Inversion), written to files, and added to a pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, SubjectWords, WeightedFile
from limner.models.learned_words import LONGEST, add_word, normalised, remove_word
from limner.models.options import EMBEDDINGS_FILE, OVERFLOWED
from limner.models.tensor_files import open_tensors

MAX_VECTORS = 75
"""Vectors of a token that a text encoder of 77 tokens has room for."""


class ExtendedEmbedding(nn.Module):
    """Token embedding with new rows for the ids from `first` on; the old embedding is not changed."""

    def __init__(self, base: nn.Module, rows: torch.Tensor, first: int) -> None:
        super().__init__()
        self.base, self.first = base, first
        # after the base, because the number format of a network is that of its first parameter
        self.own = nn.Embedding.from_pretrained(rows, freeze=False)

    @property
    def rows(self) -> nn.Parameter:
        return self.own.weight  # type: ignore[return-value]

    @property
    def weight(self) -> torch.Tensor:
        return self.base.weight  # type: ignore[return-value]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.base(ids.clamp(max=self.first - 1))
        own = self.own((ids - self.first).clamp(min=0)).to(states.dtype)
        return torch.where((ids >= self.first)[..., None], own, states)


@dataclass
class TokenEmbeddings:
    """A word of one or more vectors in one text encoder, from `add` until `remove`."""

    tokenizer: Any
    encoder: Any
    extended: ExtendedEmbedding
    word: str

    @classmethod
    def add(cls, tokenizer: Any, encoder: Any, word: str, rows: torch.Tensor, weight: float = 1.0) -> TokenEmbeddings:
        """Add a word. rows: (vectors, width). weight: as `blend_of` has it."""
        base = encoder.get_input_embeddings()
        if rows.shape[1] != base.weight.shape[1]:
            raise LimnerError(
                f"the word {word!r} has vectors of {rows.shape[1]} numbers, and this model's have "
                f"{base.weight.shape[1]}",
                "use the family of models that it was trained on",
            )
        first = add_word(tokenizer, word, len(rows), weight)
        extended = ExtendedEmbedding(base, rows.to(base.weight.device, torch.float32), first)
        encoder.set_input_embeddings(extended)
        return cls(tokenizer, encoder, extended, word)

    def remove(self) -> None:
        self.encoder.set_input_embeddings(self.extended.base)
        remove_word(self.tokenizer, self.word)


class LearnedEmbeddings:
    """A word that is trained, in every text encoder that supports new tokens."""

    def __init__(
        self, components: Components, facts: Facts, subject: SubjectWords, vectors: int, initial: str, seed: int
    ) -> None:
        self.keys, self.tokens, self.subject = [], [], subject
        rng = torch.Generator().manual_seed(seed)
        for key, tokenizer_name, encoder_name in facts.embeddings:
            tokenizer, encoder = components.parts[tokenizer_name], components.parts[encoder_name]
            if vectors > (room := tokenizer.model_max_length // 2):
                raise LimnerError(
                    f"a word of {vectors} vectors leaves too little of a prompt of {tokenizer.model_max_length} tokens",
                    f"use {room} --vectors or fewer",
                )
            weight = encoder.get_input_embeddings().weight.detach().float().cpu()
            ids = tokenizer(initial, add_special_tokens=False).input_ids
            if not ids:
                raise LimnerError(f"the initial word {initial!r} has no token", "use a word such as dog")
            rows = weight[[ids[i % len(ids)] for i in range(vectors)]].clone()
            # further vectors start a little apart, because equal ones would stay equal
            rows[len(ids) :] += 0.1 * weight.std() * torch.randn(rows[len(ids) :].shape, generator=rng)
            self.keys.append((key, encoder_name))
            self.tokens.append(TokenEmbeddings.add(tokenizer, encoder, subject.identifier, rows))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"text": [token.extended.rows for token in self.tokens]}

    def state(self) -> dict[str, nn.Parameter]:
        return {name: token.extended.rows for (_, name), token in zip(self.keys, self.tokens, strict=True)}

    def train(self, on: bool) -> None:
        """Do nothing: nothing here is random."""

    def base_model(self) -> AbstractContextManager[None]:
        """Do nothing: the denoiser is the base model's."""
        return nullcontext()

    def detach(self) -> None:
        for token in self.tokens:
            token.remove()


def save_embeddings(trained: LearnedEmbeddings, path: Path, header: Mapping[str, str]) -> None:
    """Write the vectors (n, width): for one text encoder under the word itself, as diffusers does, for several under
    the encoders' names, as A1111 and ComfyUI do for SDXL.
    """
    tensors = {
        key or trained.subject.identifier: token.extended.rows.detach().contiguous().cpu()
        for (key, _), token in zip(trained.keys, trained.tokens, strict=True)
    }
    save_file(tensors, path, {"format": "pt", "word": trained.subject.identifier, **header})


@torch.no_grad()
def restore_embeddings(attached: LearnedEmbeddings, path: Path) -> None:
    """Read what `save_embeddings` wrote; raise LimnerError if the word or the shapes differ."""
    word, saved = read_embeddings(path)
    own = {key or word: token.extended.rows for (key, _), token in zip(attached.keys, attached.tokens, strict=True)}
    shapes = {name: rows.shape for name, rows in saved.items()}
    if word != attached.subject.identifier or shapes != {name: rows.shape for name, rows in own.items()}:
        raise LimnerError(
            f"the word in {str(path)!r} does not fit this base model", "use the model that it was trained on"
        )
    for name, rows in own.items():
        rows.copy_(saved[name])


@contextmanager
def embeddings_applied(pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> Iterator[None]:
    """Add the words of files to a pipeline's text encoders, with the files' weights, which act in `conditioning`.

    A weight of 0 leaves the word out.
    """
    parts = pipeline.components
    with ExitStack() as stack:
        known: set[str] = set()
        for use in (use for use in uses if use.weight):
            word, rows = read_embeddings(use.file)
            if normalised(word) in known:
                raise LimnerError(f"two adapters define the word {word!r}", "leave one of them out")
            known.add(normalised(word))
            encoders = {key or word: (tokenizer, encoder) for key, tokenizer, encoder in facts.embeddings}
            if len(facts.embeddings) == 1 and len(rows) == 1:
                rows = {next(iter(encoders)): next(iter(rows.values()))}
            if not rows.keys() <= encoders.keys():
                raise LimnerError(
                    f"the word in {str(use.file)!r} does not fit this model: it is for the text encoders "
                    f"{', '.join(rows)}",
                    "use the family of models that it was trained on",
                )
            for key, values in rows.items():
                tokenizer, encoder = (parts[name] for name in encoders[key])
                token = TokenEmbeddings.add(tokenizer, encoder, word, values, use.weight)
                stack.callback(token.remove)
        yield


def read_embeddings(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """Return the word of a file, and its vectors (n, width) by the name of the text encoder or of the word.

    If the file does not name the word, as files of other tools, the file's own name is the word.
    """
    with open_tensors(path, f"adapter {str(path)!r}", "copy or train it again", "pt") as file:
        word = (file.metadata() or {}).get("word")
        names: list[str] = list(file.keys())
        rows = {name: file.get_tensor(name).float() for name in names}
    rows = {name: value[None] if value.ndim == 1 else value for name, value in rows.items()}
    if any(not value.isfinite().all() for value in rows.values()):
        raise LimnerError(f"adapter {str(path)!r} contains numbers that are not finite (NaN or infinity)", OVERFLOWED)
    if not rows or any(value.ndim != 2 or not 1 <= len(value) <= MAX_VECTORS for value in rows.values()):
        raise LimnerError(f"{str(path)!r} contains no word of 1 to {MAX_VECTORS} vectors", "copy or train it again")
    if word is None:
        only = next(iter(rows)) if len(rows) == 1 else "emb_params"
        word = path.stem if only == "emb_params" else only
    if not (1 <= len(word) <= LONGEST and normalised(word)):
        raise LimnerError(
            f"{str(path)!r} names its word {word[:40]!r}, which is not a word of 1 to {LONGEST} characters",
            "rename the file, or train it again",
        )
    return word, rows


def usage(name: str, facts: Facts, subject: SubjectWords) -> str:
    """Return Python lines that load the word in a saved folder of this name into `pipeline` with stock diffusers."""
    if len(facts.embeddings) == 1:
        return f'pipeline.load_textual_inversion("{name}")'
    lines = ["from safetensors.torch import load_file", "", f'vectors = load_file("{name}/{EMBEDDINGS_FILE}")']
    for key, tokenizer, encoder in facts.embeddings:
        parts = f"tokenizer=pipeline.{tokenizer}, text_encoder=pipeline.{encoder}"
        lines.append(f'pipeline.load_textual_inversion(vectors["{key}"], token={subject.identifier!r}, {parts})')
    return "\n".join(lines)
