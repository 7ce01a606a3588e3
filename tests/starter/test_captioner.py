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
from limner.starter.captioner import plugin
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
