"""Pets that models can draw, and adapters of the user's own pets; imports no torch."""

from __future__ import annotations

import io
from functools import lru_cache

from limner.core.errors import LimnerError, unknown
from limner.data.captions.pet_catalogue import pet_catalogue
from limner.models.adapters import open_adapter
from limner.plugins.registry import aliases, load_domain

__all__ = ["adapter_identifier", "draws_pets", "pet_catalogue", "pet_drawing"]
LONGEST = 64


def draws_pets(model: str) -> bool:
    """Whether `pet_drawing` shows what a model knows."""
    return model in aliases() and load_domain(aliases()[model][1]) is not None


@lru_cache(256)
def pet_drawing(model: str, species: str, breed: str) -> bytes:
    """A small PNG of a breed as a model was trained to draw it; raises LimnerError for one that it does not know."""
    domain = load_domain(aliases()[model][1]) if model in aliases() else None
    if domain is None:
        raise LimnerError(f"model {model!r} has no drawings of pets", "use the starter")
    known = domain.pets().breeds
    if species not in known:
        raise unknown("species", species, known)
    if breed not in known[species]:
        raise unknown(f"breed of a {species}", breed, known[species])
    out = io.BytesIO()
    domain.draw_pet(species, breed).save(out, "PNG")
    return out.getvalue()


def adapter_identifier(path: str) -> str | None:
    """The identifier that an adapter was trained with, None if its file does not name one; raises LimnerError."""
    request = open_adapter(path).facts.get("request")
    found = request.get("identifier") if isinstance(request, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= LONGEST and found.isprintable() else None
