"""The structure of a prompt: which words of it are the subject, the medium, the style and the other parts.

A prompt is cut into zones (a negative prompt, a labelled line, the rest), a zone into segments (at commas and ends of
sentences), and a segment into phrases (at prepositions and the like). The last words of a phrase name its part, as in
"soft evening light"; terms such as "golden hour" do so wherever they stand. What has no known part is the subject.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from limner.data.prompts.lexicon import WORD, lexicon, normal
from limner.data.prompts.phrase_rules import BACK, GAP, Mark, Seen, marks_of
from limner.data.prompts.phrases import (
    ARTIST,
    COLOUR,
    COMPOSITION,
    LIGHTING,
    NEGATIVE,
    PLACE,
    REFUSING,
    SETTING,
    STYLE,
    SUBJECT,
    Phrase,
    Text,
    phrases,
)
from limner.data.prompts.segments import IGNORED, Segment, segments, zones

REQUEST = re.compile(
    r"(?:(?:please|can you|could you|would you|kindly|hi|hello|hey)\s){0,2}(?:"
    r"(?:keep|make|give) (?:it|everything|the (?:look|style|image|whole thing))"
    r"|(?:it should look like|it should be|it looks like|there (?:is|are)|(?:we|i|you)(?: can)? see|you are looking at)"
    r"|(?:(?:it|the (?:image|picture|photo|scene)) (?:shows|depicts|takes place))"
    r"|(?:i(?:['\u2019]m| am) looking for)"
    r"|(?:i want|i need|i would like|i['\u2019]d like|give me|show me|imagine|here is|this is|this shows|it['\u2019]s)"
    r"|(?:create|generate|make|draw|paint|render|design|produce|illustrate|sketch|visuali[sz]e|compose|depict)"
    r"(?: me| us)?"
    r"|(?:photograph|capture|picture|show|take)(?=\s(?:an?|the|my|two|three)\s)"
    r")(?=\s)(?:\s(?:an?|the)\s(?:image|picture|visual)\s(?:of|with|showing)(?=\s))?"
    r"|(?:an?|the)\s(?:image|picture|visual)\s(?:of|with|showing)(?=\s)"
    r"|(?:the |this |overall ){1,2}"
    r"(?:image|picture|scene|result|(?P<named>style|look|mood|light|lighting|palette|colou?rs?|background))"
    r"\s(?:should be|should look like|should feel|should have|is|are|looks|feels|has)(?:\s(?:like|that of))?(?=\s)"
    r"|(?:use|add)(?=\s)",
    re.IGNORECASE,
)
"""Words at the beginning of a sentence that ask for an image, and describe nothing."""
NAMED = {
    "style": STYLE,
    "look": STYLE,
    "mood": STYLE,
    "light": LIGHTING,
    "lighting": LIGHTING,
    "background": SETTING,
    "palette": COLOUR,
    "color": COLOUR,
    "colors": COLOUR,
}
"""Parts by the noun of such words, as in "The mood is solemn"."""
NO = frozenset(["no", "any", "a", "an", "the"])
"""Words before something that the image must not contain."""
CONTINUED = 4
"""Segments after "without a, b or c" among which the one with "or" is sought."""
POSTURES = frozenset(
    [
        "late",
        "early",
        "high",
        "deep",
        "somewhere",
        "resting",
        "floating",
        "standing",
        "sitting",
        "set",
        "placed",
        "lying",
        "hanging",
        "perched",
        "nestled",
        "located",
        "arranged",
        "surrounded",
    ]
)
"""Words before a setting that belong to it where they begin a segment."""
LISTED = frozenset((ARTIST, LIGHTING, COMPOSITION))
"""Parts of which "a and b" are two pieces."""
LOOKED_AT = 2000
"""Characters of a prompt that show whether its names have capital letters."""
TRAILING = frozenset(("locative", "viewed", "going_on"))
"""Kinds of openers that a piece can end with, as in "the snow is setting in"."""
RUN_ON = 2
"""Known terms at the end of a prompt without commas that are keywords: "a cat on a bed oil painting 4k"."""
CAPITALS = 0.7
"""Share of words with a capital letter from which on the letter says nothing of a word."""
LONGEST_SUBJECT = 200
"""Characters of a piece among which a person or an animal is sought."""


@dataclass(frozen=True)
class Piece:
    """Characters of a prompt from `start` to before `end`, and their part."""

    start: int
    end: int
    part: str


@dataclass(frozen=True)
class Structure:
    """A prompt and its pieces, in the order of the text; they never overlap."""

    prompt: str
    pieces: tuple[Piece, ...]

    def of(self, part: str) -> tuple[str, ...]:
        """The texts of the pieces of a part."""
        return tuple(self.prompt[piece.start : piece.end] for piece in self.pieces if piece.part == part)


def structure_of(prompt: str) -> Structure:
    """The pieces of a prompt. Takes time in proportion to its length, and accepts any text."""
    reader = _Reader(prompt)
    for start, end, part in zones(prompt):
        if part != IGNORED:
            reader.read_zone(start, end, part)
    return Structure(prompt, tuple(_settled(prompt, reader.pieces)))


class _Reader:
    """Reads the zones of one prompt in turn. pieces: what it has found."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.pieces: list[Piece] = []
        words = WORD.findall(prompt[:LOOKED_AT])
        self.seen = Seen(sum(word[0].isupper() for word in words) < CAPITALS * len(words))

    def read_zone(self, start: int, end: int, part: str) -> None:
        """Add the pieces of a zone."""
        found = list(segments(self.prompt, start, end))
        if len(found) == 1 and not part and " " in self.prompt[start:end].strip():
            found = self._without_keywords(found[0])
        refused_until = -1
        for number, segment in enumerate(found):
            text = Text(self.prompt, segment.start, segment.end)
            if part == NEGATIVE or number <= refused_until:
                self._add_negative(text, 0)
            elif part:
                self._add(text, Mark(0, len(text.words), part))
            elif kind := self._read_segment(text, segment):
                refused_until = self._end_of_list(found, number, kind)

    def _without_keywords(self, segment: Segment) -> list[Segment]:
        """The segment, and each of the known terms at its end as a segment."""
        text = Text(self.prompt, segment.start, segment.end)
        end = len(text.words)
        cut: list[Segment] = []
        while (hit := text.ends.get(end)) and hit.start and not lexicon().opens(text.words[hit.start - 1]):
            cut.append(Segment(text.spans[hit.start][0], text.spans[end - 1][1], begins=False))
            end = hit.start
        if len(cut) < RUN_ON:
            return [segment]
        return [Segment(segment.start, text.spans[end - 1][1], segment.begins), *reversed(cut)]

    def _end_of_list(self, found: Sequence[Segment], number: int, kind: str) -> int:
        """The last segment of "without a, b or c", which the next ones are part of where one has the "or"."""
        for later in range(number + 1, min(number + 1 + CONTINUED, len(found))):
            segment = found[later]
            if segment.begins:
                return later - 1 if kind == "excluding" else number
            if re.search(r"\b(?:or|nor)\b", self.prompt[segment.start : min(segment.end, segment.start + 80)]):
                return later
        return number

    def _read_segment(self, text: Text, segment: Segment) -> str:
        """Add the pieces of a segment. Returns the kind of words after which all else is negative, or ""."""
        marks: list[Mark] = []
        first, named = self._after_request(text, segment)
        found = list(phrases(text, first, self.seen.has_case))
        for phrase, then in zip_longest(found, found[1:]):
            if phrase.kind in REFUSING:
                self._add_all(text, marks)
                self._add_negative(text, phrase.inner)
                return phrase.kind
            if then and then.kind in (ARTIST, "styled") and phrase.kind in ("with", "locative") and not marks:
                marks.append(Mark(phrase.start, phrase.end, GAP))  # "painted in the gentle style of"
            else:
                _extend(marks, phrase, marks_of(text, phrase, marks, self.seen, segment.begins))
        if named and marks and marks[0].part in (SUBJECT, STYLE, PLACE):
            marks[0] = replace(marks[0], part=named)
        self._add_all(text, marks)
        return ""

    def _add_all(self, text: Text, marks: list[Mark]) -> None:
        """Add pieces. A posture goes with its setting, as in "resting on a log"; so does "it is dawn"."""
        if len(marks) > 1 and marks[1].part == SETTING and marks[0].end - marks[0].start <= 2:
            is_posture = text.words[marks[0].end - 1] in POSTURES or text.words[marks[0].start] == "it"
            marks = [replace(marks[1], start=marks[0].start), *marks[2:]] if is_posture else marks
        for mark in marks:
            self._add(text, mark)

    def _add(self, text: Text, mark: Mark) -> None:
        if mark.start < mark.end and mark.part != GAP:
            start, end = text.spans[mark.start][0], text.spans[mark.end - 1][1]
            if mark.part == SUBJECT and not any(map(str.isalpha, self.prompt[start:end])):
                return
            if self.prompt[end : end + 1] == '"' and self.prompt.count('"', start, end) % 2:
                end += 1
            self.pieces.append(Piece(start, end, mark.part))
            self.seen.last = mark.part
            self.seen.has_subject = self.seen.has_subject or mark.part == SUBJECT

    def _add_negative(self, text: Text, start: int) -> None:
        """Add each of the things that the image must not contain."""
        begin, end = start, len(text.words)
        for place in range(start, end + 1):
            if place == end or text.words[place] in ("and", "or", "nor"):
                while begin < place and text.words[begin] in NO:
                    begin += 1
                self._add(text, Mark(begin, place, NEGATIVE))
                begin = place + 1

    def _after_request(self, text: Text, segment: Segment) -> tuple[int, str]:
        """The first word after "please create" and the like, and the part that they name: 0 and "" without them."""
        found = REQUEST.match(self.prompt, segment.start, segment.end) if segment.begins else None
        if found is None:
            return 0, ""
        first = next((place for place, (start, _) in enumerate(text.spans) if start >= found.end()), 0)
        return first, NAMED.get(normal(found["named"] or ""), "")


