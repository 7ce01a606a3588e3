"""Ages in the word list: below 18 is a child, in digits and words."""

from __future__ import annotations

import pytest

from limner.plugins.checks.words import compile_phrases, plugin

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
CHILD = [*map(str, range(1, 18)), *WORDS.split()]
ADULT = ["18", "19", "20", "21", "30", "70", "117", "160", "eighteen", "nineteen", "twenty", "0"]
JUDGE = plugin.ready(plugin.Options())


@pytest.mark.parametrize("age", CHILD)
def test_ages_below_18_are_children(age: str) -> None:
    assert compile_phrases(["{age} years old"]).search(f"she is {age} years old")
    assert JUDGE(f"nude, {age} years old").category == "sexual content with minors"


@pytest.mark.parametrize("age", ADULT)
def test_ages_from_18_are_not(age: str) -> None:
    assert not compile_phrases(["{age} years old"]).search(f"she is {age} years old")
    assert JUDGE(f"nude, {age} years old").category is None


@pytest.mark.parametrize("text", ["a 9 years old oak", "age 12 whisky", "{age} years old"])
def test_an_age_alone_is_allowed(text: str) -> None:
    assert JUDGE(text).category is None


def test_phrases_match_whole_words() -> None:
    found = compile_phrases(["rape", "child sex*", "*crime"])
    for text in ("rape", "a rape scene", "child sexual", "warcrime"):
        assert found.search(text), text
    for text in ("grape", "rapeseed", "drape", "children sex", "crimes"):
        assert not found.search(text), text
