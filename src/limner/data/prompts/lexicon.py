"""Words by which the structure of a prompt is recognised: `structure.yaml`, and the parts of `words.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from limner.data.prompts.words import PARTS, worlds

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
"""A word of a prompt. Hyphens and underscores separate words."""
SPELLING = {"colour": "color", "harbour": "harbor", "grey": "gray", "centre": "center", "theatre": "theater"}
"""British spelling in words of the lists, and how the lists write it."""
_BRITISH = re.compile("|".join(SPELLING))
LISTED = ("medium", "style", "lighting", "composition", "colour", "quality")
"""Parts of `words.yaml` whose entries name the part wherever they stand."""
LONGEST_HEAD = 3
"""Words of the longest head."""


@dataclass(frozen=True)
class Hit:
    """A known term in a list of words: from the word `start` to before the word `end`."""

    start: int
    end: int
    part: str


@dataclass(frozen=True)
class Lexicon:
    """terms: by first word, the longest first, with the part. heads: last words of phrases, with the part.

    openers: likewise, words that begin a phrase, with their kind. words: other lists by name, such as "animate".
    classes: words for a subject by class word. surnames: last words of artists' names.
    """

    terms: Mapping[str, Sequence[tuple[tuple[str, ...], str]]]
    joined: Mapping[str, str]
    heads: Mapping[str, str]
    openers: Mapping[str, Sequence[tuple[tuple[str, ...], str]]]
    words: Mapping[str, frozenset[str]]
    classes: Mapping[str, Sequence[tuple[str, ...]]]
    surnames: frozenset[str]

    def hits(self, words: Sequence[str]) -> Iterator[Hit]:
        """Known terms among the words, the longest first, never overlapping, in their order."""
        place = 0
        while place < len(words):
            hit = self._hit_at(words, place)
            if hit is not None:
                yield hit
            place = hit.end if hit is not None else place + 1

    def head(self, words: Sequence[str]) -> str:
        """The part that the last words of a phrase name; "" for none."""
        for count in range(min(LONGEST_HEAD, len(words)), 0, -1):
            for last in singulars(words[-1]):
                if part := self.heads.get(" ".join((*words[-count:-1], last))):
                    return part
        return ""

    def holds(self, name: str, word: str) -> bool:
        """Whether a list holds a word, in the singular or plural."""
        return any(form in self.words[name] for form in singulars(word))

    def opens(self, word: str) -> bool:
        """Whether a word alone begins a phrase."""
        return any(len(words) == 1 for words, _ in self.openers.get(word, ()))

    def _hit_at(self, words: Sequence[str], place: int) -> Hit | None:
        for term, part in self.terms.get(words[place], ()):
            end = place + len(term)
            if (
                end <= len(words)
                and tuple(words[place : end - 1]) == term[:-1]
                and term[-1] in singulars(words[end - 1])
            ):
                return Hit(place, end, part)
        for form in singulars(words[place]):
            alone = next((part for term, part in self.terms.get(form, ()) if len(term) == 1), "")
            if part := alone or self.joined.get(form, ""):
                return Hit(place, place + 1, part)
        return None


def normal(word: str) -> str:
    """A word as the lists write it: lower case, American spelling, no apostrophe."""
    plain = word.lower().replace("'", "").replace("\u2019", "")
    return _BRITISH.sub(lambda found: SPELLING[found[0]], plain)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text as the lists write them."""
    return tuple(normal(found) for found in WORD.findall(text))


def singulars(word: str) -> tuple[str, ...]:
    """The word, and what it may be the plural of."""
    if not word.endswith("s") or len(word) < 4:
        return (word,)
    forms = [word, word[:-1]]
    if word.endswith("ies"):
        forms.append(word[:-3] + "y")
    elif word.endswith("es"):
        forms.append(word[:-2])
    return tuple(forms)


@cache
def lexicon() -> Lexicon:
    """All lists of words, read once."""
    text = files("limner.data.prompts").joinpath("structure.yaml").read_text(encoding="utf-8")
    found: Any = yaml.load(text, Loader=yaml.BaseLoader)  # all scalars are words: "off" is none of YAML's truth values
    terms = dict(_listed(found))
    heads: dict[str, str] = {}
    for part in PARTS:
        own = found.get(part, {})
        for head in own.get("heads", ()) if isinstance(own, dict) else ():
            heads.setdefault(" ".join(words_of(head)), "place" if part == "setting" else part)
    heads |= {" ".join(words_of(head)): "surface" for head in found["setting"]["surfaces"]}
    names = {f"{part} {name}": own[name] for part, own in found.items() if isinstance(own, dict) for name in own}
    openers = {words_of(phrase): kind for kind, phrases in reversed(found["openers"].items()) for phrase in phrases}
    return Lexicon(
        terms=_by_first(terms),
        openers=_by_first(openers),
        joined={"".join(term): part for term, part in terms.items() if len(term) > 1},
        heads=heads,
        words={
            name: frozenset(" ".join(words_of(word)) for word in words)
            for name, words in {**names, "animate": found["animate"]}.items()
        },
        classes={name: [words_of(word) for word in words] for name, words in found["classes"].items()},
        surnames=frozenset(words_of(name)[-1] for name in _artists(found)),
    )


def _by_first(named: Mapping[tuple[str, ...], str]) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for words, name in sorted(named.items(), key=lambda item: -len(item[0])):
        found.setdefault(words[0], []).append((words, name))
    return found


def _listed(found: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    lists: list[tuple[str, Iterable[str]]] = [("artist", _artists(found))]
    lists += [(part, found[part]["terms"]) for part in PARTS if "terms" in found.get(part, {})]
    lists += [("setting", found["setting"]["names"])]
    lists += [(part, world.words[part]) for world in worlds() for part in LISTED]
    seen: set[tuple[str, ...]] = set()
    for part, names in lists:
        for name in names:
            term = words_of(name)
            if term not in seen:
                seen.add(term)
                yield term, part


def _artists(found: Any) -> Iterator[str]:
    """Names of artists, and those in short: "van Gogh"."""
    for name in (*found["artist"], *(name for world in worlds() for name in world.words["artist"])):
        yield name
        if short := re.search(r"(?:van|da|von|de|af) \S+$", name, re.IGNORECASE):
            yield short[0]
