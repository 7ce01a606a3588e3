"""Searches with any text: nothing is read as an operator, nothing fails, and the work is bounded, not only the time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import limner
from limner.core.accounts import Caller
from limner.core.discover import LONGEST, Filters
from limner.core.errors import LimnerError
from limner.models import text_vectors
from limner.store.search.words import MAX_TERMS
from limner.studio.studio import Studio
from prompt_libraries import HOSTILE, QUERIES, add_library

OPERATORS = [*"\"'()[]{}+-*:^~\\/&|!?<>=@#$%;,.", "AND", "OR", "NOT", "TO", "IN", "text:", "row:1", "cat", "corgi", " "]
ODD = [
    "\0",
    "\ud800",
    "\udcff",
    "\u202e",
    "\u200b",
    "\ufeff",
    "e\u0301" * 40,
    "\ufdfa",
    "ﬀ",
    "İ",
    "猫",
    "🦄",
    "\U0010ffff",
    "\u0300",
]
TEXTS = st.text(max_size=200) | st.lists(st.sampled_from([*OPERATORS, *ODD]), max_size=60).map("".join)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("home"))
    add_library(studio, "collected", "a corgi on a beach", "a cat AND a (dog)", HOSTILE, "a red lamp")
    yield studio
    studio.store.close()


def found(studio: Studio, text: str) -> list[str]:
    return [hit.text for hit in studio.discover.search(Caller(), text, Filters())]


@given(text=TEXTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_finds_all_prompts(studio: Studio, text: str) -> None:
    assert len(found(studio, text)) == 4, "each is near in meaning, or any fits"


@pytest.mark.slow
@given(text=TEXTS, fill=st.sampled_from([*OPERATORS, *ODD]))
@settings(max_examples=200, deadline=None)
def test_any_long_text_finds_all_prompts(studio: Studio, text: str, fill: str) -> None:
    for long in ((text + fill) * (LONGEST // len(text + fill)), text + fill * ((LONGEST - len(text)) // len(fill))):
        assert len(found(studio, long)) == 4


@pytest.mark.parametrize(
    "text", ["corgi NOT beach", "-beach corgi", "row:1 corgi", '"beach corgi"', "text:corgi", "corgi~9", "+zebra corgi"]
)
def test_operators_are_words(studio: Studio, text: str) -> None:
    (first, *_) = studio.discover.search(Caller(), text, Filters())
    assert first.text == "a corgi on a beach" and "corgi" in first.words


def test_no_text_is_parsed_as_a_query() -> None:
    """tantivy's parser has operators and errors, so only terms are given to it."""
    sources = [path.read_text(encoding="utf-8") for path in Path(limner.__file__).parent.rglob("*.py")]
    assert not [source for source in sources if re.search(r"parse_query|regex_query", source)]


@pytest.mark.parametrize("text", [*QUERIES, " ".join(map(str, range(2000)))], ids=lambda text: ascii(text[:12]))
def test_the_work_of_a_search_is_bounded(studio: Studio, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """However long a text is, at most 64 words are looked for, and 2,000 characters of it are encoded."""
    index = studio.discover.upkeep.index
    assert len(index.terms(text[:LONGEST])) <= MAX_TERMS
    lengths, encoder = list[int](), text_vectors._encoder()

    class Counting:
        def embed(self, texts: list[str], norm: bool):
            lengths.extend(map(len, texts))
            return encoder.embed(texts, norm=norm)

    monkeypatch.setattr(text_vectors, "_encoder", Counting)
    found(studio, text[:LONGEST])
    assert lengths == ([min(len(text), text_vectors.LONGEST)] if text.strip() else [])


def test_a_text_that_is_too_long_is_refused(studio: Studio) -> None:
    with pytest.raises(LimnerError, match="the search has 10001 characters; use at most 10000"):
        found(studio, "a" * (LONGEST + 1))


QUICK = (1, 6, 7)
"""Places of searches that are quick tests too."""
SLOW = [
    pytest.param(text, marks=pytest.mark.slow, id=f"query {at}") for at, text in enumerate(QUERIES) if at not in QUICK
]


@pytest.mark.parametrize("query", [*(QUERIES[at] for at in QUICK), "\udcff", *SLOW])
def test_the_command_takes_any_text(limner, home, query: str) -> None:
    said = limner("discover", query)
    assert (said.code == 0) or (said.error and len(said.error.splitlines()) == 1), said
    assert "Traceback" not in said.out + said.err and "\x1b[31m" not in said.out + said.err
