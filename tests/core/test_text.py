"""English put together by machine: articles, single lines, punctuation."""

from __future__ import annotations

import pytest

from limner.core.text import article, clean_line, counted, fix_punctuation

AN = (
    "apple eagle icon owl umbrella uncle urn hour honest heir oneiric undo unidentified unimportant uninteresting Akita"
)
A = "dog husky house once one-eyed unicorn uniform university user usual utility ufo ubiquitous european Yak x-ray"


@pytest.mark.parametrize("word", AN.split())
def test_an_stands_before_a_vowel_that_is_heard(word: str) -> None:
    assert article(word) == article(word.upper()) == "an"


@pytest.mark.parametrize("word", [*A.split(), "", "1st"])
def test_a_stands_before_all_else(word: str) -> None:
    assert article(word) == article(word.upper()) == "a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a\tdog\r\n on  grass ", "a dog on grass"),
        ("a\x00b\x1b[31mc", "a b [31mc"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_a_text_is_one_line(text: str, expected: str) -> None:
    assert clean_line(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog , on  grass .", "a dog, on grass."),
        ("a dog,, , on grass", "a dog, on grass"),
        (", a dog,", "a dog"),
        ("a dog ;.", "a dog."),
        ("1.5 times", "1.5 times"),
        ("a dog!", "a dog!"),
    ],
)
def test_punctuation_is_fixed_where_something_was_left_out(text: str, expected: str) -> None:
    assert fix_punctuation(text) == expected


@pytest.mark.parametrize(("number", "text"), [(0, "0 pairs"), (1, "1 pair"), (2, "2 pairs"), (12345, "12,345 pairs")])
def test_one_thing_is_no_plural(number: int, text: str) -> None:
    assert counted(number, "pair") == text
