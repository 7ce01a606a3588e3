"""What people call a trained adapter: the one name that all pages, searches and filters use."""

from __future__ import annotations

from collections.abc import Mapping

from limner.core.requests import TrainRequest

NAME_TAG = "name"
"""The tag of a training run with the name that its owner gave the result."""


def adapter_name(request: object, tags: Mapping[str, str]) -> str:
    """The name of what a training makes: the one that its owner gave it, or its subject. "" for other requests."""
    if not isinstance(request, TrainRequest):
        return ""
    return tags.get(NAME_TAG) or request.of_subject("{}") or request.folder_name