def _extend(marks: list[Mark], phrase: Phrase, found: Sequence[Mark]) -> None:
    """Add the pieces of a phrase to those of its segment; without any, it goes on with the last one."""
    if not found:
        goes_on = phrase.inner < phrase.end or phrase.kind in TRAILING
        if marks and goes_on and marks[-1].part not in (ARTIST, GAP):
            marks[-1] = replace(marks[-1], end=phrase.end)
        return
    for mark in found:
        same = bool(marks) and mark.part == marks[-1].part
        apart = mark.part in LISTED and phrase.kind in ("joining", ARTIST)
        if mark.start == BACK:
            marks[-1] = replace(marks[-1], end=mark.end, part=mark.part)
        elif same and not apart:
            marks[-1] = replace(marks[-1], end=mark.end)
        else:
            marks.append(mark)


def _settled(prompt: str, pieces: list[Piece]) -> Iterator[Piece]:
    """The pieces with each place decided, and lists of colours joined."""
    subject = _place_as_subject(prompt, pieces)
    last: Piece | None = None
    for piece in pieces:
        if piece is subject:
            piece = replace(piece, part=SUBJECT)
        elif piece.part == PLACE:
            piece = replace(piece, part=SETTING)
        if last and _is_one_list(prompt, last, piece):
            piece = replace(piece, start=last.start)
        elif last:
            yield last
        last = piece
    if last:
        yield last


def _place_as_subject(prompt: str, pieces: Sequence[Piece]) -> Piece | None:
    """The place that is the subject: the first one, where no person or animal follows, or nothing else is."""
    main = [piece for piece in pieces if piece.part in (SUBJECT, PLACE)]
    if main:
        return main[0] if main[0].part == PLACE and not any(_is_animate(prompt, piece) for piece in main[1:2]) else None
    return next((piece for piece in pieces if piece.part == SETTING and not _is_opened(prompt, piece)), None)


def _is_one_list(prompt: str, last: Piece, piece: Piece) -> bool:
    """Whether two pieces are one list of colours, as in "navy, copper and ivory"."""
    both = last.part == piece.part == COLOUR
    return both and prompt[last.end : piece.start] == ", " and " and " in prompt[piece.start : piece.end]


def _is_animate(prompt: str, piece: Piece) -> bool:
    words = WORD.finditer(prompt, piece.start, min(piece.end, piece.start + LONGEST_SUBJECT))
    return piece.part == SUBJECT and any(lexicon().holds("animate", normal(word[0])) for word in words)


def _is_opened(prompt: str, piece: Piece) -> bool:
    first = WORD.search(prompt, piece.start, piece.end)
    return first is not None and lexicon().opens(normal(first[0]))
