"""Salient subjects are found in images of any size, without a model and deterministically."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage, spatial
from scipy.ndimage import minimum_filter

from limner.core.errors import LimnerError
from limner.imaging.crop import crop_box
from limner.plugins.detectors import saliency
from limner.plugins.detectors.saliency import barrier_distance, border_contrast, plugin
from limner.starter.painter import Scene, compose, paint, random_scene
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


# The cues, recomputed


@pytest.fixture
def lab():
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(50, 200, (64, 80, 3)), (3, 3, 0)).astype(np.float32)
    smooth[20:40, 30:50] += (40, -20, 30)
    return smooth


def test_contrast_is_the_mahalanobis_distance_from_three_of_four_borders(lab):
    height, width = lab.shape[:2]
    band, maps = 5, []  # 0.08 x 64, rounded
    for strip in (lab[:band], lab[-band:], lab[:, :band], lab[:, -band:]):
        colours = strip.reshape(-1, 3).astype(np.float64)
        inverse = np.linalg.inv(np.cov(colours, rowvar=False) + np.diag([20.0, 20.0, 20.0]))
        distance = spatial.distance.cdist(lab.reshape(-1, 3), [colours.mean(0)], "mahalanobis", VI=inverse)
        maps.append((distance / distance.max()).reshape(height, width))
    expected = np.sort(maps, axis=0)[:3].sum(0)
    assert np.allclose(saliency.border_contrast(lab), expected, atol=1e-3)


def test_the_barrier_is_summed_over_channels_and_reached_from_every_side():
    values = np.zeros((30, 40, 3), np.float32)
    values[10:20, 15:25] = (10, -20, 30)
    assert np.array_equal(saliency.barrier_distance(values) == 60, (values != 0).any(-1))
    wall = np.zeros((30, 40, 3), np.float32)
    wall[8:22, 8:32, 0] = 50
    wall[10:20, 10:30, 0] = 0
    for opening in (
        (slice(8, 10), slice(20, 22)),
        (slice(20, 22), slice(20, 22)),
        (slice(14, 16), slice(8, 10)),
        (slice(14, 16), slice(30, 32)),
    ):
        opened = wall.copy()
        opened[(*opening, 0)] = 0
        assert saliency.barrier_distance(opened)[15, 20] == 0 and saliency.barrier_distance(wall)[15, 20] == 50


def test_the_spectral_residual_is_that_of_hou_and_zhang(lab):
    values = lab[:, :64]
    spectrum = np.fft.fft2(values[..., 0])
    amplitude = np.log(np.abs(spectrum) + 1e-6)
    residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="nearest")
    energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    expected = ndimage.gaussian_filter(energy, 2.5, mode="mirror")
    assert np.allclose(saliency.spectral_residual(values), expected, rtol=1e-3, atol=1e-6)
    assert saliency.spectral_residual(lab).shape == lab.shape[:2]


def unit(values):
    return (values - values.min()) / (values.max() - values.min())


def test_saliency_is_the_sum_of_three_cues_and_highest_in_the_middle():
    image = paint(Scene(subject="dog", breed="corgi", seed=3)).resize((96, 96)).convert("RGBA")
    lab = cv2.cvtColor(np.asarray(image.convert("RGB"), np.float32) / 255, cv2.COLOR_RGB2Lab)
    cues = unit(saliency.border_contrast(lab)) + unit(saliency.barrier_distance(lab))
    cues = ndimage.gaussian_filter(cues + np.sqrt(unit(saliency.spectral_residual(lab))), 1.5, mode="mirror")
    place = (np.arange(96) + 0.5) / 96 - 0.5
    prior = np.exp(-(place[:, None] ** 2 + place**2) / 2)
    found = plugin(image, "")
    assert found is not None and np.allclose(found, unit(cues * prior), atol=2e-3)


@pytest.mark.parametrize(
    ("size", "reduced"),
    [
        ((40, 30), (40, 30)),
        ((192, 192), (96, 96)),
        ((960, 240), (192, 48)),
        ((4000, 40), (384, 10)),
        ((2000, 1), (384, 8)),
        ((4, 4), (8, 8)),
    ],
)
def test_an_image_is_reduced_to_96_pixels_squared(size, reduced):
    assert saliency._reduced(Image.new("RGBA", size)).shape == (reduced[1], reduced[0], 3)


def test_a_subject_differs_from_its_background_by_eight_units_of_lightness():
    def lightness(level):
        linear = ((level / 255 + 0.055) / 1.055) ** 2.4
        return 116 * linear ** (1 / 3) - 16

    behind = 100
    shade = next(level for level in range(behind, 256) if lightness(level) - lightness(behind) > 8)
    assert lightness(shade) - lightness(behind) < 8.5
    for level, seen in ((shade - 1, False), (shade, True)):
        image = Image.new("L", (80, 80), behind)
        image.paste(level, (30, 30, 50, 50))
        assert (plugin(image, "") is not None) is seen


def test_an_empty_name_of_a_model_is_refused_too():
    with pytest.raises(LimnerError, match="takes no model, but '' was given"):
        plugin.finder("")
