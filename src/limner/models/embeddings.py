"""New words for text encoders: learnt as rows of the token embedding, written to files, put on a pipeline to paint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from limner.core.errors import LimnerError
from limner.core.protocols import Components, Facts, Subject, WeightedFile
from limner.models.options import EMBEDDINGS_FILE

MAX_VECTORS = 75
"""Vectors of a word, which a text encoder of 77 tokens has room for."""


class ExtendedEmbedding(nn.Module):
    """A token embedding with rows of its own for the ids from `first` on; the old one is left as it is."""

    def __init__(self, base: nn.Module, rows: torch.Tensor, first: int) -> None:
        super().__init__()
        self.base, self.first = base, first
        self.own = nn.Embedding.from_pretrained(
            rows, freeze=False
        )  # behind the base: a network's format is its first's

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
    """A word of one or more vectors in one text encoder, from `put_in` until `take_out`."""

    tokenizer: Any
    encoder: Any
    extended: ExtendedEmbedding
    before: str

    @classmethod
    def put_in(cls, tokenizer: Any, encoder: Any, names: Sequence[str], rows: torch.Tensor) -> TokenEmbeddings:
        """names: the word and what stands for its further vectors. rows: (len(names), width)."""
        vocabulary = tokenizer.get_vocab()
        known = [name for name in names if name in vocabulary]
        if known:
            raise LimnerError(
                f"the word {known[0]!r} is in use by the model, or by another adapter, already",
                "choose another one, such as '<sks>', or leave that adapter out",
            )
        base = encoder.get_input_embeddings()
        if rows.shape[1] != base.weight.shape[1]:
            raise LimnerError(
                f"the word {names[0]!r} has vectors of {rows.shape[1]} numbers, and this model's have "
                f"{base.weight.shape[1]}",
                "use the kind of model that it was taught to",
            )
        before = tokenizer.backend_tokenizer.to_str()
        tokenizer.add_tokens(list(names))
        first = tokenizer.convert_tokens_to_ids(names[0])
        extended = ExtendedEmbedding(base, rows.to(base.weight.device, torch.float32), first)
        encoder.set_input_embeddings(extended)
        return cls(tokenizer, encoder, extended, before)

    def take_out(self) -> None:
        from tokenizers import Tokenizer

        self.encoder.set_input_embeddings(self.extended.base)
        self.tokenizer._tokenizer = Tokenizer.from_str(self.before)


def token_names(word: str, vectors: int) -> list[str]:
    """The tokens that a word of several vectors stands for, as diffusers numbers them."""
    return [word, *(f"{word}_{i}" for i in range(1, vectors))]


class LearnedEmbeddings:
    """A word that learns, in every text encoder that can take it."""

    def __init__(
        self, components: Components, facts: Facts, subject: Subject, vectors: int, initial: str, seed: int
    ) -> None:
        self.keys, self.words, self.subject = [], [], subject
        names, rng = token_names(subject.identifier, vectors), torch.Generator().manual_seed(seed)
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
                raise LimnerError(f"the initial word {initial!r} holds no token", "give a word such as dog")
            rows = weight[[ids[i % len(ids)] for i in range(vectors)]].clone()
            # further vectors begin a little apart, for the same ones would learn the same
            rows[len(ids) :] += 0.1 * weight.std() * torch.randn(rows[len(ids) :].shape, generator=rng)
            self.keys.append((key, encoder_name))
            self.words.append(TokenEmbeddings.put_in(tokenizer, encoder, names, rows))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"text": [word.extended.rows for word in self.words]}

    def state(self) -> dict[str, nn.Parameter]:
        return {name: word.extended.rows for (_, name), word in zip(self.keys, self.words, strict=True)}

    def train(self, on: bool) -> None:
        """Nothing here is random."""

    def base_model(self) -> AbstractContextManager[None]:
        """The denoiser is the base model's own."""
        return nullcontext()

    def detach(self) -> None:
        for word in self.words:
            word.take_out()


