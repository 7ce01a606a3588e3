"""Trigger words and banned words of captions."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core.errors import LimnerError
from limner.data.captions.trigger_words import apply_trigger_words, contains_words, truncate
from limner.data.entries.annotations import CAPTION_CAP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a photo of a dog", "a photo of sks dog"),
        ("An old Dog on the beach", "An old sks Dog on the beach"),
        ("the dog beside another dog", "sks dog beside another dog"),
        ("a photo of SKS dog", "a photo of SKS dog"),
        ("running on the beach", "sks dog, running on the beach"),
        ("two dogs, a dogged cat", "sks dog, two dogs, a dogged cat"),
        ("", "sks dog"),
    ],
)
def test_the_identifier_stands_before_the_class_word(text, expected):
    assert apply_trigger_words(text, identifier="sks", class_word="dog") == expected


def test_an_identifier_without_a_class_word_stands_in_front():
    assert apply_trigger_words("a dog", identifier="sks") == "sks, a dog"
    assert apply_trigger_words("a teddy  bear", identifier="zwx", class_word="teddy bear") == "zwx teddy bear"


def test_trigger_words_stand_in_front_in_their_order():
    assert apply_trigger_words("a cat", ("neon style", "zwx")) == "neon style, zwx, a cat"
    assert apply_trigger_words("a cat in Neon  style", ("neon style", "zwx")) == "zwx, a cat in Neon style"


@pytest.mark.parametrize(
    ("text", "ban", "expected"),
    [
        ("a photo of a dog", ["photo"], "a dog"),
        ("this is an old photo of a dog on grass", ["old photo"], "this is a dog on grass"),
        ("a red car, RED, on a road", ["red"], "a car, on a road"),
        ("an old dog", ["old"], "a dog"),
        ("An old dog", ["old"], "A dog"),
        ("a big orange ball", ["big"], "an orange ball"),
        ("a dog with sunglasses", ["sunglasses"], "a dog"),
        ("a dog in the park, sunny", ["park"], "a dog, sunny"),
        ("watermark, a dog.", ["watermark"], "a dog."),
        ("a dog, watermark.", ["watermark"], "a dog."),
        ("a dog (blurry) runs", ["blurry"], "a dog runs"),
        ("the dog's ball, dogs, dog-like", ["dog"], "the ball, dogs, dog-like"),
        ("high-quality photo, high quality", ["quality"], "high-quality photo, high"),
        ("a best quality photo", ["best  quality"], "a photo"),
        ("red red car car", ["red car"], ""),
        ("un café noir, CAFE\u0301", ["cafe\u0301"], "un noir"),
        ("redder shredder", ["red"], "redder shredder"),
        ("a dog", ["", " \n"], "a dog"),
        ("C++ code", ["C++"], "code"),
    ],
)
def test_banned_words_go_and_leave_no_trace(text, ban, expected):
    assert apply_trigger_words(text, ban=ban) == expected


def test_what_belongs_to_a_trigger_word_stays():
    assert apply_trigger_words("a dog and a dog", ("sks dog",), ("dog",)) == "sks dog"
    assert apply_trigger_words("a photo with sks", ("with sks",), ("photo",)) == "a with sks"


def test_hostile_texts_become_one_line():
    assert apply_trigger_words("a\x00dog\r\n\u202ewith\u2028a \x1b[31mhat\ud800") == "a dog with a [31mhat"
    assert apply_trigger_words("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"


def test_long_captions_are_cut_at_a_word_and_keep_their_trigger():
    long = "word " * 200_000 + "sks"
    begun = time.monotonic()
    caption = apply_trigger_words(long, ("sks",), ("banned",))
    assert time.monotonic() - begun < 1
    assert (
        caption.startswith("sks, word") and caption.endswith("word") and CAPTION_CAP - 10 < len(caption) <= CAPTION_CAP
    )
    assert len(long) > CAPTION_CAP >= len(caption)
    assert apply_trigger_words("x" * 9999) == "x" * CAPTION_CAP
    assert truncate("a dog runs", 6) == "a dog" == truncate("a dog runs", 5)
    assert apply_trigger_words("red car " * 5000, ban=("car red",)) == "red car"


def test_too_long_trigger_words_are_an_error():
    with pytest.raises(LimnerError, match=r"trigger words are longer than the 2,000"):
        apply_trigger_words("a dog", tuple(f"{number}" * 199 for number in range(11)))


SOME = st.text(alphabet=st.one_of(st.sampled_from("aAnsdog ,.;:()'-\n\x00e\u0301"), st.characters()), max_size=60)
WORDS = st.lists(
    st.sampled_from(("a", "dog", "sks", "with", "a dog", ",", "of a", "(", "e\u0301", ".", "sks dog", "ﬁ"))
)


@given(SOME | WORDS.map(" ".join), st.lists(SOME, max_size=2) | WORDS, WORDS, SOME | st.none(), SOME | st.none())
def test_what_was_worded_stays(text, trigger, ban, identifier, class_word):
    caption = apply_trigger_words(text, trigger, ban, identifier, class_word)
    assert apply_trigger_words(caption, trigger, ban, identifier, class_word) == caption
    assert caption == " ".join(caption.split()) and len(caption) <= CAPTION_CAP
    if not trigger and not identifier:
        assert not any(word.strip() and contains_words(caption, word) and word.isalpha() for word in ban)
