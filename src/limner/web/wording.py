"""The texts of requests and of runs in the words of the pages: settings instead of flags, and no commands."""

from __future__ import annotations

import re
from functools import cache

from pydantic import BaseModel

from limner.core.execution import body_model
from limner.core.requests.request import Flag, Label

KINDS = ("generate", "train", "prepare")
WORDS = "; all that it knows: "
"""What comes before the place of a list of words, which the pages link to."""
UNKNOWN_WORDS = "does not know"
_REPLACED = (
    ("an alias (see `limner models`), a folder, a .safetensors file", "one of the list, a folder, a .safetensors file"),
    (" that `limner train` made", " that a training made"),
    (" Each has flags of its own.", " Each has settings of its own, below."),
    (" Default: the first of GET /industries.", ""),
    ("limner models lists what is", "the Library lists what is"),
    ("set it with --licence", "state it under Rights"),
    ("--keep best", "\u201cWhich checkpoint to save\u201d: best"),
)
_UNKNOWN_ADAPTER = re.compile(r"\bunless (?:[0-9a-f]{64}(?: or )?)+ learned them")
_HASH = re.compile(r"\b((?:sha256|folder):)?([0-9a-f]{8})[0-9a-f]{56}\b")
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")


def on_page(text: str, of: type[BaseModel] | None = None) -> str:
    """A help text, notice or error as the pages show it. of: the request that it is about, where that is known."""
    text = text.partition(WORDS)[0]
    for before, after in _REPLACED:
        text = text.replace(before, after)
    text = _UNKNOWN_ADAPTER.sub("unless your subject learned them", text)
    text = _HASH.sub(lambda found: f"{found[2]}\u2026", text)
    models = [*([] if of is None else [of]), *map(body_model, KINDS)]

    def label(found: re.Match[str]) -> str:
        known = (labels[found[1]] for model in models if found[1] in (labels := _labels(model)))
        return f"\u201c{next(known, found[1].replace('-', ' '))}\u201d"

    return _FLAG.sub(label, text)


@cache
def _labels(model: type[BaseModel]) -> dict[str, str]:
    """The label of the field of a model that a flag fills in, by the flag without its dashes."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        flag = next((each.name for each in field.metadata if isinstance(each, Flag) and each.name), None)
        label = next((each.text for each in field.metadata if isinstance(each, Label)), "")
        found[(flag or name).lstrip("-").replace("_", "-")] = label or name.replace("_", " ")
    return found
