"""The form of pets: the submitted choices, and the call that they make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limner.core.pets import PetCatalogue, PetsCall, extra_parts
from limner.studio.pets import pet_catalogue
from limner.web.uploads import Texts

LONGEST = 200
"""Most characters of a name of a model that is looked up."""


@dataclass(frozen=True)
class PetsForm:
    """What was typed. values: of each field, as text. extras: the chosen ones, without their colour."""

    values: dict[str, str]
    extras: tuple[str, ...]

    @property
    def model(self) -> str:
        return self.values.get("model", "")[:LONGEST] or "starter"

    @cached_property
    def catalogue(self) -> PetCatalogue:
        return pet_catalogue(self.model)

    @property
    def species(self) -> str:
        """The chosen species; the first one where none is."""
        return self.values.get("species", "") or self.catalogue.species[0]

    @property
    def breeds(self) -> tuple[str, ...]:
        return self.catalogue.breeds.get(self.species, ())

    @property
    def breed(self) -> str:
        return self.values.get("breed", "")

    @property
    def background(self) -> str:
        return self.values.get("background", "")

    @property
    def style(self) -> str:
        return self.values.get("style", "") or next(iter(self.catalogue.styles))

    @property
    def colour(self) -> str:
        return self.values.get("colour", "")

    @property
    def adapter(self) -> str:
        return self.values.get("adapter", "")

    @property
    def edited(self) -> str:
        """The prompt, if it is not the one that the choices gave."""
        prompt = self.values.get("prompt", "").strip()
        return "" if prompt == self.values.get("made", "").strip() else prompt

    @property
    def plain(self) -> dict[str, str]:
        """The values of fields that are shown as in other forms."""
        return {name: self.values[name] for name in ("count", "size", "seed", "identifier") if name in self.values}

    def call_fields(self) -> dict[str, Any]:
        """The fields of a call."""
        known = {name: value for name, value in self.values.items() if name in PetsCall.model_fields}
        known.pop("prompt", None)
        if self.edited:
            known["prompt"] = self.edited
        coloured = self.catalogue.coloured
        extras = [f"{self.colour} {name}" if self.colour and name in coloured else name for name in self.extras]
        return {**known, "species": self.species, "model": self.model, "extras": extras}


def read_pets_form(typed: Texts) -> PetsForm:
    """The form of submitted fields; blank ones are left out. An extra may hold its colour, as in "red scarf"."""
    values = {name: value.strip() for name, value in typed if value.strip() and name != "extras"}
    extras: list[str] = []
    form = PetsForm(values, ())
    for extra in (value.strip() for name, value in typed if name == "extras" and value.strip()):
        colour, name = extra_parts(extra, form.catalogue)
        if colour in form.catalogue.colours and name in form.catalogue.coloured:
            values = {"colour": colour, **values}
            extra = name
        extras.append(extra)
    return PetsForm(values, tuple(extras))
