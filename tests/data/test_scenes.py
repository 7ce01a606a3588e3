"""Scenes: known images have known descriptions."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from limner.data.diversity.scenes import BACKGROUND, VIEW, WIDTH, SceneDescription, describe_scene
from limner.starter.painter import Scene, paint, random_scene


def subject_on(colour, place=(32, 32, 96, 96), size=(128, 128), subject="red"):
    picture, where = Image.new("RGB", size, colour), np.zeros((size[1], size[0]), np.float32)
    picture.paste(subject, place)
    where[place[1] : place[3], place[0] : place[2]] = 1
    return picture, where


def apart(first: SceneDescription, second: SceneDescription) -> float:
    return float(np.linalg.norm(first.background - second.background))


def test_the_subject_is_no_part_of_the_background():
    red, blue = (describe_scene(*subject_on("white", subject=colour)) for colour in ("red", "blue"))
    other = describe_scene(*subject_on("green"))
    assert apart(red, blue) < 0.25 < 1 < apart(red, other)


def test_framing_is_where_the_map_says():
    framing = describe_scene(*subject_on("white", (0, 64, 32, 128))).framing
    assert framing.share == pytest.approx(1 / 8) and framing.across == pytest.approx(1 / 8)
    assert framing.down == pytest.approx(3 / 4)
    assert np.isnan(describe_scene(Image.new("RGB", (64, 64))).framing.share), "unknown position"
    assert describe_scene(Image.new("RGB", (64, 64)), np.zeros((8, 8))).framing.share == 0


def test_light_is_measured_by_brightness_warmth_and_side():
    dark, bright = (describe_scene(Image.new("RGB", (90, 60), (v, v, v))).light for v in (40, 220))
    assert dark.luma < bright.luma and abs(bright.warmth) < 0.5 and bright.contrast < 1e-3
    warm, cold = (describe_scene(Image.new("RGB", (90, 60), c)).light.warmth for c in ("#ffd9a0", "#a0c8ff"))
    assert warm > 15 and cold < -15
    halves = Image.new("RGB", (100, 100), "black")
    halves.paste("white", (50, 0, 100, 100))
    assert describe_scene(halves).light.side == pytest.approx(1)


def test_the_light_is_that_of_the_brightest_parts():
    """Shades of Gray (Finlayson and Trezzi 2004): a lamp in a blue night is warm."""
    night = Image.new("RGB", (100, 100), (0, 0, 120))
    night.paste((255, 200, 100), (0, 0, 100, 10))
    assert describe_scene(night).light.warmth > 15


def test_a_view_distinguishes_left_and_right():
    scenes = [Scene(subject="dog", breed="corgi", pose="standing", place="park", seed=seed) for seed in range(12)]
    views = [describe_scene(paint(scene), None).view for scene in scenes]
    cosines = {same: [] for same in (True, False)}
    for i, first in enumerate(scenes):
        for j in range(i):
            cosines[first.facing == scenes[j].facing].append(float(views[i] @ views[j]))
    assert np.mean(cosines[True]) > np.mean(cosines[False]) + 0.2


def test_one_place_is_nearer_than_another():
    rng = random.Random(3)
    of = {
        place: [
            describe_scene(paint(random_scene(rng, place=place, light="day", weather="clear", style="illustration")))
            for _ in range(4)
        ]
        for place in ("beach", "forest", "snow")
    }
    within = [apart(seen[0], other) for seen in of.values() for other in seen[1:]]
    between = [apart(of["beach"][i], of[place][i]) for place in ("forest", "snow") for i in range(4)]
    assert max(within) < 0.6 < min(between)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 3), (2000, 1500)])
@pytest.mark.parametrize("known", [True, False])
def test_odd_pictures_and_maps_have_finite_numbers(size, known):
    where = np.full((2, 3), np.nan) if known else None
    for picture in (Image.new("RGB", size), Image.new("RGB", size, "white")):
        seen = describe_scene(picture, where)
        assert seen.background.shape == (BACKGROUND,) and seen.view.shape == (VIEW,)
        assert np.isfinite(seen.background).all() and np.isfinite(seen.view).all() and BACKGROUND <= 256
    full = describe_scene(Image.effect_noise((64, 64), 60).convert("RGB"), np.ones((64, 64)))
    assert np.isfinite(full.to_row()).all() and full.framing.share == 1


def test_packed_and_unpacked_are_the_same():
    seen = describe_scene(*subject_on("navy"))
    row = seen.to_row()
    again = SceneDescription.from_row(row)
    assert row.shape == (WIDTH,) and row.dtype == np.float32 and (again.to_row() == row).all()
    assert again.framing.share == pytest.approx(seen.framing.share)
    assert (describe_scene(*subject_on("navy")).to_row() == row).all(), "the same again"
