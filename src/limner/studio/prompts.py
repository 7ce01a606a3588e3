"""The structure of prompts, and prompts changed by it, as surfaces use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.discover import Filters
from limner.core.errors import LimnerError, unknown
from limner.data.prompts import rewriting
from limner.data.prompts.structure import ARTIST, NEGATIVE, SUBJECT, structure_of
from limner.data.prompts.words import PARTS
from limner.studio.discover import StudioDiscover

__all__ = ["ARTIST", "NEGATIVE", "PARTS", "SUBJECT", "PromptPiece"]
SEARCHED = 96
"""Prompts in which words of a part are looked for."""
LONGEST_WORDS = 120
"""Characters of the longest piece that is offered."""


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """A piece of a prompt: its characters from `start` to before `end`."""

    start: int
    end: int
    part: str
    text: str


def pieces_of(prompt: str) -> list[PromptPiece]:
    """The pieces of a prompt, in their order; they never overlap."""
    pieces = structure_of(prompt).pieces
    return [PromptPiece(each.start, each.end, each.part, prompt[each.start : each.end]) for each in pieces]


def artists_in(prompt: str) -> list[str]:
    """The names of artists in a prompt, each once."""
    return list(dict.fromkeys(structure_of(prompt).of(ARTIST)))


def with_part(prompt: str, part: str, text: str) -> str:
    """The prompt with a text in place of a part; an empty one removes it. Raises LimnerError for an unknown part."""
    if part not in PARTS:
        raise unknown("part", part, PARTS)
    return rewriting.replaced(prompt, part, text)


def with_pieces(prompt: str, texts: Mapping[int, str]) -> str:
    """The prompt with other texts for some pieces, by their number in `pieces_of`; an empty one removes it."""
    return rewriting.with_pieces(prompt, texts)


def style_template(prompt: str) -> str:
    """The prompt without its subject and setting; "{}" stands for another subject."""
    return rewriting.style_of(prompt)


def in_style_of(prompt: str, subject: str) -> str:
    """What else the style of a prompt can show: the prompt with `subject` for its subject and setting.

    Raises LimnerError for a blank subject.
    """
    if not subject.strip():
        raise LimnerError("nothing is said that the image should show", "write it, such as: a red mug on a table")
    return style_template(prompt).replace(rewriting.PLACEHOLDER, subject.strip(), 1)


def with_subject(prompt: str, identifier: str, class_word: str) -> str:
    """The prompt with "IDENTIFIER CLASS-WORD" in place of its subject, or of what has this class in it."""
    if not identifier.strip():
        raise LimnerError("the subject has no identifier", "give the identifier that it was taught with, such as sks")
    return rewriting.with_subject(prompt, identifier.strip(), class_word.strip())


def words_of_part(
    discover: StudioDiscover, caller: Caller, part: str, text: str, limit: int = 8, filters: Filters | None = None
) -> list[str]:
    """Pieces of a part among the prompts that fit a text, best first: those with its words, then the frequent ones.

    Raises LimnerError for an unknown part.
    """
    if part not in PARTS:
        raise unknown("part", part, PARTS)
    wanted = text.casefold().split()
    counts: dict[str, tuple[int, int, int, str]] = {}
    for place, hit in enumerate(discover.search(caller, text, filters or Filters(), SEARCHED)):
        for each in structure_of(hit.text).of(part):
            key = " ".join(each.casefold().split())
            if not key or len(each) > LONGEST_WORDS or key == " ".join(wanted):
                continue
            has = sum(word in key for word in wanted)
            count, _, first, shown = counts.get(key, (0, 0, place, each))
            counts[key] = (count + 1, has, first, shown)
    best = sorted(counts.values(), key=lambda found: (-found[1], -found[0], found[2]))
    return [_within(shown, text) for *_, shown in best[:limit]]


def _within(words: str, replaced: str) -> str:
    """Words that may have begun a prompt, as they are written in place of others: "A cat" as "a cat"."""
    article, space, rest = words.partition(" ")
    return words if replaced[:1].isupper() or article not in ("A", "An", "The") else f"{article.lower()}{space}{rest}"
