"""The structure of a prompt: which words of it are the subject, the medium, the style and the other parts.

A prompt is cut into zones (a negative prompt, a labelled line, the rest), a zone into segments (at commas and ends of
sentences), and a segment into phrases (at prepositions and the like). The last words of a phrase name its part, as in
"soft evening light"; terms such as "golden hour" do so wherever they stand. What has no known part is the subject.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from limner.data.prompts.lexicon import WORD, Hit, Lexicon, lexicon, normal
from limner.data.prompts.segments import IGNORED, Segment, segments, zones
from limner.data.prompts.words import PARTS

SUBJECT, MEDIUM, STYLE, LIGHTING, COMPOSITION, SETTING, COLOUR, QUALITY, ARTIST, NEGATIVE = PARTS
PLACE = "place"
"""Part of a phrase that names a place, before it is known whether it is the setting or the subject."""
SURFACE = "surface"
"""Part of a noun that names a place only after a preposition, as in "on a table"."""

REQUEST = re.compile(
    r"(?:(?:please|can you|could you|would you|kindly|hi|hello|hey)\s){0,2}(?:"
    r"(?:i want|i need|i would like|i['’]d like|give me|show me|imagine|here is|this is|this shows|it['’]s)"
    r"|(?:create|generate|make|draw|paint|render|design|produce|illustrate|sketch|visuali[sz]e|compose|depict)(?: me| us)?"
    r"|(?:photograph|capture|picture)(?=\s(?:an?|the|my|two|three)\s)"
    r")(?=\s)(?:\s(?:an?|the)\s(?:image|picture|visual)\s(?:of|with|showing)(?=\s))?"
    r"|(?:an?|the)\s(?:image|picture|visual)\s(?:of|with|showing)(?=\s)"
    r"|(?:the |this |overall )(?:overall )?(?:image|picture|scene|style|look|mood|lighting|light|palette|background|result)"
    r"\s(?:should be|should look like|should feel|should have|is|looks|feels|has)(?:\s(?:like|that of))?(?=\s)"
    r"|(?:keep|make) (?:it|everything|the (?:look|style|image|whole thing))(?=\s)|(?:use|add)(?=\s)",
    re.IGNORECASE,
)
"""Words at the beginning of a sentence that ask for an image, and describe nothing."""
ARTICLES = frozenset("a an the some any its his her their my our your".split())
PARTICLES = frozenset("van von der den de da di del della la le of du des el al bin ibn y ter ten the dos".split())
"""Words of names in lower case."""
LONGEST_NAME = 6
"""Words of the longest name of an artist."""
STYLED = frozenset("style styled inspired like esque aesthetic".split())
"""Words after the name of an artist that are no part of the image."""
NO = frozenset("no any a an the".split())
"""Words before something that the image must not contain."""
UNREFUSED = frozenset("one longer end doubt matter stopping".split())
"""Words after "no" and "without" that refuse nothing."""
CONTINUED = 4
"""Segments after "without a, b or c" among which the one with "or" is sought."""
POSTURES = frozenset(
    "resting floating standing sitting set placed lying hanging perched nestled located arranged surrounded".split()
)
"""Words before a setting that belong to it where they begin a segment."""
TRAILING = re.compile(r".+(?:ing|ed|ly)|seen|shot|made|built|set|hung|torn|lit|overgrown|only|too|is|are|was|with|full")
"""Words after the noun of a phrase that do not change its part."""
DECADE = re.compile(r"(?:1[5-9]|20)\d0s")
FORMS = (
    (COMPOSITION, re.compile(r"\d{1,4}mm|f\d{0,2}")),
    (QUALITY, re.compile(r"\d{1,2}k|\d{3,4}p|\d{2,4}dpi|\d{2,3}mp")),
    (STYLE, re.compile(r"\w{2,20}(?:core|punk|wave)|\w{5,20}(?:ism|esque)|" + DECADE.pattern)),
    (LIGHTING, re.compile(r"\w{2,12}(?:lit|lights?)")),
    (PLACE, re.compile(r"\w{2,12}(?:scape|yard|room|land|shop|house|side|field)")),
)
"""Parts by the form of the last word of a phrase."""
LEADING = (STYLE, COMPOSITION, QUALITY, COLOUR)
"""Parts of words before a medium, as in "highly detailed photo", the strongest first."""
PLACES = frozenset((SETTING, PLACE, SURFACE))
NAMED = {"styled": STYLE, "lit": LIGHTING, "taken": MEDIUM, "framed": COMPOSITION}
"""Parts of phrases by the kind of words that begin them, where the phrase has no other part."""
WHOLE = frozenset(("lit", "taken", "framed"))
"""Kinds of openers that belong to the piece that they begin."""
REFUSING = frozenset(("negative", "excluding", "refusing"))
"""Kinds of words before what the image must not contain."""
VIEWING = frozenset(("from", "through", "in", "at"))
"""Words with which the composition begins in "seen from above"."""
LISTED = frozenset((ARTIST, LIGHTING, COMPOSITION))
"""Parts of which "a and b" are two pieces."""
FAR = frozenset(("background", "distance", "horizon"))
"""Last words after which a segment is the setting as a whole: "rolling hills in the distance"."""
BACKGROUNDS = frozenset(("background", "backdrop", "weather", "backgrounds"))
"""Last words of phrases that are never the subject."""
MONOCHROME = frozenset(("monochrome", "monochromatic", "grayscale", "sepia"))
"""Colours of the whole image that leave the subject that they stand before."""
GAP = "gap"
"""Part of words that are in no piece."""
WITHIN = frozenset(("in", "at", "inside", "against"))
"""Words after which a place is a setting of its own, even in a phrase of light: "soft light in a kitchen"."""


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
    return Structure(prompt, tuple(_settled(reader.pieces, prompt)))


@dataclass(frozen=True)
class _Phrase:
    """Words of a segment. The opener, of a kind, goes from the word `start` to before `inner`."""

    start: int
    inner: int
    end: int
    kind: str


@dataclass(frozen=True)
class _Mark:
    """Words of a segment that are a piece of a part; "" where they go on with the piece before."""

    start: int
    end: int
    part: str


class _Text:
    """The words of a segment with their places in the prompt, and the known terms among them."""

    def __init__(self, prompt: str, start: int, end: int, known: Lexicon) -> None:
        found = list(WORD.finditer(prompt, start, end))
        self.prompt = prompt
        self.spans = [word.span() for word in found]
        self.words = [normal(word[0]) for word in found]
        self.hits = {hit.start: hit for hit in known.hits(self.words)}
        self.ends = {hit.end: hit for hit in self.hits.values()}
        self.within = {place for hit in self.hits.values() for place in range(hit.start + 1, hit.end)}

    def raw(self, place: int) -> str:
        return self.prompt[slice(*self.spans[place])]

    def is_compound(self, place: int) -> bool:
        """Whether a hyphen joins the word to one beside it."""
        start, end = self.spans[place]
        return "-" in (self.prompt[max(0, start - 1) : start], self.prompt[end : end + 1])


class _Reader:
    """Reads the zones of one prompt in turn. pieces: what it has found."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.pieces: list[Piece] = []
        self.known = lexicon()
        self.has_subject = False
        words = [word[0] for word in WORD.findall(prompt[:2000])]
        self.has_case = 2 * sum(map(str.isupper, words)) < len(words)

    def read_zone(self, start: int, end: int, part: str) -> None:
        """Add the pieces of a zone."""
        found = list(segments(self.prompt, start, end))
        refused_until = -1
        for number, segment in enumerate(found):
            text = _Text(self.prompt, segment.start, segment.end, self.known)
            if not text.words:
                continue
            if part == NEGATIVE or number <= refused_until:
                self._add_negative(text, 0, len(text.words))
            elif part:
                self._add(text, 0, len(text.words), part)
            elif kind := self._read_segment(text, segment):
                refused_until = self._end_of_list(found, number, kind)

    def _end_of_list(self, found: Sequence[Segment], number: int, kind: str) -> int:
        """The last segment of "without a, b or c", which the next ones are part of where one has the "or"."""
        for later in range(number + 1, min(number + 1 + CONTINUED, len(found))):
            segment = found[later]
            if segment.begins:
                return later - 1 if kind == "excluding" else number
            if re.search(r"\b(?:or|nor)\b", self.prompt[segment.start : min(segment.end, segment.start + 80)]):
                return later
        return number

    def _read_segment(self, text: _Text, segment: Segment) -> str:
        """Add the pieces of a segment. Returns the kind of words after which all else is negative, or ""."""
        first = self._after_request(text, segment)
        marks: list[_Mark] = []
        phrases = list(self._phrases(text, first))
        for phrase, then in zip(phrases, (*phrases[1:], None), strict=True):
            if phrase.kind in REFUSING:
                self._add_all(text, marks)
                self._add_negative(text, phrase.inner, len(text.words))
                return phrase.kind
            before = marks[-1].part if marks else ""
            found = self._marks(text, phrase, marks, segment) if phrase.inner < phrase.end else ()
            if then and then.kind in (ARTIST, "styled") and phrase.kind in ("with", "locative") and not before:
                found = (_Mark(phrase.start, phrase.end, GAP),)
            apart = before in LISTED and (phrase.kind in ("joining", ARTIST))
            for mark in found or (_Mark(phrase.start, phrase.end, GAP if before in (ARTIST, GAP) else before),):
                if mark.start < 0:
                    marks[-1] = replace(marks[-1], end=mark.end, part=mark.part)
                elif marks and mark.part == marks[-1].part and not apart:
                    marks[-1] = replace(marks[-1], end=mark.end)
                elif mark.part:
                    marks.append(mark)
        self._add_all(text, marks)
        return ""

    def _add_all(self, text: _Text, marks: list[_Mark]) -> None:
        if len(marks) > 1 and marks[1].part == SETTING and marks[0].end - marks[0].start <= 2:
            posture = text.words[marks[0].end - 1] in POSTURES or text.words[marks[0].start] == "it"
            if posture:
                marks[:2] = [replace(marks[1], start=marks[0].start)]
        for mark in marks:
            self._add(text, mark.start, mark.end, mark.part)

    def _add(self, text: _Text, start: int, end: int, part: str) -> None:
        if start < end and part != GAP:
            begin, stop = text.spans[start][0], text.spans[end - 1][1]
            if self.prompt[stop : stop + 1] == '"' and self.prompt.count('"', begin, stop) % 2:
                stop += 1
            self.pieces.append(Piece(begin, stop, part))
            self.has_subject = self.has_subject or part == SUBJECT

    def _add_negative(self, text: _Text, start: int, end: int) -> None:
        """Add each of the things that the image must not contain."""
        begin = start
        for place in range(start, end + 1):
            if place == end or text.words[place] in ("and", "or", "nor"):
                while begin < place and text.words[begin] in NO:
                    begin += 1
                self._add(text, begin, place, NEGATIVE)
                begin = place + 1

    def _after_request(self, text: _Text, segment: Segment) -> int:
        """The first word after "please create" and the like; 0 where nothing follows."""
        found = REQUEST.match(self.prompt, segment.start, segment.end) if segment.begins else None
        if found is None:
            return 0
        return next((place for place, (start, _) in enumerate(text.spans) if start >= found.end()), 0)

    def _phrases(self, text: _Text, first: int) -> Iterator[_Phrase]:
        """Phrases from the word `first` on, each with the words that open it."""
        start = inner = place = first
        kind, count, named = "", len(text.words), -1
        while place < count:
            opener = self._opener(text, place, place == first)
            hit = text.hits.get(place)
            if opener and not (hit and hit.end - place > opener[0]):
                if place > start:
                    yield _Phrase(start, inner, place, kind)
                credits_one = opener[1] in ("credited", "styled") or (opener[1] == "joining" and named == place)
                start, kind = place, opener[1]
                inner = place = place + opener[0]
                named = self._end_of_name(text, inner, kind) if credits_one else -1
                if kind == "styled" and named < count and not self._opener(text, named, False) and named not in text.ends:
                    named = -1
                if named > inner:
                    yield _Phrase(start, inner, named, ARTIST)
                    start = inner = place = named
                    kind = "rest"
            elif hit and self._breaks(text, hit, first, start):
                if place > start:
                    yield _Phrase(start, inner, place, kind)
                yield _Phrase(place, place, hit.end, hit.part if hit.part == ARTIST else "term")
                start = inner = place = hit.end
                named = hit.end if hit.part == ARTIST else -1
                kind = "rest"
            else:
                place = hit.end if hit else place + 1
        if place > start:
            yield _Phrase(start, inner, place, kind)

    def _opener(self, text: _Text, place: int, begins: bool) -> tuple[int, str] | None:
        """How many words open a phrase here, and their kind."""
        if place in text.within or text.is_compound(place) or self._is_between_colours(text, place):
            return None
        for words, kind in self.known.openers.get(text.words[place], ()):
            end = place + len(words)
            if tuple(text.words[place:end]) == words and (begins or kind != "refusing"):
                refused = kind in REFUSING and (
                    end >= len(text.words) or text.words[end].endswith("ing") or text.words[end] in UNREFUSED
                )
                return None if refused else (len(words), kind)
        return None

    def _is_between_colours(self, text: _Text, place: int) -> bool:
        """Whether the word joins colours, as in "pink and green" and "shades of blue"."""
        if not place:
            return False
        before, after = text.words[place - 1], text.words[min(place + 1, len(text.words) - 1)]
        if text.words[place] in ("and", "or"):
            return self.known.holds("colour names", before) and self.known.holds("colour names", after)
        return text.words[place] == "of" and before in self.known.words["colour shades"]

    def _breaks(self, text: _Text, hit: Hit, first: int, start: int) -> bool:
        """Whether a term is a phrase of its own: an artist, and what begins with a preposition ("from above")."""
        if hit.part == ARTIST:
            return hit.end - hit.start > 1 or (hit.start == first and hit.end == len(text.words))
        return self.known.opens(text.words[hit.start]) and hit.end - hit.start > 1

    def _end_of_name(self, text: _Text, start: int, kind: str) -> int:
        """The end of the name of an artist that begins here; `start` where none does."""
        hit = text.hits.get(start)
        if hit and hit.part == ARTIST:
            return hit.end
        if kind != "joining" and (surname := self._surname(text, start)):
            return surname
        if not self.has_case or (hit and hit.part == SETTING):
            return start
        end = start
        for place in range(start, min(start + LONGEST_NAME, len(text.words))):
            if text.raw(place)[0].isupper():
                end = place + 1
            elif text.words[place] not in PARTICLES or place == start:
                break
        if self.known.head(text.words[start:end]) in PLACES:
            return start
        return end

    def _surname(self, text: _Text, start: int) -> int:
        """The end of the last name of a known artist, as in "van Gogh's"; 0 where none begins here."""
        place = start
        while place < len(text.words) - 1 and text.words[place] in PARTICLES:
            place += 1
        forms = text.words[place : place + 1] and (text.words[place], text.words[place].removesuffix("s"))
        return place + 1 if any(form in self.known.surnames for form in forms) else 0

    def _marks(self, text: _Text, phrase: _Phrase, marks: Sequence[_Mark], segment: Segment) -> Sequence[_Mark]:
        """Where the phrase begins pieces, and their parts; nothing where it goes on with the piece before it.

        A mark that starts at -1 gives its part to the whole piece before.
        """
        before = marks[-1].part if marks else ""
        start, inner, end, kind = phrase.start, phrase.inner, phrase.end, phrase.kind
        if kind == ARTIST:
            return (_Mark(inner, end, ARTIST),)
        if kind == "term":
            part = text.hits[start].part
            whole = part == SETTING and len(marks) == 1 and text.words[end - 1] in FAR and self.has_subject
            return (_Mark(-1 if whole else start, end, part),)
        if not kind:
            return self._lead(text, start, end, segment)
        part = self._core(text, inner, end)
        if kind == "rest" and before == ARTIST:
            wanted = not self.has_subject and all(mark.part != SUBJECT for mark in marks)
            return self._after_artist(text, start, end, part or (SUBJECT if wanted else ""))
        if all(word in ARTICLES for word in text.words[inner:end]):
            return (_Mark(start, end, GAP),)
        if kind == "depicting":
            if part in (LIGHTING, COLOUR) and before in (SUBJECT, PLACE) and self._is_measure(text, marks, start):
                return (_Mark(-1, end, part),)
            depicts = before == MEDIUM or (before and not self.has_subject and before not in (COLOUR, SUBJECT, SETTING, PLACE))
            return (_Mark(inner, end, SUBJECT),) if depicts or not before else ()
        if kind == "going_on" and before:
            return ()
        if kind == "viewed":
            seen = part == COMPOSITION or inner - start > 1 or self.known.holds("composition from", text.words[end - 1])
            begin = next((place for place in range(start, inner) if text.words[place] in VIEWING), start)
            return (_Mark(begin, end, COMPOSITION),) if seen and before != LIGHTING else ()
        if text.words[start] == "against":
            return (_Mark(start, end, SETTING),)
        if text.words[start] == "while" and (early := self._early(text, inner, end)):
            return (_Mark(start, end, early),)
        if kind in NAMED:
            part = part if part and part not in PLACES else NAMED[kind]
            return (_Mark(start if kind in WHOLE else inner, end, part),)
        if part == COLOUR and text.words[start] == "on" and before != COLOUR:
            return (_Mark(start, end, SETTING),)
        if kind == "locative" and DECADE.fullmatch(text.words[end - 1]):
            return (_Mark(start, end, SETTING),)
        if part in PLACES:
            glued = (before and kind not in ("locative", "credited")) or (before == LIGHTING and text.words[start] not in WITHIN)
            return () if glued else (_Mark(inner if kind == "with" else start, end, SETTING),)
        if part:
            begin = start if part == COMPOSITION and kind in ("locative", "with") else inner
            while part == MEDIUM and begin < end - 1 and text.words[begin] in ARTICLES:
                begin += 1
            return (_Mark(begin, end, part),)
        if before:
            return self._of_subject(text, phrase, before)
        bare = kind == "locative" and not self.known.holds("setting never", text.words[end - 1])
        if bare and self.pieces:
            return (_Mark(start, end, SETTING),)
        return (_Mark(inner if kind == "joining" else start, end, SUBJECT),)

    def _after_artist(self, text: _Text, start: int, end: int, part: str) -> Sequence[_Mark]:
        """The piece after a name, as in "Gustav Klimt style cat"; "style" alone is none."""
        while start < end and text.words[start] in STYLED:
            start += 1
        return (_Mark(start, end, part),) if start < end and part else ()

    def _is_measure(self, text: _Text, marks: Sequence[_Mark], end: int) -> bool:
        """Whether few words of a later segment come before "of", as in "shafts of sunlight"."""
        start = marks[-1].start
        return self.has_subject and len(marks) == 1 and end - start <= 3

    def _of_subject(self, text: _Text, phrase: _Phrase, before: str) -> Sequence[_Mark]:
        """The subject after "a poster with", where there is none yet."""
        if before == MEDIUM and not self.has_subject and phrase.kind == "with":
            return (_Mark(phrase.inner, phrase.end, SUBJECT),)
        return ()

    def _core(self, text: _Text, start: int, end: int) -> str:
        """The part that a phrase without its opener has by its last words; "" for none that is known."""
        words = text.words
        while start < end - 1 and words[start] in ARTICLES:
            start += 1
        while end - 1 > start and end not in text.ends and TRAILING.fullmatch(words[end - 1]):
            if self.known.head(words[start:end]):
                break
            end -= 1
        hit = text.ends.get(end)
        if hit and hit.start >= start:
            return hit.part
        head = self.known.head(words[max(start, end - 3) : end])
        if (end - start > 1 or not head) and self._is_colour(words[start:end]):
            return COLOUR
        if head:
            return head
        if words[start] in self.known.words["medium brands"]:
            return MEDIUM
        if words[start] == "f" and words[end - 1].isdigit():
            return COMPOSITION
        for part, form in FORMS:
            if form.fullmatch(words[end - 1]):
                return part
        covered: dict[str, int] = {}
        for place in range(start, end):
            if (hit := text.hits.get(place)) and hit.end <= end:
                covered[hit.part] = covered.get(hit.part, 0) + hit.end - hit.start
        if not self.pieces:
            return ""
        most = max(covered, key=lambda part: covered[part], default="")
        return most if most and 2 * covered[most] > end - start else ""

    def _is_colour(self, words: Sequence[str]) -> bool:
        """Whether the words are colours and their shades alone: "deep red", "coral and sand"; "wet sand" is none."""
        names = [self.known.holds("colour names", word) for word in words]
        return any(names) and all(
            name or word == "and" or word in self.known.words["colour shades"]
            for name, word in zip(names, words, strict=True)
        )

    def _lead(self, text: _Text, start: int, end: int, segment: Segment) -> Sequence[_Mark]:
        """The pieces of words that no preposition opens: of a subject, and of parts that stand before it."""
        part = self._core(text, start, end)
        animate = any(self._is_animate(text, place) for place in range(start, end))
        if self._is_list(text, start, end):
            return tuple(self._each(text, start, end))
        if part == MEDIUM and animate and any(word.endswith("ing") for word in text.words[start : end - 1]):
            part = ""
        if part == MEDIUM:
            return self._medium(text, start, end)
        if self.has_subject and segment.begins and not animate and part in (*PLACES, ""):
            early = self._early(text, start, end)
            part = early or part
        if self.pieces and self.pieces[-1].part == COLOUR and self.known.holds("colour names", text.words[start]):
            part = COLOUR
        if part == SETTING and self.known.head(text.words[max(start, end - 3) : end]) == PLACE:
            part = SETTING if text.words[end - 1] in BACKGROUNDS else PLACE
        if part in (COMPOSITION, STYLE, ARTIST) or (part and part != SURFACE and not animate):
            return (_Mark(start, end, part),)
        if self._is_name(text, start, end):
            return (_Mark(start, end, ARTIST),)
        marks: list[_Mark] = []
        place = start
        while place < end and text.words[place] in ARTICLES:
            place += 1
        while (hit := text.hits.get(place)) and hit.end < end and self._leaves(text, hit):
            marks.append(_Mark(place, hit.end, hit.part))
            place = hit.end
        return (*marks, _Mark(place if marks else start, end, SUBJECT))

    def _is_list(self, text: _Text, start: int, end: int) -> bool:
        """Whether the words are keywords without commas: most of three or more parts are known terms."""
        hits = [hit for place in range(start, min(end, start + 100)) if (hit := text.hits.get(place))]
        return len(hits) >= 3 and len({hit.part for hit in hits}) >= 3

    def _each(self, text: _Text, start: int, end: int) -> Iterator[_Mark]:
        """The pieces of keywords without commas."""
        begin = place = start
        while place < end:
            hit = text.hits.get(place)
            part = hit.part if hit else self.known.head(text.words[place : place + 1])
            after = hit.end if hit else place + 1
            if hit or part == PLACE:
                if place > begin:
                    yield _Mark(begin, place, SUBJECT)
                yield _Mark(place, after, part)
                begin = after
            place = after
        if end > begin:
            yield _Mark(begin, end, SUBJECT)

    def _leaves(self, text: _Text, hit: Hit) -> bool:
        """Whether a term before a subject is no part of it, as in "cyberpunk street"."""
        term = " ".join(text.words[hit.start : hit.end])
        return (
            (hit.part == MEDIUM and hit.end - hit.start > 1)
            or term in self.known.words["style adjectives"]
            or term in self.known.words["composition adjectives"]
            or (hit.part == COLOUR and term in MONOCHROME)
        )

    def _is_animate(self, text: _Text, place: int) -> bool:
        """Whether the word is a person or an animal, and not in a term such as "god rays"."""
        single = place not in text.within and (place not in text.hits or text.hits[place].end == place + 1)
        return single and self.known.holds("animate", text.words[place])

    def _early(self, text: _Text, start: int, end: int) -> str:
        """The part of the noun with which a later sentence begins, as in "A rim light outlines the dome"."""
        for place in range(start + 1, min(start + 6, end) + 1):
            hit = text.ends.get(place)
            part = hit.part if hit else self.known.head(text.words[max(start, place - 2) : place])
            if part in (LIGHTING, COLOUR):
                return part
        return ""

    def _is_name(self, text: _Text, start: int, end: int) -> bool:
        """Whether all of a later segment looks like the name of a person."""
        whole = self.pieces and self.has_case and start == 0 and end == len(text.words) and not text.hits
        if not whole or end - start > 4:
            return False
        if end - start == 1:
            return text.raw(start)[0].isupper() and text.words[start] in self.known.surnames
        return self._end_of_name(text, start, "joining") == end

    def _medium(self, text: _Text, start: int, end: int) -> Sequence[_Mark]:
        """A medium, and what stands before it: a style, or a subject as in "wolf logo"."""
        while start < end - 1 and text.words[start] in ARTICLES:
            start += 1
        hit = text.ends.get(end)
        place = hit.start if hit else end - 1
        while place > start and text.words[place - 1] in self.known.words["medium before"]:
            place -= 1
        if place <= start:
            return (_Mark(start, end, MEDIUM),)
        parts = {hit.part for spot in range(start, place) if (hit := text.hits.get(spot))}
        for part in LEADING:
            if part in parts:
                return (_Mark(start, place, part), _Mark(place, end, MEDIUM))
        if self.has_subject or self.pieces or end < len(text.words):
            return (_Mark(start, end, MEDIUM),)
        return (_Mark(start, place, SUBJECT), _Mark(place, end, MEDIUM))


def _settled(pieces: list[Piece], prompt: str) -> Iterator[Piece]:
    """The pieces with each place decided: the first is the subject where no person or animal follows it."""
    main = [piece for piece in pieces if piece.part in (SUBJECT, PLACE)]
    chosen: Piece | None = None
    if main and main[0].part == PLACE and not _is_animate(prompt, main[1:2]):
        chosen = main[0]
    elif not main:
        bare = (piece for piece in pieces if piece.part == SETTING and not _opens(prompt, piece))
        chosen = next(bare, None)
    for piece in pieces:
        if piece is chosen:
            yield replace(piece, part=SUBJECT)
        else:
            yield replace(piece, part=SETTING) if piece.part == PLACE else piece


def _is_animate(prompt: str, pieces: Sequence[Piece]) -> bool:
    known = lexicon()
    return any(
        known.holds("animate", normal(word[0]))
        for piece in pieces
        if piece.part == SUBJECT
        for word in WORD.finditer(prompt, piece.start, min(piece.end, piece.start + 200))
    )


def _opens(prompt: str, piece: Piece) -> bool:
    first = WORD.search(prompt, piece.start, piece.end)
    return first is not None and lexicon().opens(normal(first[0]))
