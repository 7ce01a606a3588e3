"""The starter's captioner: right about images of the painter, and silent about others."""

from __future__ import annotations

import random
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Captioner
from limner.plugins import registry
from limner.starter.captioner import JudgeCaptions, plugin
from limner.starter.judge import ATTRIBUTES, Readings
from limner.starter.painter import CHARACTERS, Scene, paint, random_scene

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT / "../shared/data/dreambench"
FIELDS = (
    "subject",
    "breed",
    "colour",
    "pose",
    "extra",
    "extra_colour",
    "place",
    "backdrop",
    "light",
    "weather",
    "style",
)


@pytest.fixture(scope="module")
def speaker():
    return plugin.speaker(None, "cpu")


def enlarged(image):
    return image.resize((512, 512), Image.Resampling.BICUBIC)


def test_captions_of_new_images_are_right(speaker):
    rng = random.Random("fresh images to caption")
    scenes = [random_scene(rng) for _ in range(40)]
    painted = [paint(scene) for scene in scenes]
    for images in (painted, list(map(enlarged, painted))):
        fields = speaker.fields(images)
        pairs = [(each, scene) for each, scene in zip(fields, scenes, strict=True) if each]
        right = [getattr(scene, name) == value for each, scene in pairs for name, value in each.items()]
        assert len(pairs) >= 0.85 * len(scenes)
        assert {name for each, _ in pairs for name in each} == set(FIELDS)
        assert sum(right) >= 0.99 * len(right)


def test_captions_have_the_painters_words(speaker):
    scene = Scene(
        subject="dog",
        breed="corgi",
        place="beach",
        light="sunset",
        extra="scarf",
        extra_colour="red",
        style="watercolour",
    )
    mug = Scene(subject="mug", colour="red", place="studio", backdrop="teal", seed=3)
    images = [enlarged(paint(each)) for each in (scene, mug)]
    assert speaker.captions(images, None) == [
        "a watercolour painting of a corgi dog sitting wearing a red scarf on the beach at sunset",
        "a photo of a red mug on a teal background",
    ]
    assert speaker.captions(images, "dog")[0] == speaker.captions(images, None)[0]
    assert speaker.captions(images, "sks dog") == [
        "a watercolour painting of sks dog sitting wearing a red scarf on the beach at sunset",
        "a photo of sks dog on a teal background",
    ]
    assert speaker.fields(images)[1] == {
        "subject": "mug",
        "colour": "red",
        "place": "studio",
        "backdrop": "teal",
        "style": "illustration",
    }


def test_captions_do_not_say_which_way_a_subject_faces(speaker):
    captions = speaker.captions([paint(Scene(subject="car", colour="red", seed=seed)) for seed in range(4)], None)
    assert not any("facing" in text for text in captions) and all("red car" in text for text in captions)


def test_characters_have_no_breed(speaker):
    rng = random.Random("characters")
    scenes = [random_scene(rng, subject=CHARACTERS[name].species, character=name) for name in CHARACTERS]
    fields = speaker.fields([paint(scene) for scene in scenes])
    assert sum(bool(each) for each in fields) > len(scenes) / 2
    assert sum("breed" in each for each in fields) <= 0.1 * len(scenes)


def test_the_central_square_is_read(speaker):
    image = enlarged(paint(Scene(subject="mug", colour="red", place="beach", seed=3)))
    wide = Image.new("RGB", (900, 512))
    wide.paste(image, ((900 - 512) // 2, 0))
    assert speaker.fields([wide]) == speaker.fields([image]) != [{}]


def test_other_images_get_no_caption(speaker):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)) for size in (4, 128, 300)]
    plain = [Image.new("RGB", (128, 128), colour) for colour in ("white", "black", "red", "teal", "grey")]
    assert speaker.captions([*noise, *plain], "sks dog") == [""] * 8


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs in ../shared/data/dreambench are not here")
def test_photographs_get_no_caption(speaker):
    def opened(path):
        with Image.open(path) as image:
            return image.convert("RGB")

    paths = sorted(PHOTOGRAPHS.glob("*/*.jpg"))
    captions = speaker.captions([opened(path) for path in paths], None)
    assert len(captions) > 50 and not any(captions)


