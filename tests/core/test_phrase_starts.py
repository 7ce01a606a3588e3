"""Texts that are ruled out by their tokens have no phrase: the judgement is that of the whole search, always."""

# ruff: noqa: RUF001  (look-alike letters are tested here)
from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core import phrase_starts
from limner.core.blocked_words import pattern_of, token_words, unweighted
from limner.core.moderation import JudgeFunction
from limner.core.phrase_starts import LONGEST, PhraseStarts
from limner.plugins.checks import words
from limner.plugins.checks.words import LIST, plugin

ADDED = (
    "teapot",
    "*pot of tea",
    "red* *car",
    "r2 d2",
    "{age} cars",
    "猫 cat",
    "ab猫",
    "x",
    "o o o",
    "1 2",
    "ñandú s",
    "it s",
)
ALLOWED = ("naked tree", "nude*", "gore", "old 猫")


def judges(**options: tuple[str, ...]) -> tuple[JudgeFunction, JudgeFunction]:
    """A judge, and one that searches every text."""
    judge = plugin.ready(plugin.Options(**options))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "PhraseStarts", lambda starts: SimpleNamespace(may_be_in=lambda base: True))
        return judge, plugin.ready(plugin.Options(**options))


PAIRS = [judges(), judges(add=ADDED), judges(add=ADDED, allow=ALLOWED), judges(add=("*tea*", "a"))]
CONTENT = yaml.safe_load(LIST.read_text(encoding="utf-8"))
PHRASES = [*ADDED, *ALLOWED]
for fields in CONTENT.values():
    PHRASES += [
        *fields["phrases"],
        *fields.get("unless", ()),
        *(each for group in fields.get("together", ()) for each in group),
    ]
PIECES = [
    *{word for phrase in PHRASES for word in phrase.replace("*", "ing").replace("{age}", "7").split()},
    *[
        "a",
        "i",
        "s",
        "o",
        "x",
        "1",
        "2",
        "8k",
        "35mm",
        "it's",
        "don't",
        "!",
        "!!",
        ".",
        ",",
        "-",
        "_",
        "*",
        "(",
        ")",
        "[",
        "]",
        ":1.2)",
        "(x:0.9)",
        ":",
        "1",
        ")",
        "50%",
        "+",
        "|",
        "$",
        "@",
        "é",
        "ſ",
        "ı",
        "І猫",
        "cat",
        "dog",
        "red",
    ],
    "\t",
    "\u200b",
    "\u00ad",
    "\u3000",
    "\x1c",
    "\x00",
    "\ud800",
]
"""Words of all phrases, and what disguises them."""
FIGURES = str.maketrans("oeastgl", "03457g1")


def disguised(chance: random.Random) -> str:
    """A text of words of phrases and others, with signs, figures, capitals, doubled and missing letters."""
    found = []
    for _ in range(chance.randint(1, 7)):
        piece = chance.choice(PIECES)
        if chance.random() < 0.3 and len(piece) > 1:
            at = chance.randrange(1, len(piece))
            piece = chance.choice([
                piece[:at] + chance.choice(PIECES[-60:]) + piece[at:],
                piece.translate(FIGURES),
                piece.upper(),
                " ".join(piece),
                piece[:at] + piece[at - 1 :],
                piece[:at] + piece[at] * 7 + piece[at:],
                piece + str(chance.randrange(30)),
                piece[:at] + " " + piece[at:],
                piece[:at] + piece[at + 1 :],
            ])  # fmt: skip
        found.append(piece)
    return "".join(piece + chance.choice(["", " ", " ", " ", " ", "  ", "-", ",", ", "]) for piece in found)


@pytest.mark.parametrize("seed", range(4))
def test_the_judgement_is_that_of_the_whole_search(seed: int) -> None:
    chance, (judge, whole) = random.Random(seed), PAIRS[seed]
    refused = 0
    for _ in range(300):
        text = disguised(chance)
        expected = whole(text)
        assert judge(text) == expected, text
        refused += expected.category is not None
    assert refused >= 30, "the texts have phrases"


@settings(deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join))
def test_any_text_is_judged_as_by_the_whole_search(text: str) -> None:
    for judge, whole in PAIRS[:3]:
        assert judge(text) == whole(text)


PLAIN = PhraseStarts([[pattern_of("corgi")], [pattern_of("red"), pattern_of("car")]])


@pytest.mark.parametrize(
    ("text", "searched"),
    [
        ("a fluffy dog on the beach, golden hour (8k:1.2), it's 35mm!", False),
        ("a CORGI", True),
        ("a c0rgi", True),
        ("a cor-gi", True),
        ("a corgis", False),
        ("a red dog", False),
        ("a red dog in a car", True),
        ("c o r g i", True),
        ("a 2 b", True),
        ("a, x-ray", True),
        ("a dog, x-ray", False),
        ("a -- x", True),
        ("u.s. army", True),
        ("猫", True),
        ("café", False),
        ("", False),
        ("x" * LONGEST, False),
        ("x" * (LONGEST + 1), True),
    ],
)
def test_only_texts_that_may_have_a_phrase_are_searched(text: str, searched: bool) -> None:
    assert PLAIN.may_be_in(unweighted(text)) == searched


def test_the_words_of_a_token_are_those_of_all_variants() -> None:
    found = token_words("add-l0ll!")
    assert found is not None and {"aD", "l0ll", "lollı", "addlollı", "lll"} <= found.words
    assert (found.first, found.last, found.solid) == (False, False, True)
    assert token_words("12") is None and token_words("u.s.") is None and token_words("猫") is None


def test_kept_tokens_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert phrase_starts.LONGEST * phrase_starts.MOST < 10 * 2**20
    monkeypatch.setattr(phrase_starts, "MOST", 50)
    starts = PhraseStarts([[pattern_of("corgi")]])
    for number in range(200):
        starts.may_be_in(f"{number}cats {number}x{'y' * 100}")
    assert starts._facts.cache_info().currsize == 50
