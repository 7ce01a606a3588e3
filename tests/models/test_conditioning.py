"""Prompts as arguments of a pipeline: encoded once, rows in order, cached by all that they depend on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner.models import conditioning as module
from limner.models.cache import prompt_cache
from limner.models.conditioning import GROUP, cached_conditioning, conditioning
from limner.models.prompts import warn_if_truncated, warn_of_weights


class Family:
    """Encodes a prompt as its length, as often as the longest word of a group has letters."""

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
