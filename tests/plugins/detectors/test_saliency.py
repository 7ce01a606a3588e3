"""Salient subjects are found in images of any size, without a model and deterministically."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import minimum_filter

from limner.core.errors import LimnerError
from limner.imaging.crop import crop_box
from limner.plugins.detectors.saliency import barrier_distance, border_contrast, plugin
from limner.starter.painter import compose, paint, random_scene
from limner.starter.painter.style_tools import subject_mask


def share(found: np.ndarray, box) -> float:
    """Of the map's mass above its half, the share in a box in parts of the sides."""
    height, width = found.shape
    mass = np.where(found > 0.5, found, 0)
    left, right = (round(edge * width) for edge in box[::2])
    top, bottom = (round(edge * height) for edge in box[1::2])
    return float(mass[top:bottom, left:right].sum() / mass.sum())


@pytest.mark.parametrize("at", [(0.1, 0.1), (0.6, 0.5), (0.7, 0.1)])
def test_a_spot_is_found_wherever_it_is(at):
    picture = Image.new("RGB", (400, 300), (90, 140, 80))
    box = (at[0], at[1], at[0] + 0.2, at[1] + 0.3)
    ImageDraw.Draw(picture).ellipse([box[0] * 400, box[1] * 300, box[2] * 400, box[3] * 300], (220, 60, 40))
    found = plugin.finder(None)(picture, "ball")
    assert found is not None
    assert share(found, (box[0] - 0.05, box[1] - 0.05, box[2] + 0.05, box[3] + 0.05)) > 0.98


def test_drawn_subjects_are_distinguished_from_their_backgrounds():
    kept, middle = [], []
    rng = random.Random(11)
    for _ in range(12):
        scene = random_scene(rng, style="illustration", place="studio", backdrop=rng.choice(["blue", "green"]))
        truth = np.asarray(subject_mask(compose(scene).shapes, 2).reduce(2)) > 127
        found = plugin.finder(None)(paint(scene), scene.subject)
        assert found is not None
        values = np.asarray(Image.fromarray(found).resize((128, 128)))
        kept.append(values[truth].mean())
        middle.append(values[~truth].mean())
    assert np.mean(kept) > 3 * np.mean(middle)


def test_a_subject_at_the_side_of_a_wide_picture_is_held():
    picture = Image.new("RGB", (600, 200), (120, 150, 190))
    ImageDraw.Draw(picture).rectangle((430, 60, 520, 190), (60, 40, 30))
    box = crop_box(picture.size, (512, 512), plugin.finder(None)(picture, "chair"))
    assert box[0] <= 430 and box[2] >= 520


@pytest.mark.parametrize("colour", ["white", "black", (10, 200, 30)])
def test_in_a_flat_picture_nothing_is_found(colour):
    assert plugin.finder(None)(Image.new("RGB", (300, 200), colour), "dog") is None


def test_nor_in_a_smooth_gradient_of_few_shades():
    ramp = np.tile(np.linspace(120, 126, 256)[:, None, None], (1, 256, 3)).astype(np.uint8)
    assert plugin.finder(None)(Image.fromarray(ramp), "dog") is None


def test_the_barrier_distance_is_not_far_from_the_cheapest_way():
    lab = np.random.default_rng(0).integers(0, 100, (7, 9, 3)).astype(np.float32)
    found = barrier_distance(lab)
    exact = sum(cheapest(lab[..., channel]) for channel in range(3))
    assert np.all(found >= exact - 1e-3), "no way is cheaper than the cheapest"
    assert found.sum() <= 1.4 * exact.sum()
    assert np.all(found[[0, -1]] == 0) and np.all(found[:, [0, -1]] == 0)


def cheapest(values: np.ndarray) -> np.ndarray:
    """The minimum barrier distance to the border, by trying every pair of bounds: (h, w)."""
    levels = np.unique(values)
    best = np.full(values.shape, np.inf)
    for low in levels:
        for high in levels[levels >= low]:
            open_ = (values >= low) & (values <= high)
            reached = open_.copy()
            reached[1:-1, 1:-1] = False
            cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
            while True:
                more = open_ & ~minimum_filter(~reached, footprint=cross, mode="constant", cval=1)
                if (more == reached).all():
                    break
                reached = more
            best[reached] = np.minimum(best[reached], high - low)
    return best


def test_contrast_bears_a_subject_that_touches_one_border():
    lab = np.zeros((40, 40, 3), np.float32)
    lab[..., 0] = 60
    lab[20:, 12:28] = (30, 50, 20)
    values = border_contrast(lab)
    assert values[20:, 12:28].min() > 2 * values[:18].max()


def test_it_needs_no_model():
    with pytest.raises(LimnerError, match="takes no model"):
        plugin.finder("some/model")
