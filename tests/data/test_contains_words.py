"""When a caption contains a word: as a whole word, in any case, with any white space."""

from __future__ import annotations

import pytest

from limner.data.captions.trigger_words import apply_trigger_words, contains_words, truncate
from limner.data.entries.annotations import CAPTION_CAP


@pytest.mark.parametrize(
    "text",
    ["sks", "a photo of SKS", "Sks dog", "a dog (sks)", "sks, running", "sks's ball", "a sks-dog", "“sks”", "=sks="],
)
def test_a_whole_word_is_held(text: str) -> None:
    assert contains_words(text, "sks") and apply_trigger_words(text, ("sks",)) == text


@pytest.mark.parametrize(
    "text", ["asks a dog", "sksy", "tasks", "sks_dog", "sks2", "2sks", "säsks", "sksé", "s ks", ""]
)
def test_a_part_of_a_word_is_not(text: str) -> None:
    assert not contains_words(text, "sks")
    assert apply_trigger_words(text, ("sks",)) == (f"sks, {text}" if text else "sks")


def test_several_words_are_held_in_their_order() -> None:
    for text in ("neon style", "in Neon  STYLE!", "a neon\tstyle"):
        assert contains_words(text, "neon style")
    for text in ("style neon", "neon, style", "neon styles", "xneon style", "neon"):
        assert not contains_words(text, "neon style")


def test_signs_of_a_word_mean_themselves() -> None:
    assert contains_words("a.b", "a.b") and not contains_words("axb", "a.b")
    assert contains_words("(v1)", "(v1)") and not contains_words("v1", "(v1)")


@pytest.mark.parametrize(
    ("limit", "expected"), [(10, "a dog runs"), (9, "a dog"), (6, "a dog"), (5, "a dog"), (4, "a"), (0, "")]
)
def test_a_text_is_cut_at_the_end_of_a_word(limit: int, expected: str) -> None:
    assert truncate("a dog runs", limit) == expected


def test_a_caption_of_the_longest_length_stays_whole() -> None:
    assert apply_trigger_words("x" * CAPTION_CAP) == "x" * CAPTION_CAP and CAPTION_CAP == 2000
    assert apply_trigger_words("x" * 1995, ("sks",)) == "sks, " + "x" * 1995
    assert apply_trigger_words("x" * 1996, ("sks",)) == "sks, " + "x" * 1995
