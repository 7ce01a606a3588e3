"""The texts of requests and of runs in the words of the pages: labels instead of names of fields, and no commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from limner.core.execution import body_model
from limner.core.requests.descriptions import FIELD, described
from limner.core.requests.request import Flag, Label

KINDS = ("generate", "train", "prepare")
WORDS = "; all that it knows: "
"""What comes before the place of a list of words, which the pages link to."""
UNKNOWN_WORDS = "does not know"
_HASH = re.compile(r"\b(?:(?:sha256|folder):)?([0-9a-f]{64})(?:\.folder|\.safetensors)?\b")
_UNKNOWN_ADAPTER = re.compile(rf"\bunless (?:{_HASH.pattern}(?: or )?)+ learned them")
_INSTALLATION = re.compile(r"^(Installation [0-9a-f]{8})[0-9a-f]+$")
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")


def help_of(text: str, model: type[BaseModel]) -> str:
    """The description of a field of a model as the pages show it."""
    named = described(text, model.model_fields, lambda name, field: f"\u201c{label_of(name, field)}\u201d")
    return FIELD.sub(r"\1", named)


def label_of(name: str, field: FieldInfo) -> str:
    """What the pages call a field."""
    plain = name.replace("_", " ")
    return next((each.text for each in field.metadata if isinstance(each, Label)), plain[:1].upper() + plain[1:])


def on_page(text: str, names: Mapping[str, str] = {}) -> str:
    """A notice or an error, which may name flags and hashes, as the pages show it. names: of adapters, by hash."""
    text = _HASH.sub(lambda found: names.get(found[1], found[0]), text.partition(WORDS)[0])
    text = _UNKNOWN_ADAPTER.sub("unless your subject learned them", text)
    text = without_hashes(text)
    return _FLAG.sub(lambda found: f"\u201c{_labels().get(found[1], found[1].replace('-', ' '))}\u201d", text)


def without_hashes(text: str, names: Mapping[str, str] = {}) -> str:
    """A text with the names of stored files instead of their hashes, or the beginning of those without a name."""
    return _HASH.sub(lambda found: names.get(found[1]) or f"{found[1][:8]}\u2026", text)


def has_hash(text: str) -> bool:
    """Whether a text names a stored file by its hash."""
    return _HASH.search(text) is not None


def signer_text(state: str, signer: str) -> str:
    """Who signed an image. state: of its verification. The number of another installation is shortened."""
    found = _INSTALLATION.match(signer)
    if found is None:
        return signer
    return "this installation of Limner" if state == "ours" else f"{found[1]}\u2026"


@cache
def _labels() -> dict[str, str]:
    """The labels of fields by their flags without dashes; of several fields with one flag, that of the first kind."""
    found: dict[str, str] = {}
    for kind in KINDS:
        for name, field in body_model(kind).model_fields.items():
            flag = next((each.name for each in field.metadata if isinstance(each, Flag) and each.name), None)
            found.setdefault((flag or name).lstrip("-").replace("_", "-"), label_of(name, field))
    return found
