"""Captions with the words that they shall hold, and without those that they shall not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from limner.core.errors import LimnerError
from limner.core.text import article, clean_line
from limner.data.entries.notes import CAPTION_CAP

_READ = 8 * CAPTION_CAP
"""Characters of a text that are looked at; white space and what a caption cannot hold are among them."""
_DANGLING = frozenset(
    "a an the and or with without wearing in on at of by near from to its his her their".split()  # noqa: SIM905
)
_ARTICLE = re.compile(r"(?:^|(?<=\s))(an?)$", re.I)
_LINK = re.compile(r"(?:of|in|on|at|with|by|near|from)\s+", re.I)


def worded(
    text: str,
    trigger: Sequence[str] = (),
    ban: Sequence[str] = (),
    identifier: str | None = None,
    class_word: str | None = None,
) -> str:
    """A caption on one line, with its trigger words and without its banned ones, of at most CAPTION_CAP characters.

    identifier: the made-up word of DreamBooth (Ruiz et al. 2022, arXiv 2208.12242). Where it is missing, it is put
    before the first class word, which loses its article: "a dog on the beach" -> "sks dog on the beach", "an old dog"
    -> "an old sks dog". So the words are those of "a photo of sks dog", by which the subject is asked for later. A
    caption without the class word gets both in front, "sks dog, running on the beach".

    trigger: each one that is missing is put in front with a comma, in their order, as is usual for LoRAs.

    ban: taken out as whole words in any case; "dog" takes "Dog" and "dog's" out, and not "dogs" or "dog-like". What
    stays behind is mended: commas, "an", and words like "with" that nothing follows. A sentence that loses its verb is
    not. What belongs to the identifier or to a trigger word stays.

    Words are what stands between spaces or signs: of languages written without spaces no word is found within a text.
    The same of a caption that was worded changes nothing. Raises LimnerError where trigger words alone are too long.
    """
    name, subject = clean_line(identifier or ""), clean_line(class_word or "")
    kept = tuple(word for each in (name, *trigger) if (word := clean_line(each)))
    lead = f"{name} {subject}".strip() if name else ""
    if len(", ".join((lead, *kept))) > CAPTION_CAP:
        raise LimnerError(
            f"the trigger words are longer than the {CAPTION_CAP:,} characters of a caption", "name fewer"
        )
    told = cut(clean_line(text[:_READ]), CAPTION_CAP)
    while len(put := _put_in(told, kept, lead, subject)) > CAPTION_CAP:
        told = cut(told, len(told) - (len(put) - CAPTION_CAP))
    return _taken_out(put, [word for each in ban if (word := clean_line(each))], kept)


def cut(text: str, limit: int) -> str:
    """The beginning of a text, of at most `limit` characters, up to the end of a word where there is one."""
    if len(text) <= limit:
        return text
    head = text[: max(limit, 0)]
    whole = head if text[len(head)].isspace() else head.rpartition(" ")[0]
    return (whole or head).rstrip(" ,;:")


def holds(text: str, word: str) -> bool:
    """Whether a text has a word, or several in their order, in any case."""
    return _held(word).search(text) is not None


@lru_cache(256)
def _held(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){_spaced(word)}(?!\w)", re.IGNORECASE)


@lru_cache(256)
def _banned(word: str) -> re.Pattern[str]:
    """The word by itself, with its genitive; no part of a word with a hyphen."""
    return re.compile(rf"(?<!\w)(?<!\w[-'\u2019]){_spaced(word)}(?:['\u2019]s)?(?!\w|[-'\u2019]\w)", re.IGNORECASE)


def _spaced(word: str) -> str:
    return r"\s+".join(map(re.escape, word.split()))


def _put_in(text: str, kept: Sequence[str], lead: str, class_word: str) -> str:
    """The text with all words that it shall hold. lead: identifier and class word, "" where there is none."""
    if lead and not holds(text, kept[0]):
        text = _named(text, kept[0], class_word) or _before(lead, text)
    for word in reversed(kept):
        if not holds(text, word):
            text = _before(word, text)
    return text


def _named(text: str, identifier: str, class_word: str) -> str | None:
    """The text with the identifier before its first class word; None where it has none."""
    found = re.search(rf"(?<!\w)(?:(?:an?|the)\s+)?({_spaced(class_word)})(?!\w)", text, re.I) if class_word else None
    return f"{text[: found.start()]}{identifier} {text[found.start(1) :]}" if found else None


def _before(word: str, text: str) -> str:
    return f"{word}, {text}" if text else word


def _taken_out(text: str, ban: Iterable[str], kept: Sequence[str]) -> str:
    """The text without banned words, looked for until none is left: taking out may bring two halves of one together."""
    patterns = [_banned(word) for word in ban]
    held = [_held(word) for word in kept]
    while spans := next((found for pattern in patterns if (found := _free(text, pattern, held))), None):
        for start, end in reversed(spans):
            text = _joined(text[:start].rstrip(), text[end:].lstrip(), held)
    return text


def _free(text: str, pattern: re.Pattern[str], held: Sequence[re.Pattern[str]]) -> list[tuple[int, int]]:
    """Where a pattern is found that touches none of the words that stay."""
    found = [match.span() for match in pattern.finditer(text)]
    stay = [match.span() for each in held for match in each.finditer(text)] if found else []
    return [(start, end) for start, end in found if not any(start < last and first < end for first, last in stay)]


def _joined(before: str, after: str, held: Sequence[re.Pattern[str]]) -> str:
    """What stood before and behind a word, mended where that costs none of the words that stay."""
    plain = f"{before} {after}".strip()
    mended = _mended(before, after)
    return mended if all(each.search(mended) or not each.search(plain) for each in held) else plain


def _mended(before: str, after: str) -> str:
    if before.endswith("(") and after.startswith(")"):
        before, after = before[:-1].rstrip(), after[1:].lstrip()
    if (lone := _ARTICLE.search(before)) and (link := _LINK.match(after)):  # of "a photo of a dog" without "photo"
        before, after = before[: lone.start()].rstrip(), after[link.end() :]
    if not after or after[0] in ",.;:!?)":
        before = _undangled(before)
    if not before or before[-1] in ",;:":
        after = after.lstrip(",;: ")
    if not before:
        return after.lstrip(".!? ")
    if not after or after[0] in ".!?":
        before = before.rstrip(",;: ")
    if found := _ARTICLE.search(before):
        right = article(after)
        before = before[: found.start()] + (right.capitalize() if found[1][0].isupper() else right)
    return before + ("" if not after or after[0] in ",.;:!?)" or before[-1] == "(" else " ") + after


def _undangled(text: str) -> str:
    """The text without the words at its end that something would have to follow."""
    end = len(text)
    for word in reversed(text.split()):
        if word.lower() not in _DANGLING:
            break
        end = text.rindex(word, 0, end)
    return text if end == len(text) else text[:end].rstrip()