def test_it_is_registered_by_an_entry_point(tmp_path, monkeypatch):
    """From the entry points of an installed package, because those of the working copy may be older."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["limner.captioners"]
    assert points == {"starter": "limner.starter.captioner"}
    installed = tmp_path / "other-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[limner.captioners]\nstarter = {points['starter']}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "installed", registry.installed.__wrapped__)
    assert any(found.name == "other" for found in distributions())
    group = registry.PluginGroup("limner.captioners", "captioner")
    assert {"model", "starter"} <= set(group.names())
    assert group.get("starter") is plugin and isinstance(plugin, Captioner)


# What is made of the judge's probabilities


class ReadingJudge:
    """Reads every image alike: the given values with their probabilities, and for others their first value for sure."""

    def __init__(self, **read):
        self.read_values, self.pixels = read, []

    def read(self, pixels):
        self.pixels.append(pixels)
        values = {}
        for name, known in ATTRIBUTES.items():
            value, probability = self.read_values.get(name, (known[0], 1.0))
            row = np.full(len(known), (1 - probability) / (len(known) - 1))
            row[known.index(value)] = probability
            values[name] = np.tile(row, (len(pixels), 1))
        return Readings(values)


DOG = {"subject": ("dog", 1.0), "breed": ("corgi", 1.0), "place": ("beach", 1.0)}
MUG = {"subject": ("mug", 1.0), "colour": ("red", 1.0), "place": ("beach", 1.0)}
PLAIN = Image.new("RGB", (128, 128))


def fields_of(read, **more):
    (fields,) = JudgeCaptions(ReadingJudge(**read | more)).fields([PLAIN])  # type: ignore[arg-type]
    return fields


def test_an_attribute_counts_from_a_probability_of_0_95_on():
    assert fields_of(DOG, breed=("corgi", 0.951))["breed"] == "corgi" and "breed" not in fields_of(
        DOG, breed=("corgi", 0.949)
    )


@pytest.mark.parametrize(
    ("read", "changes", "known"),
    [
        (DOG, {"place": ("beach", 0.992)}, True),
        (DOG, {"place": ("beach", 0.99)}, False),
        (DOG, {"pose": ("sitting", 0.996), "style": ("illustration", 0.996)}, True),
        (DOG, {"pose": ("sitting", 0.995), "style": ("illustration", 0.995)}, False),
        (MUG, {"pose": ("sitting", 0.5), "coat": ("natural", 0.5)}, True),
        (MUG, {"colour": ("red", 0.96)}, False),
        (DOG, {"colour": ("red", 0.5)}, True),
    ],
)
def test_an_image_is_the_painters_if_all_that_always_shows_is_sure(read, changes, known):
    assert bool(fields_of(read, **changes)) is known


def test_a_product_has_a_colour_and_an_animal_what_it_wears():
    worn = {"extra": ("scarf", 1.0), "extra_colour": ("blue", 1.0), "colour": ("red", 1.0), "breed": ("corgi", 1.0)}
    shown = {"place": "beach", "light": "day", "weather": "clear", "style": "illustration"}
    assert fields_of(MUG, **worn) == {"subject": "mug", "colour": "red"} | shown
    animal = {"subject": "dog", "breed": "corgi", "pose": "sitting"}
    assert fields_of(DOG, **worn) == animal | {"extra": "scarf", "extra_colour": "blue"} | shown
    assert fields_of(DOG, **worn | {"extra": ("crown", 1.0)}) == animal | {"extra": "crown"} | shown
    assert fields_of(DOG, **worn | {"extra": ("none", 1.0)}) == animal | shown


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, True),
        ({"coat": ("teal", 1.0)}, False),
        ({"belly": ("star", 1.0)}, False),
        ({"crest": ("horn", 1.0)}, False),
        ({"crest": ("horn", 1.0), "extra": ("crown", 1.0)}, True),  # it cannot be seen
        ({"back": ("wings", 1.0), "extra": ("crown", 1.0)}, False),
        ({"breed": ("siamese", 1.0)}, False),
    ],
)
def test_a_breed_is_named_only_where_nothing_speaks_against_it(changes, named):
    assert ("breed" in fields_of(DOG, **changes)) is named


def test_every_image_is_read_in_its_central_square():
    judge = ReadingJudge(**DOG)
    assert len(JudgeCaptions(judge).fields([PLAIN] * 65)) == 65  # type: ignore[arg-type]
    assert [len(pixels) for pixels in judge.pixels] == [64, 1]
    tall = Image.new("RGB", (256, 512), "red")
    stripes = np.indices((256, 256)).sum(0) % 2 * 255
    tall.paste(Image.fromarray(stripes.astype(np.uint8)), (0, 128))
    JudgeCaptions(judge).fields([tall, tall.rotate(90, expand=True)])  # type: ignore[arg-type]
    assert np.abs(judge.pixels[-1].astype(int) - 127).max() <= 1, "reduced by averaging"


@pytest.mark.parametrize(
    ("words", "caption"),
    [
        (" Corgi\n DOG ", "a photo of a corgi dog sitting on the beach"),
        ("corg", "a photo of corg sitting on the beach"),
        (" sks  dog", "a photo of sks dog sitting on the beach"),
        (" ", "a photo of a corgi dog sitting on the beach"),
    ],
)
def test_words_replace_the_subject_unless_they_are_in_the_caption(words, caption):
    assert JudgeCaptions(ReadingJudge(**DOG)).captions([PLAIN], words) == [caption]  # type: ignore[arg-type]
