"""Captions of a draft that call its subject by another word than its identifier."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from limner.core.drafts import Draft
from limner.studio.model_facts import identifier_problem

_WORD = re.compile(r"[^\W\d_][\w-]*")


@dataclass(frozen=True)
class OtherName:
    """Captions that do not contain the identifier. text: how many. other: the word that they seem to hold instead, ""
    if none. query: of the page on which it is replaced.
    """

    text: str
    identifier: str
    other: str
    query: str


def captions_without(draft: Draft, model: str, identifier: str) -> OtherName | None:
    """The captions that do not contain the identifier; None if all do."""
    written = [image.caption for image in draft.shown if image.caption.strip()]
    without = [caption for caption in written if identifier.casefold() not in caption.casefold()]
    if not without:
        return None
    verb = "does" if len(without) == 1 else "do"
    text = f"{len(without)} of {len(written)} captions {verb} not contain \u201c{identifier}\u201d. It is added to them"
    other = _other_name(without, model, draft.text("class_word"))
    if other:
        query = urlencode({"find": other, "replace": identifier})
        return OtherName(
            f"{text}. If \u201c{other}\u201d is the subject's name there, replace it", identifier, other, query
        )
    return OtherName(f"{text}; if they call the subject by another name, replace that", identifier, "", "find=")


def _other_name(captions: Sequence[str], model: str, class_word: str) -> str:
    """The one made-up word that all captions hold; "" if there is none, or if several could be meant."""
    words = {word: None for word in _WORD.findall(captions[0])}
    for caption in captions[1:]:
        held = set(_WORD.findall(caption))
        words = {word: None for word in words if word in held}
    known = class_word.casefold().split()
    ordinary = {word for word in words if identifier_problem(model, word) or identifier_problem("starter", word)}
    found = [word for word in words if word.casefold() not in known and word not in ordinary]
    before = [word for word in found if all(f"{word} {class_word}".casefold() in each.casefold() for each in captions)]
    return next((each[0] for each in (found, before) if len(each) == 1), "")
