"""The painter: equal scenes give equal images, every value changes the image, captions are true."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from limner.starter.painter import (
    BREEDS,
    CHARACTERS,
    COLOURS,
    EXTRAS,
    LIGHTS,
    PLACES,
    POSES,
    PRODUCTS,
    STUDIO,
    STYLES,
    WEATHERS,
    Scene,
    caption,
    class_caption,
    paint,
    random_scene,
)
from limner.starter.painter.captions import LIGHT_PHRASES, PLACE_PHRASES, STYLE_OPENINGS, WEATHER_PHRASES

DOG = Scene(subject="dog", breed="beagle", seed=3)
VARIANTS = [
    *({"subject": species, "breed": breed} for species, breeds in BREEDS.items() for breed in breeds),
    *({"subject": product, "breed": None, "colour": "red"} for product in PRODUCTS),
    *({"subject": "mug", "breed": None, "colour": colour} for colour in COLOURS),
    *({"extra": extra, "extra_colour": "blue"} for extra in EXTRAS),
    *({"pose": pose} for pose in POSES),
    *({"place": place} for place in PLACES),
    *({"place": STUDIO, "backdrop": colour} for colour in COLOURS),
    *({"light": light} for light in LIGHTS),
    *({"weather": weather} for weather in WEATHERS),
    *({"style": style} for style in STYLES),
]


def scene(**values):
    return Scene(**{**DOG.model_dump(), **values})


def pixels(scene):
    return np.asarray(paint(scene))


@pytest.mark.parametrize("style", STYLES)
def test_equal_scenes_are_equal_bytes(style):
    assert paint(scene(style=style)).tobytes() == paint(scene(style=style)).tobytes()


def test_painting_leaves_global_randomness_alone():
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    paint(scene(style="oil painting"))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_the_seed_changes_the_image():
    assert not np.array_equal(pixels(scene(seed=3)), pixels(scene(seed=4)))


@pytest.mark.parametrize("values", VARIANTS, ids=lambda values: "-".join(str(v) for v in values.values()))
def test_every_value_changes_the_image(values):
    image = pixels(scene(**values))
    assert image.shape == (128, 128, 3) and image.dtype == np.uint8
    assert image.std() > 5
    if scene(**values) != DOG:
        assert not np.array_equal(image, pixels(DOG)), "the value changes nothing"


@pytest.mark.parametrize("name", sorted(CHARACTERS))
def test_every_character_changes_the_image(name):
    species = CHARACTERS[name].species
    own = pixels(Scene(subject=species, character=name, seed=3))
    assert not np.array_equal(own, pixels(Scene(subject=species, breed=BREEDS[species][0], seed=3)))


def test_characters_differ():
    images = {
        pixels(Scene(subject=look.species, character=name, seed=3)).tobytes() for name, look in CHARACTERS.items()
    }
    assert len(images) == len(CHARACTERS)


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "horse"},
        {"subject": "dog", "breed": "tabby"},
        {"subject": "mug", "colour": "puce"},
        {"extra": "monocle"},
        {"extra_colour": "puce"},
        {"pose": "flying"},
        {"place": "moon"},
        {"light": "dusk"},
        {"weather": "hail"},
        {"style": "photo"},
        {"place": STUDIO},
        {"place": "park", "backdrop": "red"},
        {"character": "nobody"},
        {"character": "ziggy"},  # a cat, asked for as a dog
        {"mood": "glad"},
    ],
    ids=str,
)
def test_unknown_values_are_refused(values):
    with pytest.raises(ValueError, match=r"."):
        Scene(**{"subject": "dog", **values})


def test_random_scenes_have_no_character():
    rng = random.Random(1)
    assert all(random_scene(rng).character is None for _ in range(2000))


def test_random_scenes_reach_every_value():
    rng = random.Random(2)
    scenes = [random_scene(rng) for _ in range(3000)]
    assert {s.subject for s in scenes} == {*BREEDS, *PRODUCTS}
    assert {s.breed for s in scenes} == {None, *(breed for breeds in BREEDS.values() for breed in breeds)}
    assert {s.place for s in scenes} == {*PLACES, STUDIO}
    assert {s.extra for s in scenes} == {None, *EXTRAS}
    assert {s.style for s in scenes} == set(STYLES)
    assert {s.colour for s in scenes} == {None, *COLOURS} and {s.light for s in scenes} == set(LIGHTS)


def test_random_scenes_follow_the_generator():
    assert random_scene(random.Random(3)) == random_scene(random.Random(3))
    assert random_scene(random.Random(3), place="beach").place == "beach"


def attributes_of(text):
    """The attributes that a caption names, found by words of theirs; "without" some extra names none."""
    text = re.sub(f" without (an? )?({'|'.join(EXTRAS)})", "", text)
    phrases = {place: options for place, options in PLACE_PHRASES.items()}
    places = {place for place, options in phrases.items() if any(f" {option}" in f" {text}" for option in options)}
    extras = {extra for extra in EXTRAS if f" {extra} " in f" {text.replace(',', ' ')} "}
    return {
        "places": places,
        "extras": extras - ({"glasses"} if "sunglasses" in extras else set()),
        "lights": {light for light, options in LIGHT_PHRASES.items() if any(option in text for option in options)},
        "weathers": {
            weather for weather, options in WEATHER_PHRASES.items() if any(option in text for option in options)
        },
        "styles": {style for style in STYLES if style != "illustration" and style in text},
        "products": {product for product in PRODUCTS if f" {product} " in f" {text.replace(',', ' ')} "},
    }


def truth_of(scene):
    return {
        "places": {scene.place} - {STUDIO},
        "extras": {scene.extra} - {None},
        "lights": {scene.light} - {"day"},
        "weathers": {scene.weather} - {"clear"},
        "styles": {scene.style} - {"illustration"},
        "products": {scene.subject} - set(BREEDS),
    }


def test_captions_are_true():
    rng = random.Random(4)
    for _ in range(1500):
        scene = random_scene(rng)
        text = caption(scene, rng)
        assert attributes_of(text) == truth_of(scene), (text, scene)
        if scene.subject in BREEDS:
            assert scene.subject in text or scene.breed in text
            assert not any(
                other in text for breeds in BREEDS.values() for other in breeds if other not in (scene.breed, "black")
            )
        else:
            assert f"{scene.colour} {scene.subject}" in text
        if scene.extra_colour and scene.extra:
            assert f"{scene.extra_colour} {scene.extra}" in text
        if scene.backdrop:
            assert f"{scene.backdrop} background" in text or f"{scene.backdrop} wall" in text


def test_full_captions_are_stable_and_complete():
    full = caption(scene(extra="scarf", extra_colour="red", light="night", weather="rain", style="watercolour"))
    assert full == "a watercolour painting of a beagle dog sitting wearing a red scarf in the park at night in the rain"


def test_the_identifier_replaces_the_breed():
    text = caption(DOG, identifier="sks")
    assert text.startswith("a photo of sks dog ") and "beagle" not in text


def test_class_captions_name_no_breed():
    rng = random.Random(5)
    for _ in range(500):
        scene = random_scene(rng)
        text = class_caption(scene, rng)
        assert scene.subject in text
        assert scene.breed is None or scene.breed == "black" or scene.breed not in text


def test_what_a_caption_leaves_out_is_the_usual():
    rng = random.Random(6)
    for _ in range(500):
        scene = random_scene(rng)
        for text in (caption(scene, rng), class_caption(scene, rng)):
            named = attributes_of(text)
            for name in ("places", "extras", "lights", "weathers", "styles"):
                assert named[name] == truth_of(scene)[name], (text, scene)
            assert not scene.is_animal or "standing" in text or "lying" in text or scene.pose == "sitting"
            assert ("facing left" in text) == (scene.facing == "left")


def test_facing_is_that_of_the_image():
    """A mirrored mug has its handle on the other side, so its red pixels extend to the side that the scene says."""
    for seed in range(12):
        mug = scene(subject="mug", breed=None, colour="red", place="studio", backdrop="white", seed=seed)
        image = pixels(mug).astype(int)
        columns = np.nonzero((image[..., 0] - image[..., 1]).max(0) > 100)[0]
        body = np.median(np.nonzero(image[..., 0] - image[..., 1] > 100)[1])
        assert mug.facing == ("right" if columns.max() - body > body - columns.min() else "left")


def test_every_style_has_openings():
    assert set(STYLE_OPENINGS) == set(STYLES) and set(PLACE_PHRASES) == set(PLACES)
