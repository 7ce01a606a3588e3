"""What a text may be meant to say: each figure that stands for a letter, and each disguise, by itself."""

from __future__ import annotations

import re

import pytest

from limner.core.blocked_words import fold, pattern_of, plain, variants
from limner.core.look_alikes import DIGITS, I_OR_L, LOOK_ALIKES


def reads(text: str, words: str) -> bool:
    """Whether some variant of a text is these words, and nothing else."""
    return any(re.fullmatch(pattern_of(words), variant) for variant in variants(text))


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
        ("hheelllloo", "hello"),
        ("hhello", "hello"),
        ("caat", "cat"),
        ("cllassrooom", "classroom"),
        ("gorre", "gore"),
        ("bommb", "bomb"),
        ("heello", "hello"),
        ("raping", "raping"),
        ("a kinng", "a king"),
        ("kkiingg", "king"),
        ("k111", "kill"),
        ("1i11|es", "lillies"),
        ("naz!", "nazi"),
        ("k1ng 5", "king s"),
        ("55 80175", "ss bolts"),
        ("hel(lo:1.3)", "hello"),
        ("(hel: -1.3 )lo", "hello"),
        ("[(he:1.1)ll:.5]o", "hello"),
        ("h e l l o y o u", "hello you"),
        ("h-e-l-l-o-y-o-u", "hello you"),
        ("h e l l o  t o  y o u", "hello to you"),
        ("helloyou", "hello you"),
        ("b\u0665x", "box"),
        ("\u0669 years", "9 years"),
        ("\u03f9at", "cat"),
        ("\u0406\u0399\uff29", "ill"),
        ("(hello:1.3)", "hello"),
        ("HE\u0301LLO", "hello"),
        ("\uff48ello", "hello"),
        ("he\u200bllo", "hello"),
        ("h\u0435llo", "hello"),
    ],
)
def test_each_disguise_is_seen_through(text: str, meant: str) -> None:
    assert reads(text, meant)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("good", "god"),
        ("rapping", "raping"),
        ("h.o.p.p.i.n.g", "hoping"),
        ("desserts", "deserts"),
        ("a princess", "a princes"),
        ("Ein Lolli", "ein loli"),
        ("pro Anna", "pro ana"),
        ("ten", "teen"),
        ("goo", "gooo"),
        ("1011", "loli"),
        ("12 10115 Berlin", "lolis"),
        ("12", "iz"),
        ("10 11", "loli"),
        ("| 10 | 1.5 | 0.7 |", "loli"),
        ("55 bolts", "ss bolts"),
        ("k, k, k", "kkk"),
        ("god good", "god god"),
        ("children sex", "child sex"),
    ],
)
def test_another_word_is_not_read(text: str, other: str) -> None:
    assert not any(re.search(rf"(?<!\w){pattern_of(other)}(?!\w)", variant) for variant in variants(text))


def test_each_look_alike_is_its_letter() -> None:
    letters = LOOK_ALIKES | DIGITS
    assert {sign: fold(f"x{sign}x") for sign in letters} == {sign: f"x{letter}x" for sign, letter in letters.items()}
    assert all(letter == I_OR_L or (letter.isascii() and letter.islower()) for letter in letters.values())


@pytest.mark.parametrize(("script", "letters"), [
    ("Lisu", "\ua4d0\ua4d3\ua4f0"), ("Armenian", "\u0585\u057d\u0570"), ("Cherokee", "\u13aa\u13d2\u13a5"),
    ("Coptic", "\u2c9e\u2ca5\u2c98"),
])  # fmt: skip
def test_scripts_with_look_alikes_are_known(script: str, letters: str) -> None:
    assert fold(letters).isascii() or I_OR_L in fold(letters), script


@pytest.mark.parametrize("text", ["1234", "50 %", "7", "@"])
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
    assert fold("\u0130\u00df") == "iss"
