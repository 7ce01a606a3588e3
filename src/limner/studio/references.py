"""How the requests of the queue name what they need: by what means the same on every machine."""

from __future__ import annotations

import re

from limner.core.errors import LimnerError
from limner.core.requests import Request, references_of, replace_references
from limner.plugins.registry import aliases
from limner.store.blobs import REFERENCE


def check_references(request: Request) -> set[str]:
    """Refuse what would mean nothing, or something else, on another machine: files are kept by content, and models are
    that too, or named ones, or on the hub. Returns the references to what is kept.
    """
    if request.unresolved:
        raise LimnerError(
            f"{request.unresolved[0]} is left open", "name it, for a worker does not take an adapter's word for it"
        )
    found: set[str] = set()

    def kept(reference: str) -> str:
        if REFERENCE.fullmatch(reference):
            found.add(reference)
            return reference
        raise LimnerError(f"{reference!r} is no reference", "upload the file and name it sha256:HASH or folder:HASH")

    replace_references(request, kept, lambda reference: reference if is_model(reference) else kept(reference))
    return found


def is_model(reference: str) -> bool:
    """Whether this names a model the same on every machine: an alias, or one on the Hugging Face hub.

    The name alone decides, so that no answer over a network depends on this machine's disk. A worker runs in an empty
    folder, where no folder of that name can be taken for the model.
    """
    return reference in aliases() or _ON_HUB.fullmatch(reference) is not None


_ON_HUB = re.compile(r"\w[\w.-]*/\w[\w.-]*((/\w[\w.-]*)+\.safetensors)?")
"""OWNER/NAME, or one file of it; no part begins with a dot."""


def suffix_of(request: Request, reference: str) -> str:
    """How the name of a referenced file must end to be known for what it is."""
    suffixes = {_SUFFIXES.get(kind, "") for kind, named in references_of(request) if named == reference}
    return suffixes.pop() if len(suffixes) == 1 else ""


_SUFFIXES = {"weights": ".safetensors", "model": ".safetensors", "table": ".csv"}
"""Of files that are kept by their content, whose names are not known, by what refers to them."""
