"""What a text may be meant to say: each figure that stands for a letter, and each disguise, by itself."""

from __future__ import annotations

import pytest

from limner.core.blocked_words import fold, plain, variants


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("b0mb", "bomb"),
        ("h3llo", "hello"),
        ("h4te", "hate"),
        ("5hot", "shot"),
        ("7est", "test"),
        ("8omb", "bomb"),
        ("9rape", "grape"),
        ("h@te", "hate"),
        ("$hot", "shot"),
        ("h\u20acllo", "hello"),
        ("+est", "test"),
        ("k1ll", "kill"),
        ("ki1l", "kill"),
        ("k!ll", "kill"),
        ("ki|l", "kill"),
        ("hello2", "hello"),
        ("he-llo", "hello"),
        ("h.e.l.l.o", "hello"),
        ("h e l l o", "hello"),
        ("a h e l l o", "hello"),
        ("i h e l l o", "hello"),
        ("c a t", "cat"),
        ("a c a t", "cat"),
        ("my c a t", "my cat"),
        ("c a t now", "cat now"),
        ("h3llo!", "hello"),
        ("hellooo", "hello"),
        ("heeeello", "hello"),
        ("(hello:1.3)", "hello"),
        ("HE\u0301LLO", "hello"),
        ("\uff48ello", "hello"),
        ("he\u200bllo", "hello"),
        ("h\u0435llo", "hello"),
    ],
)
def test_each_disguise_is_seen_through(text: str, meant: str) -> None:
    assert meant in variants(text)


@pytest.mark.parametrize("text", ["1234", "50 %", "7", "1 + 1", "@"])
def test_figures_by_themselves_stay_figures(text: str) -> None:
    assert all(not any(letter.isalpha() for letter in read) for read in variants(text))


@pytest.mark.parametrize("text", ["i t", "go i t", "i t goes"])
def test_two_letters_are_not_a_word_spelt_out(text: str) -> None:
    assert not any("it" in read.split() for read in variants(text))


@pytest.mark.parametrize(("text", "not_meant"), [("ab c d", "abcd"), ("b c da", "bcda"), ("ab c d e", "abcde")])
def test_letters_are_not_joined_to_whole_words(text: str, not_meant: str) -> None:
    assert not_meant not in variants(text)


def test_the_plainest_reading_is_the_first() -> None:
    assert variants("A  Cat, on_the (Beach:1.2)!")[0] == plain("a cat on the beach") == "a cat on the beach"
    assert variants("good")[0] == "good" and "god" not in variants("good"), "two of a letter are as they are"
    assert fold("\u0130\u00df") == "iss"