def save_embeddings(learnt: LearnedEmbeddings, path: Path, header: Mapping[str, str]) -> None:
    """Write the vectors (n, width) under the word's own name where there is one text encoder, as diffusers has it,
    else under the encoders' names, as A1111 and ComfyUI have it for SDXL.
    """
    tensors = {
        key or learnt.subject.identifier: word.extended.rows.detach().contiguous().cpu()
        for (key, _), word in zip(learnt.keys, learnt.words, strict=True)
    }
    save_file(tensors, path, {"format": "pt", "word": learnt.subject.identifier, **header})


@torch.no_grad()
def restore_embeddings(learnt: LearnedEmbeddings, path: Path) -> None:
    """Read back what `save_words` wrote; LimnerError where the word or its vectors are others."""
    word, saved = read_embeddings(path)
    ours = {key or word: put.extended.rows for (key, _), put in zip(learnt.keys, learnt.words, strict=True)}
    shapes = {name: rows.shape for name, rows in saved.items()}
    if word != learnt.subject.identifier or shapes != {name: rows.shape for name, rows in ours.items()}:
        raise LimnerError(
            f"the word in {str(path)!r} does not fit this base model", "use the model that it was taught to"
        )
    for name, rows in ours.items():
        rows.copy_(saved[name])


@contextmanager
def embeddings_applied(pipeline: Any, facts: Facts, uses: Sequence[WeightedFile]) -> Iterator[None]:
    """Put the words of files into a pipeline's text encoders, their vectors made longer or shorter by the use's weight.

    A weight of 0 leaves the word out.
    """
    parts = pipeline.components
    with ExitStack() as stack:
        known: set[str] = set()
        for use in (use for use in uses if use.weight):
            word, rows = read_embeddings(use.file)
            if word in known:
                raise LimnerError(f"two adapters teach the word {word!r}", "leave one of them out")
            known.add(word)
            theirs = {key or word: (tokenizer, encoder) for key, tokenizer, encoder in facts.embeddings}
            if len(facts.embeddings) == 1 and len(rows) == 1:
                rows = {next(iter(theirs)): next(iter(rows.values()))}
            if not rows.keys() <= theirs.keys():
                raise LimnerError(
                    f"the word in {str(use.file)!r} does not fit this model: it is for text encoders called "
                    f"{', '.join(rows)}",
                    "use the kind of model that it was taught to",
                )
            for key, values in rows.items():
                tokenizer, encoder = (parts[name] for name in theirs[key])
                put = TokenEmbeddings.put_in(tokenizer, encoder, token_names(word, len(values)), values * use.weight)
                stack.callback(put.take_out)
        yield


def read_embeddings(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The word of a file and its vectors (n, width) by the name of the text encoder, or by its own.

    Files of other tools that do not name the word call it as the file is called.
    """
    with safe_open(path, framework="pt") as file:
        word = (file.metadata() or {}).get("word")
    rows = {name: value.float() for name, value in load_file(path).items()}
    rows = {name: value[None] if value.ndim == 1 else value for name, value in rows.items()}
    if not rows or any(
        value.ndim != 2 or not 1 <= len(value) <= MAX_VECTORS or not value.isfinite().all() for value in rows.values()
    ):
        raise LimnerError(f"{str(path)!r} holds no word of 1 to {MAX_VECTORS} vectors", "copy or train it again")
    if word is None:
        only = next(iter(rows)) if len(rows) == 1 else "emb_params"
        word = path.stem if only == "emb_params" else only
    return word, rows


def usage(name: str, facts: Facts, subject: Subject) -> str:
    """Lines of Python that put the word of a saved folder of this name onto `pipeline` with stock diffusers."""
    if len(facts.embeddings) == 1:
        return f'pipeline.load_textual_inversion("{name}")'
    lines = ["from safetensors.torch import load_file", "", f'vectors = load_file("{name}/{EMBEDDINGS_FILE}")']
    for key, tokenizer, encoder in facts.embeddings:
        parts = f"tokenizer=pipeline.{tokenizer}, text_encoder=pipeline.{encoder}"
        lines.append(f'pipeline.load_textual_inversion(vectors["{key}"], token={subject.identifier!r}, {parts})')
    return "\n".join(lines)
