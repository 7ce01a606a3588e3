"""References in queued requests: only those that mean the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Callable

from limner.core.errors import LimnerError
from limner.core.requests import Request, references_of, replace_references
from limner.data.entries.references import suffix_by_content
from limner.plugins.registry import aliases
from limner.store.blobs import REFERENCE


def check_references(request: Request) -> set[str]:
    """The references to stored files in a request.

    Raises LimnerError for names that another machine may not know: a file must be stored by content, and a model must
    be stored, an alias, or on the Hugging Face hub.
    """
    if request.unresolved:
        raise LimnerError(
            f"{request.unresolved[0]} is not given", "name it, because a worker does not read it from the adapter"
        )
    found: set[str] = set()

    def stored(reference: str) -> str:
        if REFERENCE.fullmatch(reference):
            found.add(reference)
            return reference
        raise LimnerError(f"{reference!r} is not a reference", "upload the file and name it sha256:HASH or folder:HASH")

    replace_references(request, stored, lambda reference: reference if is_model(reference) else stored(reference))
    return found


def is_model(reference: str) -> bool:
    """Whether a name means the same model on every machine: an alias, or a model on the Hugging Face hub.

    Only the name decides, so that no response of the service depends on this machine's disk. A worker runs in an empty
    folder, so that no local folder of that name is loaded instead.
    """
    return reference in aliases() or _ON_HUB.fullmatch(reference) is not None


_ON_HUB = re.compile(r"\w[\w.-]*/\w[\w.-]*((/\w[\w.-]*)+\.safetensors)?")
"""OWNER/NAME, or a file in it; no part starts with a dot."""


def suffix_of(request: Request, reference: str, head: Callable[[], bytes] = bytes) -> str:
    """The suffix that the name of a referenced file needs, so that its format is recognised. head: its first bytes."""
    kinds = {kind for kind, named in references_of(request) if named == reference}
    if kinds in ({"pictures"}, {"feedback"}) and reference.startswith("sha256:"):
        return suffix_by_content(head())
    suffixes = {_SUFFIXES.get(kind, "") for kind in kinds}
    return suffixes.pop() if len(suffixes) == 1 else ""


_SUFFIXES = {"weights": ".safetensors", "model": ".safetensors", "table": ".csv"}
"""Suffixes of files whose names are unknown, by what refers to them."""
