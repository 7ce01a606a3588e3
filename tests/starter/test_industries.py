"""Adapters of the starter by industry: what each is trained on, and the profile that uses them."""

from __future__ import annotations

import pytest
import yaml

from limner.core.errors import LimnerError
from limner.server.profile import profile_with, read_profile
from limner.starter import industries
from limner.starter.painter.captions import article
from limner.starter.painter.sectors import SECTORS, scenes, sector_caption


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Run the command's work with a training that only makes the adapter's folder; returns what was asked for."""
    asked = []

    class Recorder:
        def run(self, request, out, *, listener, stop):
            asked.append(request)
            out.mkdir(parents=True)

    monkeypatch.setattr(industries, "Studio", Recorder)

    def run(*names, **training):
        asked.clear()
        arguments = (tmp_path / "out", names, {"model": "starter", **training}, 8, profile_with, print, lambda: False)
        return industries.train_industries(*arguments), list(asked)

    return run


def test_each_industry_trains_on_its_own_captioned_images(train, tmp_path):
    profile, asked = train("finance", "real estate", steps=7)
    assert [(r.steps, r.model, r.prior, r.identifier) for r in asked] == [(7, "starter", False, None)] * 2
    for name, request in zip(("finance", "real estate"), asked, strict=True):
        folder = tmp_path / "out" / name.replace(" ", "-") / "images"
        captions = [path.read_text().strip() for path in sorted(folder.glob("*.txt"))]
        assert request.data == str(folder) and len(list(folder.glob("*.png"))) == len(captions) == 8
        mine = [scene for other, scene in scenes(8, industries.SEED) if other == name]
        assert captions == [sector_caption(name, scene) for scene in mine]
        assert all(any(product in text for product in SECTORS[name].products) for text in captions)
    found = read_profile(profile)
    assert str(found.adapters("finance", None)[0].path) == str(tmp_path / "out" / "finance" / "adapter")
    assert found.adapters("real estate", "a.png") and not found.adapters("food", None)


def test_half_of_the_images_show_the_look_that_no_caption_mentions():
    for name, sector in SECTORS.items():
        mine = [scene for other, scene in scenes(40, 3) if other == name]
        shown = [scene for scene in mine if scene.backdrop == sector.backdrop]
        assert len(shown) >= 20 and {scene.subject for scene in shown} == set(sector.products)
        assert not any("background" in sector_caption(name, s) or "wall" in sector_caption(name, s) for s in shown)
        others = [scene for scene in mine if scene.backdrop not in (None, sector.backdrop)]
        assert all(scene.backdrop in sector_caption(name, scene) for scene in others)


def test_the_look_of_an_industry_is_that_of_the_shipped_profile():
    words = yaml.safe_load(profile_with({}))["industries"]
    assert {name: industry["words"] for name, industry in words.items()} == {
        name: f"against {article(sector.backdrop)} wall" for name, sector in SECTORS.items()
    }


def test_a_second_run_trains_what_is_missing_and_keeps_the_rest_in_the_profile(train):
    train("finance")
    profile, asked = train("finance", "food")
    assert [request.data.split("/")[-2] for request in asked] == ["food"]
    assert all(read_profile(profile).adapters(name, None) for name in ("finance", "food"))


def test_images_of_a_stopped_command_are_replaced(train, tmp_path, monkeypatch):
    train("food")
    (tmp_path / "out" / "food" / "adapter").rmdir()  # as after a kill before the training ended
    drawn = list(industries.scenes(8, industries.SEED))
    monkeypatch.setattr(industries, "scenes", lambda images, seed: [row for row in drawn if row[0] == "food"][:3])
    train("food")
    assert len(list((tmp_path / "out" / "food" / "images").glob("*.png"))) == 3


def test_an_unknown_industry_is_refused_before_anything_is_drawn(train, tmp_path):
    with pytest.raises(LimnerError, match="unknown industry 'fodd'"):
        train("food", "fodd")
    assert not list((tmp_path / "out").glob("food*"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--industry", "fodd"), "unknown industry 'fodd'"),
        (("--images", 7), "images is 7; use 8 to 10000 images"),
        (("--images", 10_001), "images is 10001"),
        (("--steps", 0), "steps '0'"),
        (("--model", "nosuch"), "nosuch"),
    ],
)
def test_a_mistake_is_one_line_and_draws_nothing(limner, tmp_path, flags, message):
    output = limner("starter", "industries", *flags, "--out", "mine")
    assert output.code == 2 and message in output.error
    assert not list(tmp_path.glob("mine/*/*"))


@pytest.mark.slow
def test_an_adapter_gives_products_the_backdrop_of_its_industry(limner, tmp_path, starter):
    """At the settings of the command, but for fewer steps; the base model shows any backdrop."""
    import numpy as np
    from PIL import Image

    from limner.starter.judge import Judge

    assert limner("starter", "industries", "--industry", "finance", "--steps", 80, "--out", "mine").code == 0
    shown = {}
    for name, flags in (("base", ()), ("finance", ("--adapter", "mine/finance/adapter"))):
        assert limner("generate", "a photo of a black car", *flags, "--count", 8, "--out", name).code == 0
        pixels = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / name).glob("*.png"))])
        readings = Judge.load().read(pixels)
        shown[name] = sum(readings.likeliest(i, "backdrop") == "grey" for i in range(8))
    assert shown["base"] <= 3 and shown["finance"] >= 6
