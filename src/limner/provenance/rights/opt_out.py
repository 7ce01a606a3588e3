"""Opt-outs from training: in words (`noai`), in terms of PLUS, and in the fields of a sidecar or table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from limner.core.datasets import Rights
from limner.core.files import short_line

LONGEST = 300
"""The longest value that is kept, in characters."""

# As tags, or as a sentence that can only mean this: "no AI was used" is not an opt-out.
_OPT_OUT = re.compile(
    r"(?<![\w])(?:no-?ai|no-?image-?ai|no[ _-](?:generative[ _-])?(?:ai|ml|machine[ _-]learning)[ _-]training)(?!\w)",
    re.IGNORECASE,
)
_MINING = re.compile(r"(?:^|/|\b)DMI-([A-Z-]{3,60})\s*$", re.IGNORECASE)

_AUTHOR = ("author", "creator", "artist", "photographer", "byline", "attribution")
_LICENCE = ("licence", "license", "usageterms", "rights", "copyright", "copyrightnotice")
_SOURCE = ("source", "sourceurl", "origin", "url", "imageurl", "pageurl", "link", "foreignlandingurl", "credit")
_CONSENT = ("consent", "modelrelease")
_REFUSALS = ("noai", "noimageai", "noaitraining", "optout")
_PERMISSIONS = ("aitraining", "aigenerativetraining", "training", "trainingallowed", "aiallowed", "datamining")
_SPOKEN = ("keywords", "tags", "subject", "instructions", "specialinstructions", "xrobotstag", "robots", *_LICENCE)
_YES = frozenset(("yes", "true", "1", "1.0", "allowed", "allow", "ok", "y"))
_NO = frozenset(("no", "false", "0", "0.0", "notallowed", "refused", "prohibited", "disallowed", "constrained", "n"))
_TEXT = 10_000

Training = Literal["allowed", "refused"] | None
"""Whether training is allowed; None if nothing is said."""


def one_line(text: str | None) -> str | None:
    """A text on one line of at most LONGEST characters; None if it has no letter or digit."""
    line = short_line(text or "", LONGEST)
    return line if any(char.isalnum() for char in line) else None


def first_of(texts: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The text of the first of some names that has any, on one line."""
    return next((line for name in names if (line := one_line(texts.get(name)))), None)


def find_opt_out(*texts: str) -> str | None:
    """The first opt-out in some texts, as it is written there; None if there is none."""
    found = next((found for text in texts if (found := _OPT_OUT.search(text[: 2**22]))), None)
    return found[0] if found else None


def parse_mining_term(value: str) -> tuple[Training, str]:
    """The meaning of a term of PLUS's data mining vocabulary (http://ns.useplus.org/ldf/vocab/DMI-...), and the term.

    Every prohibition refuses training, because its exceptions cannot be checked here.
    """
    value = value.strip()[:200]
    found = _MINING.search(value)
    term = (found[1] if found else value).upper()
    if re.match(r"PROHIBITED(?:-|$)", term):
        return "refused", term
    return ("allowed" if term == "ALLOWED" else None), term


def rights_from_fields(mapping: Mapping[str, Any]) -> Rights:
    """The rights in fields such as author, license, source_url, consent, noai or ai_training, in any spelling.

    A key may have the prefix of a standard, as in "XMP-plus:DataMining". Values other than texts, numbers, booleans and
    lists of them are ignored.
    """
    texts: dict[str, str] = {}
    for key, value in mapping.items():
        if (text := _text(value)) is not None:
            texts.setdefault(re.sub(r"[\W_]", "", str(key).rpartition(":")[2]).lower(), text)
    training, said = _training(texts)
    found = (first_of(texts, names) for names in (_AUTHOR, _LICENCE, _SOURCE, _CONSENT))
    return Rights(*found, training=training, statement=said)


def _training(texts: Mapping[str, str]) -> tuple[Training, str | None]:
    for name in _REFUSALS:
        if name in texts and _meaning(texts[name]) == "allowed":  # "noai: yes"
            return "refused", f"{name} beside it"
    permissions = {name: _meaning(texts[name]) for name in _PERMISSIONS if name in texts}
    for permission in ("refused", "allowed"):
        if name := next((name for name, meaning in permissions.items() if meaning == permission), None):
            if permission == "allowed" and (opt_out := _spoken(texts)):
                break
            return permission, f"{name}: {one_line(texts[name])} beside it"
    opt_out = _spoken(texts)
    return ("refused", f"{opt_out!r} beside it") if opt_out else (None, None)


def _spoken(texts: Mapping[str, str]) -> str | None:
    return find_opt_out(*(texts[name] for name in _SPOKEN if name in texts))


def _meaning(text: str) -> Training:
    word = re.sub(r"[\s_-]", "", text).lower()
    if word in _YES:
        return "allowed"
    return "refused" if word in _NO else parse_mining_term(text)[0]


def _text(value: Any) -> str | None:
    """A value as text; the items of a list are joined by semicolons."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(text for each in value[:100] if (text := _text(each)) is not None)
    return str(value)[:_TEXT] if isinstance(value, (str, int, float)) else None
