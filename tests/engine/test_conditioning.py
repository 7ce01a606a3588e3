"""Prompts as a pipeline is told them: each encoded once, its row where it belongs, kept by what it depends on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner.models import conditioning as module
from limner.models.cache import prompt_cache
from limner.models.conditioning import GROUP, cached_conditioning, conditioning
from limner.models.prompts import warn_if_truncated, warn_of_weights


class Family:
    """Encodes a prompt to its length, in as many places as its longest word of a group has letters."""

    def __init__(self):
        self.asked = []

    def conditioning(self, components, prompts, negatives):
        self.asked.append((list(prompts), list(negatives)))
        places = max(len(word) for prompt in prompts for word in prompt.split())
        states = torch.tensor([[float(len(prompt))] * places for prompt in prompts])
        return {"prompt_embeds": states, "words": list(prompts)}


def test_each_prompt_is_encoded_once_and_its_row_is_where_it_belongs():
    family = Family()
    told = conditioning(family, None, ["aa", "b c", "aa", "dd"], "blurry")
    assert family.asked == [(["aa", "b c", "dd"], ["blurry"] * 3)]
    assert told["prompt_embeds"][:, 0].tolist() == [2, 3, 2, 2] and told["words"] == ["aa", "b c", "aa", "dd"]
    assert len(conditioning(family, None, ["aa"] * 5)["words"]) == 1, "a single row where all are the same"
    assert family.asked[-1] == (["aa"], [""])


@pytest.mark.parametrize("longer", [False, True])
def test_many_prompts_go_in_groups_unless_one_is_longer_than_others(longer):
    family = Family()
    prompts = [f"{number:02d}" for number in range(GROUP)] + ["long" if longer else "xx"]
    told = conditioning(family, None, prompts)
    assert [len(group) for group, _ in family.asked] == [64, 1, 65][: 3 if longer else 2]
    assert told["words"] == prompts and told["prompt_embeds"].shape == (65, 4 if longer else 2)


def test_what_was_encoded_is_kept_by_prompt_negative_and_adapters(monkeypatch):
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


@pytest.mark.parametrize(("tokens", "told"), [(76, 0), (77, 0), (78, 1)])
def test_a_prompt_is_too_long_from_one_token_more_on(tokens, told):
    events = []
    warn_if_truncated(lambda text: SimpleNamespace(input_ids=[0] * tokens), 77, "prompt", "a", events.append)
    assert [event.text for event in events] == [
        f"the prompt has {tokens} tokens; the model reads 77 and ignores the rest"
    ] * told


@pytest.mark.parametrize(("prompt", "told"), [("a (cat:0.5)", 1), ("a (cat:1.5)", 1), ("a (cat:1)", 0), ("a (cat)", 0)])
def test_weights_that_are_not_read_are_told(prompt, told):
    events = []
    warn_of_weights(prompt, events.append)
    assert len(events) == told
