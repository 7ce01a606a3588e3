"""How a segment of a prompt is cut into phrases: at prepositions and the like, and at names of artists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from limner.data.prompts.lexicon import WORD, Hit, lexicon, normal
from limner.data.prompts.words import PARTS

SUBJECT, MEDIUM, STYLE, LIGHTING, COMPOSITION, SETTING, COLOUR, QUALITY, ARTIST, NEGATIVE = PARTS
PLACE = "place"
"""Part of a phrase that names a place, before it is known whether it is the setting or the subject."""
SURFACE = "surface"
"""Part of a noun that names a place only after a preposition, as in "on a table"."""
PLACES = frozenset((SETTING, PLACE, SURFACE))
REFUSING = frozenset(("negative", "excluding", "refusing"))
"""Kinds of openers before what the image must not contain."""
UNREFUSED = frozenset(["one", "longer", "end", "doubt", "matter", "stopping"])
"""Words after "no" and "without" that refuse nothing."""
PARTICLES = frozenset(
    [
        "van",
        "von",
        "der",
        "den",
        "de",
        "da",
        "di",
        "del",
        "della",
        "la",
        "le",
        "of",
        "du",
        "des",
        "el",
        "al",
        "bin",
        "ibn",
        "y",
        "ter",
        "ten",
        "the",
        "dos",
    ]
)
"""Words of names in lower case."""
LONGEST_NAME = 6
"""Words of the longest name of an artist."""
COUNTED = frozenset(("a", "an", "the", "two", "three", "four", "five", "six", "several", "some"))
"""Words with which the subject of a clause begins."""
PERSON = re.compile(r"\w{4,}(?:ner|cher|ker|ter|der|ger|per|ist|man|woman|smith)")
"""What most words for people look like, such as "cleaner"."""
NEAR = 4
"""Words in which its noun is."""
BEFORE_ARTICLES = frozenset(("all", "both", "half", "such", "like", "quite", "many", "what", "of", "as", "than"))
"""Words before an article that begins no clause."""
FIRST, TERM, REST = "", "term", "rest"
"""Kinds of phrases without an opener: at the beginning, a known term, and what comes after a term or a name."""


@dataclass(frozen=True)
class Phrase:
    """Words of a segment. Its opener, such as "in front of", goes from the word `start` to before `inner`.

    kind: of the opener in `structure.yaml`; "artist" for a name.
    """

    start: int
    inner: int
    end: int
    kind: str


class Text:
    """The words of a segment with their places in the prompt, and the known terms among them."""

    def __init__(self, prompt: str, start: int, end: int) -> None:
        found = list(WORD.finditer(prompt, start, end))
        self.prompt = prompt
        self.spans = [word.span() for word in found]
        self.words = [normal(word[0]) for word in found]
        self.hits = {hit.start: hit for hit in lexicon().hits(self.words)}
        self.ends = {hit.end: hit for hit in self.hits.values()}
        self.within = {place for hit in self.hits.values() for place in range(hit.start + 1, hit.end)}

    def is_capital(self, place: int) -> bool:
        return self.prompt[self.spans[place][0]].isupper()

    def is_compound(self, place: int) -> bool:
        """Whether a hyphen joins the word to one beside it."""
        start, end = self.spans[place]
        return "-" in (self.prompt[max(0, start - 1) : start], self.prompt[end : end + 1])

    def is_animate(self, place: int) -> bool:
        """Whether the word is a person or an animal, and not in a term such as "god rays"."""
        single = place not in self.within and (place not in self.hits or self.hits[place].end == place + 1)
        return single and lexicon().holds("animate", self.words[place])


def phrases(text: Text, first: int, has_case: bool) -> Iterator[Phrase]:
    """The phrases from the word `first` on. has_case: whether capital letters tell names from other words."""
    start = inner = place = first
    kind, named = FIRST, -1
    while place < len(text.words):
        opener = _opener(text, place, first)
        hit = text.hits.get(place)
        if opener and not (hit and hit.end - place > opener[0]):
            if place > start:
                yield Phrase(start, inner, place, kind)
            credits_one = opener[1] in ("credited", "styled") or (opener[1] == "joining" and named == place)
            start, kind = place, opener[1]
            inner = place = place + opener[0]
            named = _end_after(text, inner, kind, has_case) if credits_one else -1
            if named > inner:
                yield Phrase(start, inner, named, ARTIST)
                start = inner = place = named
                kind = REST
        elif hit and _is_apart(text, hit, first):
            if place > start:
                yield Phrase(start, inner, place, kind)
            yield Phrase(place, place, hit.end, ARTIST if hit.part == ARTIST else TERM)
            start = inner = place = hit.end
            kind, named = REST, hit.end if hit.part == ARTIST else -1
        elif (kind == REST or (kind == "locative" and inner < place)) and _begins_clause(text, place, first, start):
            if place > start:
                yield Phrase(start, inner, place, kind)
            start = inner = place
            kind = FIRST
        else:
            place = hit.end if hit else place + 1
    if place > start:
        yield Phrase(start, inner, place, kind)


def _begins_clause(text: Text, place: int, first: int, start: int) -> bool:
    """Whether a clause begins after a setting without a comma: "at night a cleaner mops the floor".

    A person or an animal follows, or an article after a noun that has one: "in the garden the roses bloom".
    """
    if start > first + NEAR or text.words[place] not in COUNTED:
        return False
    if start == first and text.words[place] in ("a", "an", "the") and text.words[place - 1] not in BEFORE_ARTICLES:
        return any(word in COUNTED for word in text.words[start : place - 1])
    near = range(place + 1, min(place + NEAR, len(text.words)))
    return any(text.is_animate(word) or PERSON.fullmatch(text.words[word]) for word in near)


def end_of_name(text: Text, start: int, has_case: bool) -> int:
    """The end of the name of an artist that begins here; `start` where none does."""
    hit = text.hits.get(start)
    if hit and hit.part == ARTIST:
        return hit.end
    if not has_case or (hit and hit.part == SETTING):
        return start
    end = start
    for place in range(start, min(start + LONGEST_NAME, len(text.words))):
        if text.is_capital(place):
            end = place + 1
        elif text.words[place] not in PARTICLES or place == start:
            break
    return start if lexicon().head(text.words[start:end]) in PLACES else end


def _end_after(text: Text, start: int, kind: str, has_case: bool) -> int:
    """The end of the name after "by" and the like; `start` or less where none follows."""
    end = _end_of_surname(text, start) if kind != "joining" else 0
    end = max(end, end_of_name(text, start, has_case))
    goes_on = end < len(text.words) and end not in text.ends and not _opener(text, end, 0)
    return -1 if kind == "styled" and goes_on else end


def _end_of_surname(text: Text, start: int) -> int:
    """The end of the last name of a known artist, as in "van Gogh's"; 0 where none begins here."""
    place = start
    while place < len(text.words) - 1 and text.words[place] in PARTICLES:
        place += 1
    forms = text.words[place : place + 1] and (text.words[place], text.words[place].removesuffix("s"))
    return place + 1 if any(form in lexicon().surnames for form in forms) else 0


def _opener(text: Text, place: int, first: int) -> tuple[int, str] | None:
    """How many words open a phrase here, and their kind."""
    if place in text.within or text.is_compound(place) or _is_between_colours(text, place):
        return None
    for words, kind in lexicon().openers.get(text.words[place], ()):
        end = place + len(words)
        if tuple(text.words[place:end]) == words and (place == first or kind != "refusing"):
            acts = words == ("without",) and end < len(text.words) and text.words[end].endswith("ing")
            refuses = end < len(text.words) and not acts and text.words[end] not in UNREFUSED
            return (len(words), kind) if refuses or kind not in REFUSING else None
    return None


def _is_between_colours(text: Text, place: int) -> bool:
    """Whether the word joins colours, as in "pink and green" and "shades of blue"."""
    known = lexicon()
    if not 0 < place < len(text.words) - 1:
        return False
    before, after = text.words[place - 1], text.words[place + 1]
    if text.words[place] in ("and", "or"):
        return known.holds("colour names", before) and known.holds("colour names", after)
    return text.words[place] == "of" and before in known.words["colour shades"]


def _is_apart(text: Text, hit: Hit, first: int) -> bool:
    """Whether a term is a phrase of its own: an artist, and what begins with a preposition ("from above")."""
    count = hit.end - hit.start
    if hit.part == ARTIST:
        return count > 1 or (hit.start == first and hit.end == len(text.words))
    return count > 1 and lexicon().opens(text.words[hit.start])
