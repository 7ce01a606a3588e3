"""What pictures are looked up by, taken from the request that painted them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from limner.store.blobs import REFERENCE
from limner.store.tables import ArtifactRow, ImageAdapterRow, ImageRow, RunRow


def catalogue(session: Session, artifact: ArtifactRow, run: RunRow) -> None:
    """Add the rows by which a picture is found."""
    request, tags = run.request, run.tags
    if request.get("kind") != "generate":
        return
    picture = ImageRow(
        id=artifact.id,
        run=run.id,
        owner=run.owner,
        queue=run.queue,
        created=artifact.created,
        words=folded(request["prompt"]),
        negative=folded(request.get("negative_prompt", "")),
        wish=wish_of(request),
        model=sound(request["model"]),
        industry=tags.get("industry"),
        style=tags.get("style"),
    )
    session.add(picture)
    session.flush()  # the rows below point at it
    used = {adapter_key(use["path"]): sound(use["path"]) for use in request.get("adapter", ())}
    session.add_all(ImageAdapterRow(picture=artifact.id, key=key, reference=use) for key, use in used.items())


def adapter_key(reference: str) -> str:
    """The hash that an adapter is looked up by: that of its reference, or of its path."""
    found = REFERENCE.fullmatch(reference)
    return found[2] if found else hashlib.sha256(sound(reference).encode()).hexdigest()


def wish_of(request: Mapping[str, Any]) -> str:
    """A hash that two pictures share when they were painted from the same words."""
    words = "\0".join((request["prompt"], request.get("negative_prompt", "")))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


def folded(text: str) -> str:
    """Text in which search takes no account of capitals."""
    return sound(text).casefold()


def sound(text: str) -> str:
    """Text that every database takes: no NUL, and nothing that is no letter at all."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
