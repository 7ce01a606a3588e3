"""What a marketing call becomes: words, style, adapter and side, each in its place."""

from __future__ import annotations

import pytest

from limner.core.errors import LimnerError
from limner.core.requests import AdapterUse
from limner.server.profile import Profile

PROFILE = Profile.model_validate(
    {
        "text": {"model": "sdxl", "steps": 9},
        "picture": {"model": "sd15", "strength": 0.5},
        "industries": {
            "Food": {"words": "steam, herbs", "text": ["a.safetensors:0.5"], "picture": ["b.safetensors"]},
            "plain": {},
        },
        "styles": {
            "photo": {"prompt": "a photo of {prompt}, sharp", "negative_prompt": "blurry"},
            "none": {},
            "lens": {"prompt": "{prompt}, {85mm}"},
        },
    }
)


def test_words_stand_behind_the_prompt_and_the_style_around_both() -> None:
    request = PROFILE.request("  a red mug ", "food", "PHOTO ", seed=5)
    assert request.prompt == "a photo of a red mug, steam, herbs, sharp" and request.negative_prompt == "blurry"
    assert (request.model, request.steps, request.seed, request.image) == ("sdxl", 9, 5, None)
    plain = PROFILE.request("a {red} mug", "plain", "none", seed=0)
    assert (plain.prompt, plain.negative_prompt, plain.seed) == ("a {red} mug", "", 0)
    assert PROFILE.request("a mug", "plain", "lens").prompt == "a mug, {85mm}", "other braces are words"


def test_a_base_picture_has_a_side_and_adapters_of_its_own() -> None:
    request = PROFILE.request("a mug", "food", "photo", image="sha256:" + "0" * 64, seed=1)
    assert (request.model, request.strength, request.steps) == ("sd15", 0.5, None)
    assert PROFILE.adapters("FOOD", None) == (AdapterUse(path="a.safetensors", weight=0.5),)
    assert PROFILE.adapters("food", request.image) == (AdapterUse(path="b.safetensors"),)
    assert PROFILE.adapters("plain", None) == ()


def test_the_seed_of_the_profile_comes_before_the_calls() -> None:
    fixed = PROFILE.model_copy(update={"text": PROFILE.text.model_validate({"seed": 7})})
    assert [fixed.request("x", "food", "none", seed=seed).seed for seed in (1, None)] == [7, 7]
    assert len({PROFILE.request("x", "food", "none").seed for _ in range(4)}) == 4, "a new one each time"


def test_an_adapter_is_used_where_one_is_chosen() -> None:
    use = AdapterUse(path="c.safetensors", weight=2)
    assert PROFILE.request("x", "food", "none", adapter=use).adapter == (use,)
    assert PROFILE.request("x", "food", "none").adapter == ()


@pytest.mark.parametrize(
    ("industry", "style", "said"), [("sport", "photo", "unknown industry"), ("food", "x", "unknown style")]
)
def test_what_is_unknown_is_told(industry: str, style: str, said: str) -> None:
    with pytest.raises(LimnerError, match=said):
        PROFILE.request("x", industry, style)
