"""A profile made ready when the service starts: what it names is there, and kept where every worker finds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.execution import body_model
from limner.core.requests import AdapterUse, replace_references
from limner.server.profile import Industry, Profile, Side
from limner.studio.files import REFERENCE
from limner.studio.references import is_model
from limner.studio.studio import Studio

BASE = "sha256:" + "0" * 64
"""Stands for the picture that comes with each call."""


def settled(profile: Profile, studio: Studio) -> tuple[Profile, frozenset[str]]:
    """The profile with references in place of paths, and all the references in it.

    Files and folders of this machine are kept by their content; LimnerError for what is not there.
    """
    used: set[str] = set()

    def place(name: str) -> str:
        reference = _kept(studio, name)
        used.add(reference)
        return reference

    def model(name: str) -> str:
        return name if is_model(name) and not Path(name).exists() else place(name)

    def industry(sector: Industry) -> Industry:
        return Industry(words=sector.words, text=_moved(sector.text, place), picture=_moved(sector.picture, place))

    ready = Profile(
        text=_side(profile.text, None, place, model),
        picture=_side(profile.picture, BASE, place, model),
        industries={name: industry(sector) for name, sector in profile.industries.items()},
        styles=profile.styles,
    )
    return ready, frozenset(used)


def _moved(uses: tuple[AdapterUse, ...], place: Callable[[str], str]) -> tuple[AdapterUse, ...]:
    return tuple(use.model_copy(update={"path": place(use.path)}) for use in uses)


def _side(side: Side, image: str | None, place: Callable[[str], str], model: Callable[[str], str]) -> Side:
    """A side's fields, those that name something in their place."""
    request = body_model("generate").model_validate({**side.request, "prompt": "x", "image": image})
    moved = replace_references(request, lambda name: name if name == BASE else place(name), model)
    told: dict[str, Any] = moved.model_dump(mode="json", include=set(side.request))
    return Side(request=told)


def _kept(studio: Studio, name: str) -> str:
    """The reference of what a profile names."""
    if found := REFERENCE.fullmatch(name):
        if found[2] not in studio.files:
            raise LimnerError(f"the profile names {name!r}, which is not kept here", "upload it, or name its path")
        return name
    place = Path(name).expanduser()
    if not place.exists():
        raise LimnerError(f"the profile names {name!r}, where there is nothing", "check the path, or write sha256:HASH")
    return studio.files.upload(place)  # held by nobody's account, so that no sweep takes it
