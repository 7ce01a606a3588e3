"""Calls for images of pets: their prompts, their tags, and what is refused."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from limner.core.errors import LimnerError
from limner.core.pets import MAX_EXTRAS, Pet, PetCatalogue, PetsCall, choose_pet, generate_request, pet_prompt
from limner.core.unknown_words import unknown_words, words_of
from limner.plugins.registry import aliases, load_domain
from limner.starter.painter import BREEDS, Scene, caption
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import COLOURS, EXTRAS, PLACES, STYLES
from limner.studio.pets import pet_catalogue, pet_drawing

STARTER, ALL = pet_catalogue("starter"), pet_catalogue("sdxl")
SMALL = PetCatalogue(
    breeds={"dog": ("corgi", "australian cattle dog"), "cat": ("siamese",), "hamster": ()},
    backgrounds={"beach": "on the beach", "sofa": "on the sofa"},
    extras={
        "scarf": "wearing {a extra}",
        "glasses": "wearing {extra}",
        "ball": "with {a extra}",
        "hat": "wearing {a extra}",
    },
    styles={"photo": "a photo of {subject}", "etching": "an etching of {subject}"},
    colours=("red", "orange"),
    coloured=("scarf", "ball"),
    synonyms={"seaside": "beach"},
)


def made(catalogue: PetCatalogue = SMALL, identifier: str | None = None, **fields: object):
    return generate_request(PetsCall.model_validate({"species": "dog", **fields}), catalogue, 5, identifier)


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({}, "a photo of a dog"),
        ({"breed": "corgi"}, "a photo of a corgi dog"),
        ({"breed": "australian cattle dog"}, "a photo of an australian cattle dog"),
        ({"background": "sofa"}, "a photo of a dog on the sofa"),
        ({"extras": ["scarf"]}, "a photo of a dog wearing a scarf"),
        ({"extras": ["orange scarf"]}, "a photo of a dog wearing an orange scarf"),
        ({"extras": ["glasses"]}, "a photo of a dog wearing glasses"),
        ({"extras": ["scarf", "glasses", "hat"]}, "a photo of a dog wearing a scarf, glasses and a hat"),
        ({"extras": ["ball", "red scarf", "hat"]}, "a photo of a dog with a ball wearing a red scarf and a hat"),
        ({"style": "etching", "breed": "corgi"}, "an etching of a corgi dog"),
        ({"identifier": "sks", "background": "beach"}, "a photo of sks dog on the beach"),
        ({"prompt": "a happy dog", "breed": "corgi"}, "a happy dog"),
        (
            {"species": " DOG ", "breed": "Corgi", "extras": ["Red  Scarf"]},
            "a photo of a corgi dog wearing a red scarf",
        ),
    ],
)
def test_choices_become_a_prompt_in_the_words_of_captions(fields, prompt):
    assert made(**fields)[0].prompt == prompt


def test_the_identifier_of_the_call_goes_before_that_of_the_adapter():
    assert made(identifier="sks")[0].prompt == "a photo of sks dog"
    assert made(identifier="sks", **{"species": "cat"})[0].prompt == "a photo of sks cat"
    request, _ = generate_request(PetsCall(species="dog", identifier="zwx"), SMALL, 5, "sks")
    assert request.prompt == "a photo of zwx dog"


def test_all_other_fields_reach_the_request():
    request, _ = made(adapter="rex:0.8", count=3, size="64x32", seed=9, model="sdxl")
    assert [(use.path, use.weight) for use in request.adapter] == [("rex", 0.8)]
    assert (request.count, request.width, request.height, request.seed, request.model) == (3, 64, 32, 9, "sdxl")
    request, _ = made(size="auto")
    assert (request.width, request.seed, request.adapter, request.count) == (None, 5, (), 1)


def test_choices_become_tags():
    tags = made(breed="Corgi", background="Beach", extras=["red scarf", "hat", "hat"], prompt="a happy dog")[1]
    assert tags == {
        "species": "dog",
        "breed": "corgi",
        "background": "beach",
        "extras": "red scarf, hat",
        "style": "photo",
    }
    assert made()[1] == {"species": "dog", "style": "photo"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("species", "dgo", "unknown species 'dgo'; did you mean 'dog'? choose one of: cat, dog, hamster"),
        ("breed", "corgy", "unknown breed of a dog 'corgy'; did you mean 'corgi'?"),
        ("breed", "siamese", "unknown breed of a dog 'siamese'; choose one of: australian cattle dog, corgi"),
        ("background", "beech", "unknown background 'beech'; did you mean 'beach'?"),
        ("background", "Seaside", "unknown background 'Seaside'; did you mean 'beach'? choose one of: beach, sofa"),
        ("style", "etchings", "unknown style 'etchings'; did you mean 'etching'?"),
        ("extras", ["hat", "skarf"], "unknown extra 'skarf'; did you mean 'scarf'?"),
        ("extras", ["red skarf"], "unknown extra 'skarf'; did you mean 'scarf'?"),
        ("extras", ["blue scarf"], "unknown extra 'blue scarf'; did you mean"),
        ("extras", ["red hat"], "extra 'red hat' has a colour; write 'hat'; only these have a colour: scarf, ball"),
        ("extras", ["red"], "unknown extra 'red'"),
    ],
)
def test_an_unknown_value_is_refused_with_the_nearest_one(field, value, message):
    call = PetsCall.model_validate({"species": "dog", field: value})
    pet, errors = choose_pet(call, SMALL)
    assert pet is None and list(errors) == [field]
    if "did you mean" in message and "blue" in message:
        message = message.partition(";")[0]
    with pytest.raises(LimnerError) as error:
        generate_request(call, SMALL, 1)
    assert str(error.value).startswith(message)


def test_a_breed_of_a_species_without_breeds_is_refused():
    with pytest.raises(LimnerError, match="breed 'teddy' is given, and the catalogue lists no breeds of a hamster"):
        made(species="hamster", breed="teddy")


def test_all_problems_are_reported_together():
    with pytest.raises(LimnerError) as error:
        made(breed="x", background="y", style="z", extras=["w"])
    assert all(text in str(error.value) for text in ("breed of a dog 'x'", "background 'y'", "style 'z'", "extra 'w'"))


def test_the_starter_draws_one_extra():
    made(STARTER, extras=["scarf", "Scarf"])
    with pytest.raises(LimnerError, match=r"2 extras \(scarf, crown\) are chosen, and the model draws at most 1"):
        made(STARTER, extras=["scarf", "crown"])


@pytest.mark.parametrize(
    "fields",
    [
        {"species": ""},
        {"species": "--"},
        {"species": "a" * 65},
        {"species": 7},
        {"species": "dog", "breed": "<>"},
        {"species": "dog", "extras": ["scarf"] * (MAX_EXTRAS + 1)},
        {"species": "dog", "extras": "scarf"},
        {"species": "dog", "prompt": " \n"},
        {"species": "dog", "prompt": "a" * 20_001},
        {"species": "dog", "count": 0},
        {"species": "dog", "count": 101},
        {"species": "dog", "size": "3x3"},
        {"species": "dog", "seed": -1},
        {"species": "dog", "seed": 2**32},
        {"species": "dog", "colour": "red"},
        {"breed": "corgi"},
    ],
)
def test_values_out_of_bounds_are_refused(fields):
    with pytest.raises(ValidationError):
        PetsCall.model_validate(fields)


def test_a_value_stays_on_one_line():
    assert PetsCall(species="dog\n\x1b[31m red").species == "dog [31m red"


def test_the_starter_lists_what_its_painter_draws_and_no_more():
    assert STARTER.breeds == BREEDS
    plain = {f"{colour} background" for colour in COLOURS}
    assert {*STARTER.backgrounds} == {*PLACES} | plain
    assert [*STARTER.extras] == [*EXTRAS] and [*STARTER.styles] == [*STYLES]
    assert STARTER.coloured == COLOURED_EXTRAS and STARTER.colours == (*COLOURS,)


@pytest.mark.slow
def test_every_choice_of_the_starter_gives_a_prompt_of_known_words():
    domain = load_domain(aliases()["starter"][1])
    known = words_of(text for texts in domain.phrases().values() for text in texts)
    pets = [(species, breed) for species, breeds in BREEDS.items() for breed in (None, *breeds)]
    extras = [(), *((extra,) for extra in EXTRAS)]
    extras += [(f"{colour} {extra}",) for extra in COLOURED_EXTRAS for colour in COLOURS]
    for (species, breed), place, extra, style in product(pets, (None, *STARTER.backgrounds), extras, STYLES):
        prompt = pet_prompt(Pet(species, breed, place, extra, style), STARTER)
        assert not unknown_words(prompt, known), prompt


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("extra", EXTRAS)
def test_prompts_of_the_starter_are_captions_of_its_painter(style, extra):
    for place in PLACES:
        scene = Scene(subject="dog", breed="corgi", place=place, style=style, extra=extra)
        wanted = caption(scene).replace(" sitting", "")
        assert pet_prompt(Pet("dog", "corgi", place, (extra,), style), STARTER) == wanted
    backdrop = Scene(subject="dog", breed="corgi", place="studio", backdrop="orange", style=style, extra=extra)
    wanted = caption(backdrop).replace(" sitting", "")
    assert pet_prompt(Pet("dog", "corgi", "orange background", (extra,), style), STARTER) == wanted


def test_other_models_know_all_of_the_catalogue():
    assert len(ALL.breeds["dog"]) >= 60 and len(ALL.breeds["cat"]) >= 30
    for breeds in ALL.breeds.values():
        assert len({*breeds}) == len(breeds) and "mixed breed" in breeds
    for name in ("breeds", "backgrounds", "extras", "styles"):
        assert {*getattr(STARTER, name)} <= {*getattr(ALL, name)}
    assert all({*STARTER.breeds[species]} < {*ALL.breeds[species]} for species in BREEDS)
    assert pet_catalogue("sha256:" + "0" * 64) == ALL == pet_catalogue("stabilityai/sdxl-turbo")
    rabbit = PetsCall(species="rabbit", background="garden", extras=("blue ball", "glasses"))
    assert (
        generate_request(rabbit, ALL, 1)[0].prompt
        == "a photo of a rabbit with a blue ball wearing glasses in the garden"
    )


def test_every_choice_of_other_models_gives_a_prompt():
    for species, breeds in ALL.breeds.items():
        for breed in breeds:
            prompt = pet_prompt(Pet(species, breed, None, (), "photo"), ALL)
            assert breed in prompt and species in prompt and not prompt.endswith(f" {species} {species}")
    for background, extra, style in product(ALL.backgrounds, ALL.extras, ALL.styles):
        prompt = pet_prompt(Pet("cat", None, background, (extra,), style), ALL)
        assert extra in prompt and ALL.backgrounds[background] in prompt and not {*"{}[]"} & {*prompt}


def test_drawings_are_of_what_the_painter_draws():
    drawings = {pet_drawing("starter", species, breed) for species, breeds in BREEDS.items() for breed in breeds}
    assert len(drawings) == sum(map(len, BREEDS.values()))
    with pytest.raises(LimnerError, match="unknown breed of a dog 'siamese'"):
        pet_drawing("starter", "dog", "siamese")
    with pytest.raises(LimnerError, match="has no drawings of pets"):
        pet_drawing("sdxl", "dog", "corgi")
