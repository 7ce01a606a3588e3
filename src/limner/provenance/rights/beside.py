"""Whose a picture is, by what a sidecar or a row of a table tells beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from limner.core.datasets import Rights
from limner.provenance.rights.words import marked_in, mining, told

_AUTHOR = ("author", "creator", "artist", "photographer", "byline", "attribution")
_LICENCE = ("licence", "license", "usageterms", "rights", "copyright", "copyrightnotice")
_SOURCE = ("source", "sourceurl", "origin", "url", "imageurl", "pageurl", "link", "foreignlandingurl", "credit")
_CONSENT = ("consent", "modelrelease")
_REFUSALS = ("noai", "noimageai", "noaitraining", "optout")
_LEAVES = ("aitraining", "aigenerativetraining", "training", "trainingallowed", "aiallowed", "datamining")
_SPOKEN = ("keywords", "tags", "subject", "instructions", "specialinstructions", "xrobotstag", "robots", *_LICENCE)
_YES = frozenset(("yes", "true", "1", "1.0", "allowed", "allow", "ok", "y"))
_NO = frozenset(("no", "false", "0", "0.0", "notallowed", "refused", "prohibited", "disallowed", "constrained", "n"))
_TEXT = 10_000


def rights_from_fields(mapping: Mapping[str, Any]) -> Rights:
    """What keys such as author, license, source_url, consent, noai or ai_training tell, however they are spelt.

    A key may name the standard it is of, as in "XMP-plus:DataMining". What is neither text, number, truth nor a list
    of such is left out.
    """
    texts: dict[str, str] = {}
    for key, value in mapping.items():
        if (text := _text(value)) is not None:
            texts.setdefault(re.sub(r"[\W_]", "", str(key).rpartition(":")[2]).lower(), text)
    training, said = _training(texts)
    found = (_first(texts, names) for names in (_AUTHOR, _LICENCE, _SOURCE, _CONSENT))
    return Rights(*found, training=training, said=said)


def _first(texts: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((line for name in names if (line := told(texts.get(name)))), None)


def _training(texts: Mapping[str, str]) -> tuple[Literal["allowed", "refused"] | None, str | None]:
    for name in _REFUSALS:
        if name in texts and _meaning(texts[name]) == "allowed":  # "noai: yes"
            return "refused", f"{name} beside it"
    wishes = {name: _meaning(texts[name]) for name in _LEAVES if name in texts}
    for wish in ("refused", "allowed"):
        if name := next((name for name, meant in wishes.items() if meant == wish), None):
            if wish == "allowed" and (mark := _spoken(texts)):
                break
            return wish, f"{name}: {told(texts[name])} beside it"
    mark = _spoken(texts)
    return ("refused", f"{mark!r} beside it") if mark else (None, None)


def _spoken(texts: Mapping[str, str]) -> str | None:
    return marked_in(*(texts[name] for name in _SPOKEN if name in texts))


def _meaning(text: str) -> Literal["allowed", "refused"] | None:
    word = re.sub(r"[\s_-]", "", text).lower()
    if word in _YES:
        return "allowed"
    return "refused" if word in _NO else mining(text)[0]


def _text(value: Any) -> str | None:
    """A value as text; a list's with semicolons between."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(text for each in value[:100] if (text := _text(each)) is not None)
    return str(value)[:_TEXT] if isinstance(value, (str, int, float)) else None
