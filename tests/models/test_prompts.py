"""Prompts in chunks, with weights: positions of tokens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner.models.prompts import encode_weighted, to_chunks
from limner.plugins.families.sdxl import plugin as SDXL
from limner.starter.pretrain.tokenizer import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(1, 10)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("words", [1, 7, 8, 9, 16, 17])
def test_chunks_have_the_length_of_the_encoder(tokenizer, words):
    """Ten tokens in a chunk, of which eight are words; the empty prompt has one chunk."""
    found = to_chunks(tokenizer, " ".join(["cat"] * words)).ids
    (cat,) = ids(tokenizer, "cat")
    assert found.shape == (-(-words // 8), 10) and (found == cat).sum(1).tolist() == [
        min(8, words - start) for start in range(0, words, 8)
    ]
    assert (found[:, 0] == tokenizer.bos_token_id).all()
    last = (words - 1) % 8 + 2
    assert found[-1, last] == tokenizer.eos_token_id and (found[-1, last + 1 :] == tokenizer.pad_token_id).all()
    assert to_chunks(tokenizer, "").ids.shape == (1, 10)


def test_weights_are_at_their_own_tokens(tokenizer):
    found = to_chunks(tokenizer, "a (cat:1.5) on the (beach:0.5)")
    order = [*"acotb"]
    assert len(order) == len(ids(tokenizer, "a cat on the beach"))
    assert found.weights[0, :7].tolist() == pytest.approx([1, 1, 1.5, 1, 1, 0.5, 1])
    assert (found.weights[0, 7:] == 1).all()


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("cat BREAK dog", ["cat", "dog"]),
        ("cat,BREAK dog beach", ["cat,", "dog beach"]),
        ("(cat BREAK dog:1.5)", ["cat", "dog"]),
        ("BREAK cat BREAK BREAK dog BREAK", ["cat", "dog"]),
        ("BREAK", [""]),
        ("cat break dog", ["cat break dog"]),
    ],
)
def test_break_begins_a_chunk(tokenizer, prompt, parts):
    found = to_chunks(tokenizer, prompt)
    expected = torch.cat([to_chunks(tokenizer, part).ids for part in parts])
    assert torch.equal(found.ids, expected)
    assert (found.weights[:, 1] == 1.5).all() == prompt.startswith("(")


def test_a_word_longer_than_a_chunk_starts_in_place(tokenizer):
    long = "".join(chr(97 + place * 7 % 26) for place in range(24))
    count = len(ids(tokenizer, long))
    assert count > 8 and count % 8 != 0
    found = to_chunks(tokenizer, f"cat {long}").ids
    assert len(found) == -(-(count + 1) // 8) and found[0, 2:9].tolist() == ids(tokenizer, long)[:7]


def test_weights_stay_with_their_words_next_to_a_longer_prompt(tokenizer):
    """Of states that are the ids: the word goes twice as far from what stands there in the empty prompt."""
    encode = [(tokenizer, lambda tokens: tokens[..., None].float())]
    (cat,) = ids(tokenizer, "cat")
    empty = int(to_chunks(tokenizer, "").ids[0, 1])
    states, other = encode_weighted(encode, ["(cat:2)"], ["dog " * 12])
    assert states.shape == other.shape == (1, 20, 1)
    plain, _ = encode_weighted(encode, ["cat"], ["dog " * 12])
    assert states[0, 1, 0].item() == empty + 2 * (cat - empty)
    assert torch.equal(states[0, 2:], plain[0, 2:])


class Encoder:
    """Its states are the ids; its pooled state is the first word."""

    def __call__(self, tokens, output_hidden_states):
        states = tokens[..., None].float()
        pooled = tokens[:, 1:2].float()
        return type("Said", (tuple,), {"hidden_states": [None, states, None]})((pooled,))


def sdxl_conditioning(tokenizer, prompts, negatives, **flags):
    parts = {"tokenizer": tokenizer, "tokenizer_2": tokenizer, "text_encoder": Encoder(), "text_encoder_2": Encoder()}
    components = SimpleNamespace(parts=parts, device=torch.device("cpu"), flags=flags)
    return SDXL.conditioning(components, prompts, negatives)


LONG = "dog " + "cat " * 9


def test_the_pooled_state_is_that_of_the_first_chunk(tokenizer):
    """Of two prompts in two parts each, the first tokens are a dog's and a cat's, not those of the second parts."""
    found = sdxl_conditioning(tokenizer, [LONG, "beach"], ["dog", "dog"])
    first = [ids(tokenizer, word)[0] for word in ("dog", "beach")]
    assert found["pooled_prompt_embeds"].flatten().tolist() == first
    assert found["prompt_embeds"].shape == (2, 20, 2) == found["negative_prompt_embeds"].shape
    assert torch.equal(found["prompt_embeds"][..., 0], found["prompt_embeds"][..., 1])


@pytest.mark.parametrize(("zeros", "expected"), [(True, [True, False]), (False, [False, False])])
def test_an_empty_negative_prompt_is_zeros_for_sdxl(tokenizer, zeros, expected):
    """As its pipeline has it where force_zeros_for_empty_prompt is set."""
    found = sdxl_conditioning(tokenizer, ["cat", "cat"], ["", "dog"], force_zeros_for_empty_prompt=zeros)
    silent = [not found[name][row].any() for row in (0, 1) for name in found if name.startswith("negative")]
    assert silent == [value for value in expected for _ in range(2)]
    assert found["prompt_embeds"].all()
