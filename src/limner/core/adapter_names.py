"""What people call a trained adapter: the one name that all pages, searches and filters use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from limner.core.requests import ImproveRequest, TrainRequest

NAME_TAG = "name"
"""The tag of a run with the name that its owner gave the adapter that it made."""
IMPROVED = ", improved"
_REFERENCE = re.compile(r"(?:sha256|folder):([0-9a-f]{64})")


def adapter_name(request: object, tags: Mapping[str, str], original: str = "") -> str:
    """The name of what a run makes: the one that its owner gave it, or its subject. "" for other requests.

    original: the name of what an improvement improves, which its own name follows.
    """
    if isinstance(request, ImproveRequest):
        return tags.get(NAME_TAG) or f"{original.removesuffix(IMPROVED)}{IMPROVED}"
    if not isinstance(request, TrainRequest):
        return ""
    return tags.get(NAME_TAG) or request.of_subject("{}") or request.folder_name


def short_name(reference: str) -> str:
    """A name for an adapter of which nothing else is known: with the start of its hash, or that of its file."""
    found = _REFERENCE.fullmatch(reference)
    return f"Adapter {found[1][:8]}" if found else PurePath(reference.replace("\\", "/")).name
