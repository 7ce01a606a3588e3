"""Rules by which phrases become pieces of a prompt: one for each kind of words that open a phrase."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from limner.data.prompts.lexicon import LONGEST_HEAD, Hit, lexicon, singulars
from limner.data.prompts.phrase_parts import ARTICLES, DECADE, after_articles, early_part, part_of_phrase
from limner.data.prompts.phrases import (
    ARTIST,
    COLOUR,
    COMPOSITION,
    FIRST,
    LIGHTING,
    MEDIUM,
    PLACE,
    PLACES,
    QUALITY,
    REST,
    SETTING,
    STYLE,
    SUBJECT,
    SURFACE,
    TERM,
    Phrase,
    Text,
    end_of_name,
)

GAP = "gap"
"""Part of words that are in no piece."""
BACK = -1
"""Start of a mark that gives its part to the whole piece before."""
LEADING = (STYLE, COMPOSITION, QUALITY, COLOUR, LIGHTING)
"""Parts of words before a medium, as in "highly detailed photo", the strongest first."""
STYLED = frozenset(["style", "styled", "inspired", "like", "esque", "aesthetic"])
"""Words after the name of an artist that are no part of the image."""
VIEWING = frozenset(("from", "through", "in", "at"))
"""Words with which the composition begins in "seen from above"."""
WITHIN = frozenset(("in", "at", "inside", "against"))
"""Words after which a place is a setting of its own, even in a phrase of light: "soft light in a kitchen"."""
LOOKS = {
    STYLE: ("in",),
    QUALITY: ("in",),
    MEDIUM: ("in",),
    LIGHTING: ("in", "at", "by", "under", "beneath", "during", "before", "after", "around"),
}
"""Prepositions after which a phrase can be of the part; after others it is not: "saris on lines"."""
POSSESSIVES = frozenset(("its", "his", "her", "their"))
"""Words with which a later segment goes on about the subject."""
OWNERS = POSSESSIVES | frozenset(("my", "our", "your", "each", "one", "them", "him", "it"))
"""Words after a preposition that stay with the subject: "a dog under her arm"."""
FAR = frozenset(("background", "distance", "horizon"))
"""Last words after which a segment is the setting as a whole: "rolling hills in the distance"."""
BACKGROUNDS = frozenset(("background", "backdrop", "weather", "backgrounds"))
"""Last words of phrases that are never the subject."""
MONOCHROME = frozenset(("monochrome", "monochromatic", "grayscale", "sepia"))
"""Colours of the whole image, which leave the subject that they stand before."""
FORMS_OF = frozenset(
    f"{done} as" for done in ("rendered", "done", "drawn", "painted", "presented", "depicted", "shown", "executed")
) | {"in the form of", "in the medium of"}
"""Openers after which a thing is what the image is made as: "rendered as a Delft tile"."""
KEYWORDS = 3
"""Known terms of as many parts without a preposition between them are a list of keywords without commas."""
ADJECTIVE = re.compile(r"\w{3,}(?:ic|ical|ish|ive|esque|ian|ean|ional|ural|mental|ary)")
"""What most adjectives look like that are a segment of their own, as in "a bridge, nostalgic"."""
BETWEEN = frozenset(("and", "but", "yet", "very", "slightly", "quite", "somewhat", "rather", "subtly", "deeply"))
"""Words beside such adjectives."""
LOOKED_AT = 100
"""Words in which such terms are counted."""
LONGEST_MEASURE = 3
"""Words before "of" in "long shafts of sunlight"."""
LONGEST_CREDIT = 4
"""Words of a segment that is a name alone."""


@dataclass
class Seen:
    """What a prompt has said so far. last: the part of its last piece, or "".

    has_case: whether capital letters tell names from other words.
    """

    has_case: bool
    has_subject: bool = False
    last: str = ""


@dataclass(frozen=True)
class Mark:
    """Words of a segment that are a piece of a part."""

    start: int
    end: int
    part: str


Marks = Sequence[Mark]


@dataclass(frozen=True)
class Place:
    """A phrase where it stands. part: that its words name, or "". marks: the pieces of the segment before it.

    begins: whether a sentence begins with the segment.
    """

    text: Text
    phrase: Phrase
    marks: Marks
    seen: Seen
    begins: bool
    part: str

    @property
    def before(self) -> str:
        return self.marks[-1].part if self.marks else ""

    @property
    def opener(self) -> str:
        return self.text.words[self.phrase.start]

    @property
    def last(self) -> str:
        return self.text.words[self.phrase.end - 1]

    def is_worn(self) -> bool:
        """Whether a person or an animal comes before it, as in "a woman in red"."""
        return any(map(self.text.is_animate, range(self.marks[-1].start, self.marks[-1].end)))

    @property
    def lacks_subject(self) -> bool:
        return not self.seen.has_subject and all(mark.part != SUBJECT for mark in self.marks)

    def whole(self, part: str) -> Marks:
        """The phrase with its opener as a piece."""
        return (Mark(self.phrase.start, self.phrase.end, part),)

    def inner(self, part: str) -> Marks:
        """The phrase without its opener as a piece."""
        return (Mark(self.phrase.inner, self.phrase.end, part),)

    def known(self) -> Marks:
        """The phrase as a piece of the part that its words name."""
        begin = self.phrase.inner
        if self.part == MEDIUM:
            begin = after_articles(self.text, begin, self.phrase.end)
        return (Mark(begin, self.phrase.end, self.part),)


def marks_of(text: Text, phrase: Phrase, marks: Marks, seen: Seen, begins: bool) -> Marks:
    """The pieces that a phrase begins; none where it goes on with the piece before it."""
    if phrase.inner == phrase.end:
        return ()
    part = part_of_phrase(text, phrase.inner, phrase.end, bool(seen.last or marks))
    place = Place(text, phrase, marks, seen, begins, part)
    if phrase.kind != TERM and all(word in ARTICLES for word in text.words[phrase.inner : phrase.end]):
        return place.whole(GAP)
    return RULES[phrase.kind](place)


def _term(place: Place) -> Marks:
    part = place.text.hits[place.phrase.start].part
    if place.before == LIGHTING and place.opener == "from":
        return ()
    is_far = part == SETTING and place.last in FAR
    return (
        Mark(
            BACK if is_far and len(place.marks) == 1 and place.seen.has_subject else place.phrase.start,
            place.phrase.end,
            part,
        ),
    )


def _rest(place: Place) -> Marks:
    """What follows a name: of "style cat" in "Gustav Klimt style cat" the cat alone."""
    if place.before != ARTIST:
        return _joining(place)
    start, end = place.phrase.start, place.phrase.end
    while start < end and place.text.words[start] in STYLED:
        start += 1
    part = place.part or (SUBJECT if place.lacks_subject else "")
    return (Mark(start, end, part),) if part and start < end else ()


def _depicting(place: Place) -> Marks:
    measured = place.part in (LIGHTING, COLOUR, COMPOSITION, QUALITY) and place.before in (SUBJECT, PLACE)
    is_short = len(place.marks) == 1 and place.phrase.start - place.marks[0].start <= LONGEST_MEASURE
    if measured and place.seen.last and is_short:
        return (Mark(BACK, place.phrase.end, place.part),)
    if not place.before and not place.lacks_subject and place.opener != "of":
        return place.whole(GAP)  # "for a children's book"
    titled = place.lacks_subject and place.before not in (COLOUR, SUBJECT, SETTING, PLACE)
    return place.inner(SUBJECT) if not place.before or place.before == MEDIUM or titled else ()


def _viewed(place: Place) -> Marks:
    start, inner, end = place.phrase.start, place.phrase.inner, place.phrase.end
    named = place.part == COMPOSITION or lexicon().holds("composition from", place.last)
    if place.before == LIGHTING or not (named or inner - start > 1):
        return () if place.before else place.whole(SUBJECT)
    begin = next((word for word in range(start, inner) if place.text.words[word] in VIEWING), start)
    return (Mark(begin, end, COMPOSITION),)


def _locative(place: Place) -> Marks:
    on_colour = place.part == COLOUR and place.opener == "on" and place.before != COLOUR
    if on_colour or place.opener == "against" or DECADE.fullmatch(place.last):
        return place.whole(SETTING)
    if place.part in PLACES:
        return () if place.before == LIGHTING and place.opener not in WITHIN else place.whole(SETTING)
    if place.part == COLOUR and place.before == SUBJECT and place.opener == "in" and place.is_worn():
        return ()
    if place.part and place.opener in LOOKS.get(place.part, (place.opener,)):
        return place.whole(COMPOSITION) if place.part == COMPOSITION else place.known()
    opener = " ".join(place.text.words[place.phrase.start : place.phrase.inner])
    if place.before == SUBJECT and opener in lexicon().words["setting around"]:
        owned = place.text.words[place.phrase.inner] in OWNERS
        return () if owned or lexicon().holds("setting never", place.last) else place.whole(SETTING)
    if place.before:
        return ()
    is_place = place.seen.last and not lexicon().holds("setting never", place.last)
    return place.whole(SETTING if is_place else SUBJECT)


def _credited(place: Place) -> Marks:
    """Words after "by" that look like no name: "by the sea", or a name in small letters in a segment of its own."""
    count = place.phrase.end - place.phrase.inner
    is_first_article = place.text.words[place.phrase.inner] in ARTICLES
    if not place.part and not place.before and not is_first_article and count <= LONGEST_CREDIT:
        return place.inner(ARTIST)
    return _locative(place)


def _with(place: Place) -> Marks:
    opener = " ".join(place.text.words[place.phrase.start : place.phrase.inner])
    if opener in FORMS_OF and place.part in ("", *PLACES):
        return (Mark(after_articles(place.text, place.phrase.inner, place.phrase.end), place.phrase.end, MEDIUM),)
    if place.part in PLACES:
        return () if place.before else place.inner(SETTING)
    if place.part:
        return place.whole(COMPOSITION) if place.part == COMPOSITION else place.known()
    if place.before:
        return place.inner(SUBJECT) if place.before == MEDIUM and not place.seen.has_subject else ()
    return place.whole(SUBJECT)


def _joining(place: Place) -> Marks:
    begins_clause = place.phrase.kind == "joining" and (place.opener in ("while", "as") or not place.before)
    early = early_part(place.text, place.phrase.inner, place.phrase.end) if begins_clause else ""
    if early == LIGHTING and not place.lacks_subject:
        return place.whole(early) if place.opener != "and" else place.inner(early)
    if place.part in PLACES:
        return () if place.before else place.inner(SETTING)
    if place.part:
        return place.known()
    return () if place.before else place.inner(SUBJECT)


def _going_on(place: Place) -> Marks:
    return () if place.before else _joining(place)


def _named(part: str, whole: bool) -> Callable[[Place], Marks]:
    """The rule of openers that name a part: "lit by". whole: whether they belong to the piece."""

    def rule(place: Place) -> Marks:
        found = place.part if place.part and place.part not in PLACES else part
        return place.whole(found) if whole else place.inner(found)

    return rule


def _first(place: Place) -> Marks:
    """The pieces of words that nothing opens: a subject and what stands before it, or another part."""
    text, start, end, part = place.text, place.phrase.start, place.phrase.end, place.part
    if _is_list(text, start, end):
        return tuple(_keywords(text, start, end))
    if lamp := _lamp(text, start, end):
        return lamp
    animate = any(text.is_animate(word) for word in range(start, end))
    moves = animate and any(word.endswith("ing") for word in text.words[start : end - 1])
    if part == MEDIUM and not moves:
        return _medium(place)
    noun = after_articles(text, start, end)
    if noun > start and place.seen.last and text.words[noun] in BACKGROUNDS:
        return place.whole(SETTING)
    if place.opener in POSSESSIVES and part != LIGHTING and place.seen.has_subject:
        return place.whole(SUBJECT)
    if place.seen.has_subject and place.begins and not animate and part in (*PLACES, ""):
        part = early_part(text, start, end) or part
    if place.seen.last == COLOUR and part not in PLACES and lexicon().holds("colour names", text.words[start]):
        part = COLOUR
    if part == SETTING and lexicon().head(text.words[max(start, end - LONGEST_HEAD) : end]) == PLACE:
        part = SETTING if place.last in BACKGROUNDS else PLACE
    if part == STYLE and (name := _styled_name(place)) > start:
        return (Mark(start, name, ARTIST),)
    if part == COMPOSITION:
        return (Mark(after_articles(text, start, end), end, COMPOSITION),)
    if not part and place.seen.last and start == 0 and _are_adjectives(text.words):
        return place.whole(STYLE)
    if part in (STYLE, ARTIST) or (part not in ("", SURFACE, MEDIUM) and not animate):
        return place.whole(part)
    if _is_name(place):
        return place.whole(ARTIST)
    return _subject(text, start, end)


def _lamp(text: Text, start: int, end: int) -> Marks:
    """A lamp with where it stands, as in "giant softbox camera left", and a medium or a view after it."""
    known, word = lexicon(), after_articles(text, start, end)
    while word < end and text.words[word] in known.words["lighting lamp sizes"] and word not in text.hits:
        word += 1
    hit = text.hits.get(word)
    if hit is None or hit.end > end or not _is_lamp(text, hit):
        return ()
    if hit.end == end:
        if text.words[end : end + 1] == ["of"]:
            return ()  # "a soft box of chocolates"
        return (Mark(start, end, LIGHTING),)
    last = text.ends.get(end)
    part = last.part if last else known.head(text.words[max(hit.end, end - LONGEST_HEAD) : end])
    if part in (COMPOSITION, MEDIUM) and text.words[end - 1] not in known.words["lighting lamp sizes"]:
        return (Mark(start, hit.end, LIGHTING), Mark(hit.end, end, part))
    return () if part in PLACES else (Mark(start, end, LIGHTING),)


def _is_lamp(text: Text, hit: Hit) -> bool:
    *before, last = text.words[hit.start : hit.end]
    return any(" ".join((*before, form)) in lexicon().words["lighting lamps"] for form in singulars(last))


def _subject(text: Text, start: int, end: int) -> Marks:
    """A subject without the terms before it that describe the image: "cyberpunk street"."""
    marks: list[Mark] = []
    word = after_articles(text, start, end)
    while (hit := text.hits.get(word)) and hit.end < end and _leaves(text, hit):
        marks.append(Mark(word, hit.end, hit.part))
        word = hit.end
    return (*marks, Mark(word if marks else start, end, SUBJECT))


def _leaves(text: Text, hit: Hit) -> bool:
    """Whether a term before a subject is no part of it."""
    term, known = " ".join(text.words[hit.start : hit.end]), lexicon().words
    return (
        (hit.part == MEDIUM and hit.end - hit.start > 1)
        or term in known["style adjectives"]
        or term in known["composition adjectives"]
        or (hit.part == COLOUR and term in MONOCHROME)
    )


def _medium(place: Place) -> Marks:
    """A medium, and what stands before it: a style, or a subject as in "wolf logo"."""
    text, end = place.text, place.phrase.end
    start = after_articles(text, place.phrase.start, end)
    last = text.ends.get(end)
    word = last.start if last else end - 1
    while word > start and text.words[word - 1] in lexicon().words["medium before"]:
        word -= 1
    parts = {hit.part for spot in range(start, word) if (hit := text.hits.get(spot))}
    leading = next((part for part in LEADING if part in parts), "")
    if not leading and not place.seen.last and end == len(text.words):
        leading = SUBJECT
    medium = GAP if text.words[end - 1] in ("image", "picture") and not last else MEDIUM
    if word <= start or not leading:
        return (Mark(start, end, medium),)
    return (Mark(start, word, leading), Mark(word, end, medium))


def _is_list(text: Text, start: int, end: int) -> bool:
    """Whether the words are keywords without commas."""
    hits = [hit for word in range(start, min(end, start + LOOKED_AT)) if (hit := text.hits.get(word))]
    return len({hit.part for hit in hits}) >= KEYWORDS


def _keywords(text: Text, start: int, end: int) -> Iterator[Mark]:
    """The pieces of keywords without commas."""
    begin = word = start
    while word < end:
        hit = text.hits.get(word)
        part = hit.part if hit else lexicon().head(text.words[word : word + 1])
        after = hit.end if hit else word + 1
        if hit or part == PLACE:
            if word > begin:
                yield Mark(begin, word, SUBJECT)
            yield Mark(word, after, part)
            begin = after
        word = after
    if end > begin:
        yield Mark(begin, end, SUBJECT)


def _styled_name(place: Place) -> int:
    """The end of the name in "Edward Hopper style"; 0 where no name begins the phrase."""
    start, end = place.phrase.start, place.phrase.end
    name = end_of_name(place.text, start, place.seen.has_case) if start not in place.text.hits else 0
    styled = name - start >= 2 and name < end and STYLED.issuperset(place.text.words[name:end])
    return name if styled else 0


def _are_adjectives(words: Sequence[str]) -> bool:
    """Whether the words of a segment are adjectives alone, as in "tense" and "very tense and lonely"."""
    if len(words) > LONGEST_CREDIT or words[-1] in BETWEEN:
        return False
    return all(word in BETWEEN or _is_adjective(word) for word in words)


def _is_adjective(word: str) -> bool:
    known = lexicon()
    if word in known.words["style alone"]:
        return True
    is_noun = word in known.words["style nouns"] or known.holds("animate", word)
    return bool(ADJECTIVE.fullmatch(word)) and not is_noun


def _is_name(place: Place) -> bool:
    """Whether all of a later segment looks like the name of a person."""
    text, end = place.text, place.phrase.end
    whole = place.phrase.start == 0 and end == len(text.words) <= LONGEST_CREDIT
    if not whole or not place.seen.last or not place.seen.has_case or text.hits:
        return False
    if end == 1:
        return text.is_capital(0) and text.words[0] in lexicon().surnames
    return end_of_name(text, 0, place.seen.has_case) == end


RULES: Mapping[str, Callable[[Place], Marks]] = {
    FIRST: _first,
    TERM: _term,
    REST: _rest,
    ARTIST: lambda place: place.inner(ARTIST),
    "locative": _locative,
    "lit": _named(LIGHTING, whole=True),
    "taken": _named(MEDIUM, whole=True),
    "framed": _named(COMPOSITION, whole=True),
    "styled": _named(STYLE, whole=False),
    "credited": _credited,
    "viewed": _viewed,
    "depicting": _depicting,
    "with": _with,
    "joining": _joining,
    "going_on": _going_on,
}
"""The rule of each kind of phrase; those that refuse something have none."""
