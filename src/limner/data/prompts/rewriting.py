"""Changes of a prompt by its structure. What is not replaced stays as it was written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from limner.data.prompts.lexicon import WORD, lexicon, normal, singulars, words_of
from limner.data.prompts.phrase_parts import ARTICLES
from limner.data.prompts.phrases import ARTIST, NEGATIVE, SETTING, SUBJECT
from limner.data.prompts.segments import WEIGHT
from limner.data.prompts.structure import Piece, structure_of
from limner.data.prompts.words import PARTS

PLACEHOLDER = "{}"
"""What stands for the subject in a template."""
BRACKETS = {"(": ")", "[": "]", "{": "}", '"': '"'}
BOUNDS = ')]}>.!?:\n"'
"""Signs before a piece that stay when the piece is removed; the words after them, such as "with", go."""
ENDS = ".!?\n:"
"""Signs after which a sentence begins."""
LONGEST_PHRASE = 8
"""Words before and after a noun that are looked at."""
DETERMINERS = ARTICLES | frozenset(
    ["one", "two", "three", "four", "five", "this", "that", "these", "those", "each", "every"]
)
_REMOVED = "removed"
"""Stands for the part of a piece that is left out."""
_AFTER = re.compile(r"\s{0,4}(?:of(?=\s)|[,;|])?\s{0,4}")
_FLAG = re.compile(r"(?<!\S)--[a-z]", re.IGNORECASE)
_SAMPLER = re.compile(r"\n\s{0,8}steps:\s?\d", re.IGNORECASE)

Edit = tuple[int, int, str]
"""Start, end and new text of a change."""


def replaced(prompt: str, part: str, text: str) -> str:
    """The prompt with `text` in place of all pieces of a part; without any, the text is added where it fits.

    An empty text removes the part. Raises ValueError for a part that does not exist.
    """
    if part not in PARTS:
        raise ValueError(f"{part!r} is no part of a prompt; use one of {', '.join(PARTS)}")
    pieces = structure_of(prompt).pieces
    if any(piece.part == part for piece in pieces):
        return _edited(prompt, _edits(prompt, pieces, {part}, part, text))
    return _with_added(prompt, pieces, part, text) if text else prompt


def with_pieces(prompt: str, texts: Mapping[int, str]) -> str:
    """The prompt with other texts for some of its pieces, by their number in its structure; an empty one removes it."""
    edits: list[Edit] = []
    pieces: list[Piece] = []
    moved = 0
    for number, piece in enumerate(structure_of(prompt).pieces):
        text, start = texts.get(number), piece.start + moved
        if text:
            edits.append((piece.start, piece.end, text))
            moved += len(text) - (piece.end - piece.start)
        pieces.append(Piece(start, piece.end + moved, _REMOVED if text == "" else piece.part))
    changed = _edited(prompt, edits)
    return _edited(changed, _edits(changed, pieces, {_REMOVED}, "", ""))


def style_of(prompt: str) -> str:
    """A template of the prompt without its subject and setting, in which "{}" stands for another subject."""
    pieces = structure_of(prompt).pieces
    if any(piece.part == SUBJECT for piece in pieces):
        return _edited(prompt, _edits(prompt, pieces, {SUBJECT, SETTING}, SUBJECT, PLACEHOLDER))
    kept = _edited(prompt, _edits(prompt, pieces, {SETTING}, "", ""))
    return f"{PLACEHOLDER}, {kept}" if kept.strip() else PLACEHOLDER


def with_subject(prompt: str, identifier: str, class_word: str, words_for_class: Iterable[str] = ()) -> str:
    """The prompt with "IDENTIFIER CLASS-WORD" in place of the class word, a breed or the like, and its adjectives.

    A prompt without such a word has it in place of the noun with which its subject begins. words_for_class: words that
    mean the class, besides those that Limner knows.
    """
    name = f"{identifier} {class_word}".strip()
    pieces = structure_of(prompt).pieces
    subjects = [piece for piece in pieces if piece.part == SUBJECT]
    if not subjects:
        return _with_added(prompt, pieces, SUBJECT, name)
    own = words_of(class_word)
    terms = {own, *map(words_of, words_for_class), *lexicon().classes.get(" ".join(own), ())} - {()}
    for piece in subjects:
        if span := _class_phrase(prompt, piece, terms):
            return _edited(prompt, [(*span, name)])
    return _edited(prompt, [(*_first_phrase(prompt, subjects[0]), name)])


def _edited(prompt: str, edits: Iterable[Edit]) -> str:
    """The prompt with changes that are in order and do not overlap."""
    kept, place = [], 0
    for start, end, text in edits:
        kept += [prompt[place:start], text]
        place = end
    return "".join((*kept, prompt[place:]))


def _edits(prompt: str, pieces: Sequence[Piece], parts: Collection[str], part: str, text: str) -> Iterator[Edit]:
    """Changes that put a text in place of the first piece of `part`, and remove all others of the parts."""
    place, begins, is_bare = 0, True, True
    for before, piece in pairwise((Piece(0, 0, ""), *pieces)):
        start, end = _bracketed(prompt, piece, max(place, before.end))
        from_ = max(place, before.end)
        between = prompt[from_:start]
        bound = max((between.rfind(sign) for sign in BOUNDS), default=-1) + 1
        begins = begins or any(sign in between for sign in ENDS)
        is_bare = is_bare and not bound
        if piece.part not in parts:
            place, begins, is_bare = end, False, False
        elif piece.part == part and text:
            yield piece.start, piece.end, text
            text, place, begins, is_bare = "", end, False, False
        else:
            start = from_ + bound
            if begins:
                start, end = _with_separator(prompt, start, end, is_bare)
            yield start, end, ""
            place = end


def _with_separator(prompt: str, start: int, end: int, is_bare: bool) -> tuple[int, int]:
    """The span of a piece that begins a sentence with the comma after it, or the full stop.

    is_bare: whether nothing stands before it any more.
    """
    if prompt[end : end + 1] in tuple(".!?"):
        end += 1
        return start, end + (is_bare and prompt[end : end + 1] == " ")
    after = _AFTER.match(prompt, end)
    while not is_bare and start < end and prompt[start].isspace():
        start += 1
    return start, (after.end() if after else end)


def _bracketed(prompt: str, piece: Piece, first: int) -> tuple[int, int]:
    """The span of a piece with the brackets and the weight that are its alone, from the character `first` on."""
    start, end = piece.start, piece.end
    while start > first and (closing := BRACKETS.get(prompt[start - 1])):
        weight = WEIGHT.match(prompt, end)
        after = weight.end() if weight else end
        if prompt[after : after + 1] != closing:
            break
        start, end = start - 1, after + 1
    return start, end


def _with_added(prompt: str, pieces: Sequence[Piece], part: str, text: str) -> str:
    """The prompt with a text where a part of this kind usually stands."""
    if part == NEGATIVE:
        return _with_negative(prompt, text)
    wanted = [piece for piece in pieces if piece.part != NEGATIVE]
    if part == SUBJECT or not wanted:
        return f"{text}, {prompt}" if prompt.strip() else text
    subjects = [piece for piece in wanted if piece.part == SUBJECT]
    anchor = subjects[0] if part == SETTING and subjects else wanted[-1]
    _, end = _bracketed(prompt, anchor, 0)
    words = words_of(text)
    opened = bool(words) and lexicon().opens(words[0])
    link = (
        " "
        if anchor.part == SUBJECT and part == SETTING and opened
        else ", by "
        if part == ARTIST and not opened
        else ", "
    )
    return _edited(prompt, [(end, end, f"{link}{text}")])


def _with_negative(prompt: str, text: str) -> str:
    sampler = _SAMPLER.search(prompt)
    end = sampler.start() if sampler else len(prompt)
    link = " --no " if _FLAG.search(prompt) else "\nNegative prompt: "
    return _edited(prompt, [(end, end, f"{link}{text}")])


def _class_phrase(prompt: str, piece: Piece, terms: Collection[tuple[str, ...]]) -> tuple[int, int] | None:
    """The span of the first term in a piece, with the article and the adjectives before it."""
    found = list(WORD.finditer(prompt, piece.start, piece.end))
    words = [normal(word[0]) for word in found]
    longest = max(map(len, terms), default=0)
    for place in range(len(words)):
        for count in range(min(longest, len(words) - place), 0, -1):
            if any((*words[place : place + count - 1], last) in terms for last in singulars(words[place + count - 1])):
                return found[_begin(prompt, found, words, place)].start(), _end(found[place + count - 1])
    return None


def _end(word: re.Match[str]) -> int:
    """The end of a word without the "'s" of a possessor."""
    return word.end() - 2 if word[0][-2:].lower() in ("'s", "\u2019s") else word.end()


def _begin(prompt: str, found: Sequence[re.Match[str]], words: Sequence[str], noun: int) -> int:
    """The place of the first word of the phrase that a noun ends: its article, or its first adjective."""
    known = lexicon()
    first = noun
    for place in range(noun - 1, max(-1, noun - 1 - LONGEST_PHRASE), -1):
        joined = prompt[found[place].end() : found[place + 1].start()]
        if joined.strip(" -") or (known.opens(words[place]) and joined != "-") or known.holds("animate", words[place]):
            break
        if words[place] in DETERMINERS:
            return place
        participle = words[place].endswith("ing") and place and words[place - 1] not in DETERMINERS
        if participle:
            break
        first = place
    return first


def _first_phrase(prompt: str, piece: Piece) -> tuple[int, int]:
    """The span of the noun with which a piece begins: up to a person, an animal, a preposition or a participle."""
    known = lexicon()
    found = list(WORD.finditer(prompt, piece.start, piece.end))[: 2 * LONGEST_PHRASE]
    words = [normal(word[0]) for word in found]
    end = 1
    for place, word in enumerate(words):
        if known.holds("animate", word):
            end = place + 1
            break
        spaced = place and prompt[found[place - 1].end() : found[place].start()] == " "
        moves = word.endswith("ing") and words[place - 1] not in DETERMINERS
        if spaced and word != "of" and (moves or known.opens(word)):
            break
        end = place + 1
    return piece.start, _end(found[end - 1])
