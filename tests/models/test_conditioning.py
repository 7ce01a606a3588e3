"""Prompts as arguments of a pipeline: encoded once, rows in order, cached by all that they depend on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner.models import conditioning as module
from limner.models.cache import prompt_cache
from limner.models.conditioning import GROUP, cached_conditioning, conditioning
from limner.models.learned_words import add_word, blend_of, remove_word
from limner.models.prompts import encode_weighted, warn_if_truncated, warn_of_weights
from limner.starter.pretrain.tokenizer import build_tokenizer


class Family:
    """Encodes a prompt as its length, as often as the longest word of a group has letters."""

    facts = SimpleNamespace(embeddings=())

    def __init__(self):
        self.asked = []

    def conditioning(self, components, prompts, negatives):
        self.asked.append((list(prompts), list(negatives)))
        places = max(len(word) for prompt in prompts for word in prompt.split())
        states = torch.tensor([[float(len(prompt))] * places for prompt in prompts])
        return {"prompt_embeds": states, "words": list(prompts)}


def test_each_prompt_is_encoded_once_and_rows_are_in_order():
    family = Family()
    encoded = conditioning(family, None, ["aa", "b c", "aa", "dd"], "blurry")
    assert family.asked == [(["aa", "b c", "dd"], ["blurry"] * 3)]
    assert encoded["prompt_embeds"][:, 0].tolist() == [2, 3, 2, 2] and encoded["words"] == ["aa", "b c", "aa", "dd"]
    assert len(conditioning(family, None, ["aa"] * 5)["words"]) == 1, "a single row if all are the same"
    assert family.asked[-1] == (["aa"], [""])


@pytest.mark.parametrize("longer", [False, True])
def test_many_prompts_are_encoded_in_groups_unless_one_is_longer(longer):
    family = Family()
    prompts = [f"{number:02d}" for number in range(GROUP)] + ["long" if longer else "xx"]
    encoded = conditioning(family, None, prompts)
    assert [len(group) for group, _ in family.asked] == [64, 1, 65][: 3 if longer else 2]
    assert encoded["words"] == prompts and encoded["prompt_embeds"].shape == (65, 4 if longer else 2)


def test_conditioning_is_cached_by_prompt_negative_and_adapters(monkeypatch):
    made = []

    def encode(family, components, prompts, negative):
        made.append((*prompts, negative))
        return {"prompt_embeds": torch.full((1, 2), float(len(made)))}

    monkeypatch.setattr(module, "conditioning", encode)
    kept = prompt_cache()
    wishes = [((), "a", ""), ((), "a", "b"), ((), "b", ""), ((("x", 1.0),), "a", ""), ((("x", 0.5),), "a", "")]
    first = [cached_conditioning(kept, None, None, *wish)["prompt_embeds"] for wish in wishes]
    again = [cached_conditioning(kept, None, None, *wish)["prompt_embeds"] for wish in wishes]
    assert len(made) == 5 and all(one is other for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize(("tokens", "warnings"), [(76, 0), (77, 0), (78, 1)])
def test_one_token_too_many_is_a_warning(tokens, warnings):
    events = []
    warn_if_truncated(lambda text: SimpleNamespace(input_ids=[0] * tokens), 77, "prompt", "a", events.append)
    assert [event.text for event in events] == [
        f"the prompt has {tokens} tokens and the model reads 77; the rest is left out"
    ] * warnings


@pytest.mark.parametrize(
    ("prompt", "warnings"), [("a (cat:0.5)", 1), ("a (cat:1.5)", 1), ("a (cat:1)", 0), ("a (cat)", 0)]
)
def test_unsupported_weights_are_a_warning(prompt, warnings):
    events = []
    warn_of_weights(prompt, events.append)
    assert len(events) == warnings


# Words of other weights than 1


LENGTH = 10


class Words:
    """Its states are the ids of the prompt's chunks, its pooled state those of the first one."""

    facts = SimpleNamespace(embeddings=(("", "tokenizer", "text_encoder"),))

    def conditioning(self, components, prompts, negatives):
        encoder = (components.parts["tokenizer"], lambda ids: ids[..., None].double())
        states, negative = encode_weighted([encoder], prompts, negatives)
        return {"prompt_embeds": states, "pooled": states[:, :LENGTH, 0], "negative": negative, "names": prompts}


@pytest.fixture
def encoded():
    """Return the states of a prompt with learned words of given weights, by name; a weight of 0 leaves a word out."""
    components = SimpleNamespace(parts={"tokenizer": build_tokenizer(1, LENGTH)})
    tokenizer = components.parts["tokenizer"]

    def run(prompt, **weights):
        used = {word: weight for word, weight in weights.items() if weight}
        for word, weight in used.items():
            add_word(tokenizer, word, 12 if word == "long" else 1, weight)
        try:
            return conditioning(Words(), components, [prompt])
        finally:
            for word in reversed(used):
                remove_word(tokenizer, word)

    return run


@pytest.mark.parametrize("weight", [0.001, 0.25, 0.5, 1.5, -1.0])
@pytest.mark.parametrize("prompt", ["a rex cat", "(a rex:1.5) cat", "rex BREAK rex"])
def test_a_word_of_any_weight_lies_between_the_prompt_without_and_with_it(encoded, weight, prompt):
    none, found, whole = (encoded(prompt, rex=each) for each in (0, weight, 1))
    for name in ("prompt_embeds", "pooled"):
        assert torch.allclose(found[name], none[name] + weight * (whole[name] - none[name]))
        assert not torch.equal(none[name], whole[name])
    assert found["names"] == [prompt]


def test_a_word_may_need_another_chunk(encoded):
    none, found, whole = (encoded("a long cat", long=weight)["prompt_embeds"] for weight in (0, 0.5, 1))
    assert none.shape[1] == LENGTH and found.shape[1] == whole.shape[1] == 2 * LENGTH
    assert torch.allclose(found[:, :LENGTH], (none + whole[:, :LENGTH]) / 2)


@pytest.mark.parametrize("weight", [0.001, 0.3, 0.7, 1.0, -1.3])
def test_a_prompt_without_the_word_stays_to_the_bit(encoded, weight):
    prompt = "a cat on the (beach:0.7)"
    assert torch.equal(encoded(prompt)["prompt_embeds"], encoded(prompt, rex=weight, max=0.3)["prompt_embeds"])


def test_the_words_of_a_blend_are_nested():
    tokenizer = build_tokenizer(1, LENGTH)
    for word, weight in (("rex", 0.5), ("cow", 1.0), ("max", 0.25)):
        add_word(tokenizer, word, 1, weight)
    assert blend_of(tokenizer) == [
        (1.0, frozenset({"cow"})),
        (0.25, frozenset({"cow", "max"})),
        (0.5, frozenset({"cow", "max", "rex"})),
    ]
