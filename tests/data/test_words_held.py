"""When a caption holds a word: as a whole word, in any case, with any white space between several."""

from __future__ import annotations

import pytest

from limner.data.captions.trigger_words import cut, holds, worded
from limner.data.entries.notes import CAPTION_CAP


@pytest.mark.parametrize(
    "text",
    ["sks", "a photo of SKS", "Sks dog", "a dog (sks)", "sks, running", "sks's ball", "a sks-dog", "“sks”", "=sks="],
)
def test_a_whole_word_is_held(text: str) -> None:
    assert holds(text, "sks") and worded(text, ("sks",)) == text


@pytest.mark.parametrize(
    "text", ["asks a dog", "sksy", "tasks", "sks_dog", "sks2", "2sks", "säsks", "sksé", "s ks", ""]
)
def test_a_part_of_a_word_is_not(text: str) -> None:
    assert not holds(text, "sks")
    assert worded(text, ("sks",)) == (f"sks, {text}" if text else "sks")


def test_several_words_are_held_in_their_order() -> None:
    for text in ("neon style", "in Neon  STYLE!", "a neon\tstyle"):
        assert holds(text, "neon style")
    for text in ("style neon", "neon, style", "neon styles", "xneon style", "neon"):
        assert not holds(text, "neon style")


def test_signs_of_a_word_mean_themselves() -> None:
    assert holds("a.b", "a.b") and not holds("axb", "a.b")
    assert holds("(v1)", "(v1)") and not holds("v1", "(v1)")


@pytest.mark.parametrize(
    ("limit", "told"), [(10, "a dog runs"), (9, "a dog"), (6, "a dog"), (5, "a dog"), (4, "a"), (0, "")]
)
def test_a_text_is_cut_at_the_end_of_a_word(limit: int, told: str) -> None:
    assert cut("a dog runs", limit) == told


def test_a_caption_of_the_longest_length_stays_whole() -> None:
    assert worded("x" * CAPTION_CAP) == "x" * CAPTION_CAP and CAPTION_CAP == 2000
    assert worded("x" * 1995, ("sks",)) == "sks, " + "x" * 1995
    assert worded("x" * 1996, ("sks",)) == "sks, " + "x" * 1995
