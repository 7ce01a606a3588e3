"""Requests for images of pets: species, breed, background, extras and style, turned into a prompt and tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, field_validator

from limner.core.errors import LimnerError, unknown
from limner.core.image_sizes import ImageSize, size_fields
from limner.core.requests.generate import GenerateRequest
from limner.core.requests.request import MODEL, Frozen, Label, Name, Prompt
from limner.core.requests.uses import AdapterUse
from limner.core.templates import Template
from limner.core.text import article, clean_line

PROMPT = Template.read("{subject}[ {extras}][ {background}]")
"""The words of a caption in their order; a style is put around them."""
MIXED = "mixed breed"
"""A breed of every species."""
MAX_EXTRAS = 8


def _value(value: str) -> str:
    if not any(map(str.isalnum, value)):
        raise ValueError(f"{value!r} has no letter or digit; choose a value, or leave it out")
    return clean_line(value)


Value = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_value)]


class PetsCall(Frozen):
    """Request to generate images of a pet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"species": "dog", "breed": "corgi", "background": "beach", "extras": ["red scarf"]},
                {"species": "cat", "style": "watercolour", "count": 4, "seed": 7},
            ]
        }
    )

    species: Annotated[Value, Label("Animal")] = Field(description="Species, such as dog.")
    breed: Annotated[Value | None, Label("Breed")] = Field(
        default=None, description="Breed of the species, such as corgi. Default: none is named."
    )
    background: Annotated[Value | None, Label("Background")] = Field(
        default=None, description="Background, such as beach. Default: none is named."
    )
    extras: Annotated[tuple[Value, ...], Label("Extras")] = Field(
        default=(), max_length=MAX_EXTRAS, description='Extra, such as scarf or "red scarf"; may be repeated.'
    )
    style: Annotated[Value | None, Label("Style")] = Field(
        default=None, description="Style, such as watercolour. Default: the first one of the model's catalogue."
    )
    adapter: Annotated[AdapterUse | None, Label("My own pet")] = Field(
        default=None, description="Adapter of your own pet, as PATH or PATH:WEIGHT."
    )
    identifier: Annotated[Value | None, Label("Its name in prompts")] = Field(
        default=None, description="Identifier of your own pet, such as sks. Default: the one that the adapter names."
    )
    prompt: Annotated[Prompt | None, Label("Prompt")] = Field(
        default=None, description="Prompt to use in place of the one that the choices give. They remain its tags."
    )
    count: Annotated[int, Label("How many")] = Field(
        default=1, ge=1, le=100, description="Number of images, with consecutive seeds."
    )
    size: Annotated[ImageSize, Label("Size")] = None
    seed: Annotated[int | None, Label("Variation number")] = Field(
        default=None, ge=0, lt=2**32, description="Seed of the first image. Default: random."
    )
    model: Annotated[Name, Label("Base model")] = Field(default="starter", description=MODEL)

    @property
    def needs_identifier(self) -> bool:
        """Whether the prompt needs the identifier that the adapter names."""
        return self.adapter is not None and self.identifier is None and self.prompt is None

    @field_validator("prompt")
    @classmethod
    def _not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("the prompt is blank; leave it out, or say what to generate")
        return value


@dataclass(frozen=True)
class PetCatalogue:
    """The pets that a model can draw, with the words of captions for them.

    breeds: by species. backgrounds: name -> words, such as "on the beach". extras: name -> caption template with the
    field extra, such as "wearing {a extra}". styles: name -> caption template with the field subject. coloured: extras
    that may follow one of the colours, such as "red scarf". most_extras: most extras of one image.
    synonyms: words that are in no caption -> names with the same meaning.
    """

    breeds: Mapping[str, tuple[str, ...]]
    backgrounds: Mapping[str, str]
    extras: Mapping[str, str]
    styles: Mapping[str, str]
    colours: tuple[str, ...] = ()
    coloured: tuple[str, ...] = ()
    most_extras: int = MAX_EXTRAS
    synonyms: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def species(self) -> tuple[str, ...]:
        return tuple(self.breeds)


@dataclass(frozen=True)
class Pet:
    """The choices of a call, as the catalogue writes them. extras: with their colours, if they have any."""

    species: str
    breed: str | None
    background: str | None
    extras: tuple[str, ...]
    style: str

    @property
    def tags(self) -> dict[str, str]:
        """The choices as tags of a run."""
        named = {
            "species": self.species,
            "breed": self.breed,
            "background": self.background,
            "extras": ", ".join(self.extras),
            "style": self.style,
        }
        return {name: value for name, value in named.items() if value}


