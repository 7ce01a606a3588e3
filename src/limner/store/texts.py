"""Texts and hashes by which images are found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from limner.store.blobs import REFERENCE


def adapter_key(reference: str) -> str:
    """The hash by which an adapter is found: the one in its reference, or a hash of its path."""
    found = REFERENCE.fullmatch(reference)
    return found[2] if found else hashlib.sha256(storable(reference).encode()).hexdigest()


def prompt_hash(request: Mapping[str, Any]) -> str:
    """A hash of prompt and negative prompt, equal for images of the same prompts."""
    words = "\0".join((request["prompt"], request.get("negative_prompt", "")))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


def fold_case(text: str) -> str:
    """Text for a search that ignores case."""
    return storable(text).casefold()


def storable(text: str) -> str:
    """Text without NUL and surrogates, which not every database can store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
