"""Parts of a prompt by the words of a phrase: its last words, their form, and known terms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from limner.data.prompts.lexicon import LONGEST_HEAD, lexicon
from limner.data.prompts.phrases import COLOUR, COMPOSITION, LIGHTING, MEDIUM, PLACE, QUALITY, SETTING, STYLE, Text

ARTICLES = frozenset(["a", "an", "the", "some", "any", "its", "his", "her", "their", "my", "our", "your"])
TRAILING = re.compile(
    r".{2,}(?:ing|ed|ly)|seen|shot|made|built|set|hung|torn|lit|overgrown|only|too|is|are|was|with|full"
)
"""Words after the noun of a phrase that do not change its part."""
DECADE = re.compile(r"(?:1[5-9]|20)\d0s")
FORMS = (
    (COMPOSITION, re.compile(r"\d{1,4}mm|f\d{0,2}")),
    (QUALITY, re.compile(r"\d{1,2}k|\d{3,4}p|\d{2,4}dpi|\d{2,3}mp")),
    (STYLE, re.compile(r"\w{2,20}(?:core|punk|wave)|\w{5,20}(?:ism|esque|istic|ous|ful)|" + DECADE.pattern)),
    (LIGHTING, re.compile(r"\w{2,12}(?:lit|lights?)")),
    (PLACE, re.compile(r"\w{2,12}(?:scape|yard|room|land|shop|house|side|field)")),
)
"""Parts by the form of the last word of a phrase."""
BEGINNING = frozenset((LIGHTING, COLOUR, COMPOSITION, PLACE, SETTING))
"""Parts of a later sentence by its first noun."""
EARLY = 6
"""Words at the beginning of a sentence among which its first noun is."""


def part_of_phrase(text: Text, start: int, end: int, by_most: bool) -> str:
    """The part that words without their opener name; "" for none. by_most: whether most words can decide."""
    known, words = lexicon(), text.words
    start = after_articles(text, start, end)
    while end - 1 > start and end not in text.ends and TRAILING.fullmatch(words[end - 1]):
        if known.head(words[max(start, end - LONGEST_HEAD) : end]):
            break
        end -= 1
    hit = text.ends.get(end)
    if hit and hit.start >= start:
        return hit.part
    head = known.head(words[max(start, end - LONGEST_HEAD) : end])
    if (end - start > 1 or not head) and _is_colour(words[start:end]):
        return COLOUR
    if head:
        return head
    if words[start] in known.words["medium brands"]:
        return MEDIUM
    if words[start] == "f" and words[end - 1].isdigit():
        return COMPOSITION
    by_form = next((part for part, form in FORMS if form.fullmatch(words[end - 1])), "")
    return by_form or (_by_most(text, start, end) if by_most else "")


def early_part(text: Text, start: int, end: int) -> str:
    """The part that the first noun names, as in "A rim light outlines the dome"; "" where it names none of these."""
    found = ""
    for place in range(start + 1, min(start + EARLY, end) + 1):
        hit = text.ends.get(place)
        part = hit.part if hit else lexicon().head(text.words[max(start, place - LONGEST_HEAD) : place])
        if text.words[place - 1] == "camera":
            part = COMPOSITION
        if found and part not in BEGINNING:
            break
        found = part if part in BEGINNING else found
    return found


def after_articles(text: Text, start: int, end: int) -> int:
    """The first word that is no article; the last word where all are."""
    while start < end - 1 and text.words[start] in ARTICLES:
        start += 1
    return start


def _by_most(text: Text, start: int, end: int) -> str:
    covered: Counter[str] = Counter()
    for place in range(start, end):
        if (hit := text.hits.get(place)) and hit.end <= end:
            covered[hit.part] += hit.end - hit.start
    part, count = max(covered.items(), key=lambda item: item[1], default=("", 0))
    return part if 2 * count > end - start else ""


def _is_colour(words: Sequence[str]) -> bool:
    """Whether the words are colours and their shades alone, as in "deep red" and "coral and sand"."""
    known = lexicon()
    if len(words) == 1 and known.holds("colour things", words[0]):
        return False
    names = [known.holds("colour names", word) for word in words]
    return names[-1] and all(
        name or word == "and" or word in known.words["colour shades"] for name, word in zip(names, words, strict=True)
    )