def choose_pet(call: PetsCall, catalogue: PetCatalogue) -> tuple[Pet | None, dict[str, LimnerError]]:
    """The choices of a call, or None and what is wrong with which field."""
    errors: dict[str, LimnerError] = {}

    def one(name: str, what: str, value: str | None, known: Iterable[str]) -> str | None:
        try:
            return None if value is None else _known(what, value, known, catalogue.synonyms)
        except LimnerError as error:
            errors[name] = error
            return None

    species = one("species", "species", call.species, catalogue.species)
    breed = None
    if species is not None and call.breed is not None:
        breeds = catalogue.breeds[species]
        if breeds:
            breed = one("breed", f"breed of a {species}", call.breed, breeds)
        else:
            problem = f"breed {call.breed!r} is given, and the catalogue lists no breeds of a {species}"
            errors["breed"] = LimnerError(problem, "leave the breed out, or choose another species")
    background = one("background", "background", call.background, catalogue.backgrounds)
    style = one("style", "style", call.style, catalogue.styles) or next(iter(catalogue.styles))
    extras: dict[str, None] = {}
    for extra in call.extras:
        try:
            extras[_known_extra(extra, catalogue)] = None
        except LimnerError as error:
            errors.setdefault("extras", error)
    if len(extras) > catalogue.most_extras and "extras" not in errors:
        problem = f"{len(extras)} extras ({', '.join(extras)}) are chosen, and the model draws at most "
        errors["extras"] = LimnerError(f"{problem}{catalogue.most_extras}", "leave out the others")
    if errors:
        return None, errors
    assert species is not None
    return Pet(species, breed, background, tuple(extras), style), {}


def pet_prompt(pet: Pet, catalogue: PetCatalogue, identifier: str | None = None) -> str:
    """The prompt of a pet, in the words of captions.

    identifier: of the user's own pet, as in "a photo of sks dog", which has no article.
    """
    breed = (pet.breed or "").removesuffix(f" {pet.species}")
    subject = " ".join(filter(None, (identifier, breed, pet.species)))
    values = {
        "subject": subject if identifier else f"{article(subject)} {subject}",
        "extras": _extras_phrase(pet.extras, catalogue),
        "background": "" if pet.background is None else catalogue.backgrounds[pet.background],
    }
    return Template.read(catalogue.styles[pet.style]).fill({"subject": PROMPT.fill(values)})


def generate_request(
    call: PetsCall, catalogue: PetCatalogue, seed: int, identifier: str | None = None
) -> tuple[GenerateRequest, dict[str, str]]:
    """The request of a call, and its tags; raises LimnerError that names all choices that the catalogue lacks.

    seed: for a call without one. identifier: that the adapter names, for a call without one.
    """
    pet, errors = choose_pet(call, catalogue)
    if pet is None:
        raise _joined(errors.values())
    fields: dict[str, Any] = {
        "prompt": call.prompt or pet_prompt(pet, catalogue, call.identifier or identifier),
        "model": call.model,
        "adapter": () if call.adapter is None else (call.adapter,),
        "count": call.count,
        "seed": seed if call.seed is None else call.seed,
        **size_fields(call.size),
    }
    return GenerateRequest.model_validate(fields), pet.tags


def _known(what: str, value: str, known: Iterable[str], synonyms: Mapping[str, str]) -> str:
    """The known name of a value, ignoring case and spaces; raises LimnerError with the nearest one."""
    names = {_plain(name): name for name in known}
    if (found := names.get(_plain(value))) is not None:
        return found
    choices = f"choose one of: {', '.join(sorted(names.values()))}"
    if (same := synonyms.get(_plain(value))) in names:
        raise LimnerError(f"unknown {what} {value!r}", f"did you mean {same!r}? {choices}")
    raise unknown(what, value, names.values())


def _known_extra(value: str, catalogue: PetCatalogue) -> str:
    """An extra of the catalogue, without or with a colour; raises LimnerError with the nearest one."""
    colour, _, rest = _plain(value).partition(" ")
    if colour not in catalogue.colours or not rest:
        return _known("extra", value, catalogue.extras, catalogue.synonyms)
    extra = _known("extra", rest, catalogue.extras, catalogue.synonyms)
    if extra not in catalogue.coloured:
        coloured = f"only these have a colour: {', '.join(catalogue.coloured)}"
        raise LimnerError(f"extra {value!r} has a colour", f"write {extra!r}; {coloured}")
    return f"{colour} {extra}"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def extra_parts(extra: str, catalogue: PetCatalogue) -> tuple[str, str]:
    """The colour, "" without one, and the name of an extra of the catalogue."""
    if extra in catalogue.extras:
        return "", extra
    colour, _, name = extra.partition(" ")
    return colour, name


def _extras_phrase(extras: Iterable[str], catalogue: PetCatalogue) -> str:
    """Extras in words, such as "wearing a scarf and glasses with a ball"."""
    by_verb: dict[str, list[str]] = {}
    for extra in extras:
        _, name = extra_parts(extra, catalogue)
        verb, _, noun = Template.read(catalogue.extras[name]).fill({"extra": extra}).partition(" ")
        by_verb.setdefault(verb, []).append(noun)
    return " ".join(f"{verb} {_listed(nouns)}" for verb, nouns in by_verb.items())


def _listed(nouns: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(nouns[:-1]), nouns[-1])))


def _joined(errors: Iterable[LimnerError]) -> LimnerError:
    """Several errors as one."""
    first, *rest = errors
    return first if not rest else LimnerError("; ".join(map(str, (first, *rest))))
