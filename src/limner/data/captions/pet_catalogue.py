"""The catalogues of pets: of a model that knows few, and of all other models."""

from __future__ import annotations

from functools import cache

from limner.core.pets import MIXED, PetCatalogue
from limner.data.captions.catalogue import FieldEntry, read_catalogue
from limner.plugins.registry import aliases, load_domain

STYLES = {
    "photo": "a photo of {subject}",
    "studio portrait": "a studio portrait of {subject}",
    "black and white photo": "a black and white photo of {subject}",
    "illustration": "an illustration of {subject}",
    "cartoon": "a cartoon of {subject}",
}
"""Styles besides those of models with a domain."""
STUDIO = {"studio": "in a studio"}


def pet_catalogue(model: str) -> PetCatalogue:
    """The pets that a model can draw: those of its domain, or for a model without one, all known pets."""
    _, alias = aliases().get(model, ("", None))
    domain = load_domain(alias)
    return _all_pets() if domain is None else domain.pets()


@cache
def _all_pets() -> PetCatalogue:
    """The pets of `pets.yaml`, and those of all models with a domain."""
    domains = [load_domain(alias) for _, alias in aliases().values() if alias.domain]
    drawn = [domain.pets() for domain in domains if domain is not None]
    entries = read_catalogue().entries
    breeds: dict[str, dict[str, None]] = {species: {} for pets in drawn for species in pets.breeds}
    breeds |= {species: {} for species in entries["species"].values}
    for known in (*(pets.breeds for pets in drawn), entries["breed"].groups):
        for species, names in known.items():
            breeds[species] |= dict.fromkeys(names)
    colours = dict.fromkeys(colour for pets in drawn for colour in pets.colours)
    extras = _merged(*(dict(pets.extras) for pets in drawn), _words(entries["extras"]))
    return PetCatalogue(
        breeds={species: (*sorted(names), MIXED) for species, names in breeds.items()},
        backgrounds=_merged(*(dict(pets.backgrounds) for pets in drawn), STUDIO, _words(entries["background"])),
        extras=extras,
        styles=_merged(STYLES, *({k: v for k, v in pets.styles.items() if k not in STYLES} for pets in drawn)),
        colours=tuple(colours),
        coloured=tuple(name for name, words in extras.items() if "{a extra}" in words),
    )


def _words(entry: FieldEntry) -> dict[str, str]:
    return {value: entry.words[value] for value in entry.values}


def _merged(*parts: dict[str, str]) -> dict[str, str]:
    return {name: words for part in parts for name, words in part.items()}
