"""Words that a model with a small vocabulary does not know."""

from __future__ import annotations

import time

import pytest

from limner.core.unknown_words import FUNCTION_WORDS, NEAREST, describe_words, nearest_word, unknown_words, words_of

KNOWN = words_of(["a photo of a cat", "on the beach", "a corgi", "wearing a top hat", "grey", "watercolour"])
SYNONYMS = {"puppy": "dog", "kitten": "cat"}


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a photo of a cat on the beach", []),
        ("A Photo of a CAT, on the Beach!", []),
        ("an astronaut riding a horse", ["astronaut", "riding", "horse"]),
        ("a horse and a horse and Horse", ["horse"]),
        ("3 cats, 4k", ["cats", "4k"]),
        ("a cat's hat", ["cat's"]),
        ("", []),
        ("a cat BREAK on the beach, BREAK", []),
        ("a break, breakfast, BREAKS", ["break", "breakfast", "breaks"]),
        ("кот на пляже", ["кот", "на", "пляже"]),
    ],
)
def test_words_that_name_something_and_are_not_known(text: str, unknown: list[str]) -> None:
    assert unknown_words(text, KNOWN) == unknown


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("corgy", "corgi"),
        ("gray", "grey"),
        ("watercolor", "watercolour"),
        ("cats", "cat"),
        ("puppy", "dog"),
        ("kittens", "cat"),
        ("puppy's", "dog"),
        ("horse", None),
        ("astronaut", None),
    ],
)
def test_the_nearest_known_word(word: str, near: str | None) -> None:
    assert nearest_word(word, KNOWN, SYNONYMS) == near


def test_function_words_are_lower_case_and_name_nothing_that_is_seen() -> None:
    assert all(word == word.casefold() for word in FUNCTION_WORDS)
    assert not FUNCTION_WORDS & {"cat", "red", "beach", "night", "wearing"}


def test_the_first_unknown_words_are_named_and_the_others_counted() -> None:
    every = [f"word{number}x" for number in range(NEAREST + 2)]
    assert describe_words(every, KNOWN, {}).endswith(f"'word{NEAREST - 1}x' and 2 more")
    assert "more" not in describe_words(every[:NEAREST], KNOWN, {})
    assert describe_words(["corgy"], KNOWN, {}) == "'corgy' (nearest: 'corgi')"
    assert len(describe_words(["x" * 5000], KNOWN, {})) < 60


def test_a_long_prompt_is_checked_quickly() -> None:
    began = time.monotonic()
    described = describe_words(unknown_words(" ".join(f"w{n}" for n in range(5_000)) + "'" * 10_000, KNOWN), KNOWN, {})
    assert described.endswith("and 4992 more") and time.monotonic() - began < 1
