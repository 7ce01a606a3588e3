"""Puts trigger words into captions, and removes banned words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from limner.core.errors import LimnerError
from limner.core.text import article, clean_line, whole_words
from limner.data.entries.annotations import CAPTION_CAP

_READ = 8 * CAPTION_CAP
"""Characters of a text that are read, including white space and characters that a caption cannot contain."""
_DANGLING = frozenset(
    "a an the and or with without wearing in on at of by near from to its his her their".split()  # noqa: SIM905
)
_ARTICLE = re.compile(r"(?:^|(?<=\s))(an?)$", re.I)
_LINK = re.compile(r"(?:of|in|on|at|with|by|near|from)\s+", re.I)


def apply_trigger_words(
    text: str,
    trigger: Sequence[str] = (),
    ban: Sequence[str] = (),
    identifier: str | None = None,
    class_word: str | None = None,
) -> str:
    """A caption on one line with its trigger words and without banned words, at most CAPTION_CAP characters.

    identifier: the identifier token of DreamBooth (Ruiz et al. 2022, arXiv 2208.12242). If it is missing, it is
    inserted before the first class word, which loses its article: "a dog on the beach" -> "sks dog on the beach", "an
    old dog" -> "an old sks dog". These are the words of prompts such as "a photo of sks dog". A caption without the
    class word gets both in front: "sks dog, running on the beach".

    trigger: each missing one is put in front with a comma, in their order, as is usual for LoRAs.

    ban: removed as whole words in any case; "dog" removes "Dog" and "dog's", but not "dogs" or "dog-like". Commas,
    "an", and words like "with" that nothing follows are corrected; a sentence that loses its verb is not. Parts of the
    identifier and of trigger words stay.

    Words are delimited by spaces and punctuation: in languages without spaces no word is found inside a text. Applying
    it twice changes nothing more. Raises LimnerError if the trigger words alone are too long.
    """
    name, subject = clean_line(identifier or ""), clean_line(class_word or "")
    kept = tuple(word for each in (name, *trigger) if (word := clean_line(each)))
    lead = f"{name} {subject}".strip() if name else ""
    if len(", ".join((lead, *kept))) > CAPTION_CAP:
        raise LimnerError(f"the trigger words are longer than the {CAPTION_CAP:,} characters of a caption", "use fewer")
    caption = truncate(clean_line(text[:_READ]), CAPTION_CAP)
    while len(whole := _with_words(caption, kept, lead, subject)) > CAPTION_CAP:
        caption = truncate(caption, len(caption) - (len(whole) - CAPTION_CAP))
    return _without_banned(whole, [word for each in ban if (word := clean_line(each))], kept)


def truncate(text: str, limit: int) -> str:
    """The beginning of a text, at most `limit` characters, cut at the end of a word if possible."""
    if len(text) <= limit:
        return text
    head = text[: max(limit, 0)]
    whole = head if text[len(head)].isspace() else head.rpartition(" ")[0]
    return (whole or head).rstrip(" ,;:")


def contains_words(text: str, word: str) -> bool:
    """Whether a text contains a word, or several words in this order, in any case."""
    return whole_words(word).search(text) is not None


@lru_cache(256)
def _banned(word: str) -> re.Pattern[str]:
    """Matches the word and its genitive, but not as a part of a hyphenated word."""
    return re.compile(rf"(?<!\w)(?<!\w[-'\u2019]){_spaced(word)}(?:['\u2019]s)?(?!\w|[-'\u2019]\w)", re.IGNORECASE)


def _spaced(word: str) -> str:
    return r"\s+".join(map(re.escape, word.split()))


def _with_words(text: str, kept: Sequence[str], lead: str, class_word: str) -> str:
    """The text with all required words. lead: identifier and class word, "" if there are none."""
    if lead and not contains_words(text, kept[0]):
        text = _with_identifier(text, kept[0], class_word) or _before(lead, text)
    for word in reversed(kept):
        if not contains_words(text, word):
            text = _before(word, text)
    return text


def _with_identifier(text: str, identifier: str, class_word: str) -> str | None:
    """The text with the identifier before its first class word; None if it has no class word."""
    found = re.search(rf"(?<!\w)(?:(?:an?|the)\s+)?({_spaced(class_word)})(?!\w)", text, re.I) if class_word else None
    return f"{text[: found.start()]}{identifier} {text[found.start(1) :]}" if found else None


def _before(word: str, text: str) -> str:
    return f"{word}, {text}" if text else word


def _without_banned(text: str, ban: Iterable[str], kept: Sequence[str]) -> str:
    """The text without banned words, repeated: removing one may join two halves of another."""
    patterns = [_banned(word) for word in ban]
    held = [whole_words(word) for word in kept]
    while spans := next((found for pattern in patterns if (found := _free(text, pattern, held))), None):
        for start, end in reversed(spans):
            text = _joined(text[:start].rstrip(), text[end:].lstrip(), held)
    return text


def _free(text: str, pattern: re.Pattern[str], held: Sequence[re.Pattern[str]]) -> list[tuple[int, int]]:
    """The spans of a pattern that overlap none of the required words."""
    found = [match.span() for match in pattern.finditer(text)]
    stay = [match.span() for each in held for match in each.finditer(text)] if found else []
    return [(start, end) for start, end in found if not any(start < last and first < end for first, last in stay)]


def _joined(before: str, after: str, held: Sequence[re.Pattern[str]]) -> str:
    """The texts before and after a removed word, with corrected grammar unless that removes a required word."""
    plain = f"{before} {after}".strip()
    corrected = _corrected(before, after)
    return corrected if all(each.search(corrected) or not each.search(plain) for each in held) else plain


def _corrected(before: str, after: str) -> str:
    """The texts before and after a removed word, joined with corrected articles, commas and prepositions."""
    if before.endswith("(") and after.startswith(")"):
        before, after = before[:-1].rstrip(), after[1:].lstrip()
    if (lone := _ARTICLE.search(before)) and (link := _LINK.match(after)):  # of "a photo of a dog" without "photo"
        before, after = before[: lone.start()].rstrip(), after[link.end() :]
    if not after or after[0] in ",.;:!?)":
        before = _without_dangling(before)
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


def _without_dangling(text: str) -> str:
    """The text without final words that something must follow, such as "with"."""
    end = len(text)
    for word in reversed(text.split()):
        if word.lower() not in _DANGLING:
            break
        end = text.rindex(word, 0, end)
    return text if end == len(text) else text[:end].rstrip()
