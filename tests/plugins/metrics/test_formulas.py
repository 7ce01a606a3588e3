"""Metrics of pixels by the formulas of their papers, and where each begins to count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from limner.core.errors import LimnerError
from limner.core.metrics import ImageSet, ScoredImage
from limner.data.duplicates.copies import NEAR_COPY, CopyMatch
from limner.imaging.luminance import luminance
from limner.models.features import cosines, prompt_cosines
from limner.plugins.metrics import class_drift, diversity, kid, subject_fidelity, uniqueness
from limner.plugins.metrics.clipping import clipped
from limner.plugins.metrics.edge_density import score as edges
from limner.plugins.metrics.edge_density import slope
from limner.plugins.metrics.frequency import fine_share
from limner.plugins.metrics.saturation import colourfulness
from limner.plugins.metrics.sharpness import laplacian
from limner.plugins.metrics.sharpness import score as sharpness
from scored import of

RNG = np.random.default_rng(0)


def save(pixels, path):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


# Colour


@pytest.mark.parametrize(
    ("left", "right", "value"),
    [
        ((200, 100, 50), (200, 100, 50), 0.3 * np.hypot(100, 100)),
        ((100, 0, 0), (0, 0, 0), np.hypot(50, 25) + 0.3 * np.hypot(50, 25)),
        ((0, 0, 100), (0, 0, 0), 50 + 0.3 * 50),
        ((7, 7, 7), (200, 200, 200), 0),
    ],
)
def test_colourfulness_by_hand(left, right, value):
    """Hasler and Süsstrunk 2003, eq. 3: rg = R - G, yb = (R + G) / 2 - B; sigma + 0.3 mu."""
    pixels = np.array([[left, right]] * 3, np.uint8)
    assert colourfulness(pixels) == pytest.approx(value)


@pytest.mark.parametrize(("level", "share"), [(0, 25), (1, 0), (254, 0), (255, 25)])
def test_only_the_very_ends_are_clipped(level, share):
    pixels = np.full((2, 2, 3), 128, np.uint8)
    pixels[0, 0, 1] = level
    assert clipped(pixels) == share


# Detail


def test_the_slope_is_scipys_sobel():
    luma = RNG.random((12, 17)) * 255
    wanted = np.hypot(ndimage.sobel(luma, 0), ndimage.sobel(luma, 1)) / 8
    assert slope(luma) == pytest.approx(wanted[1:-1, 1:-1])


def test_the_laplacian_is_scipys():
    luma = RNG.random((12, 17)) * 255
    assert laplacian(luma) == pytest.approx(ndimage.laplace(luma)[1:-1, 1:-1])


@pytest.mark.parametrize(("steep", "share"), [(11.9, 0), (12.0, 0), (12.1, 100)])
def test_an_edge_is_steeper_than_twelve_levels_a_pixel(monkeypatch, steep, share):
    from limner.plugins.metrics import edge_density

    monkeypatch.setattr(edge_density, "luminance", lambda path: steep * np.arange(20.0)[None] + np.zeros((9, 1)))
    assert edges(of([Path("x")])).tolist() == [share]


def test_sharpness_is_a_variance(monkeypatch):
    from limner.plugins.metrics import sharpness as module

    luma = RNG.random((12, 17)) * 255
    monkeypatch.setattr(module, "luminance", lambda path: luma)
    assert sharpness(of([Path("x")])).tolist() == pytest.approx([ndimage.laplace(luma)[1:-1, 1:-1].var()])


@pytest.mark.parametrize(("cycles", "fine"), [(30, False), (31, False), (33, True), (34, True), (100, True)])
@pytest.mark.parametrize("axis", [0, 1])
def test_fine_detail_begins_at_an_eighth_of_a_cycle_a_pixel(cycles, fine, axis):
    """Which is 32 waves over 256 pixels; the window spreads a wave by one or two."""
    wave = np.sin(2 * np.pi * cycles / 256 * np.arange(256))
    luma = 100 + 50 * (wave[None] if axis else wave[:, None]) + np.zeros((256, 256))
    assert (fine_share(luma) > 50) == fine


def test_fine_detail_is_scipys_share_of_power():
    from scipy.signal import get_window

    luma = RNG.random((64, 48)) * 255
    window = np.outer(get_window("hann", 64, fftbins=False), get_window("hann", 48, fftbins=False))
    faded = (luma - np.average(luma, weights=window)) * window
    power = np.abs(np.fft.fftshift(np.fft.fft2(faded))) ** 2
    far = np.hypot(*np.meshgrid((np.arange(64) - 32) / 64, (np.arange(48) - 24) / 48, indexing="ij"))
    assert fine_share(luma) == pytest.approx(100 * power[far > 0.125].sum() / power.sum())


@pytest.mark.parametrize(
    ("colour", "luma"), [((255, 0, 0), 76.245), ((0, 255, 0), 149.685), ((0, 0, 255), 29.07), ((9, 9, 9), 9)]
)
def test_luma_is_that_of_bt_601(tmp_path, colour, luma):
    found = luminance(save(np.full((20, 20, 3), colour), tmp_path / "a.png"))
    assert found.min() == pytest.approx(luma, abs=1e-2) and found.max() == pytest.approx(luma, abs=1e-2)


@pytest.mark.parametrize(
    ("size", "found"),
    [((256, 256), (256, 256)), ((512, 128), (512, 128)), ((30, 30), (256, 256)), ((4000, 2), (11449, 8))],
)
def test_luma_is_of_about_256_pixels_squared_in_the_pictures_own_shape(tmp_path, size, found):
    height, width = luminance(save(np.zeros((size[1], size[0], 3)), tmp_path / "a.png")).shape
    assert (width, height) == pytest.approx(found, abs=1)


# Copies


def test_a_near_copy_is_from_eight_tenths_on():
    assert [CopyMatch(Path("x"), value, False).is_copy for value in (0.799, 0.8, 0.801)] == [False, True, True]
    assert NEAR_COPY == 0.8


# Directions


class Angles:
    """An encoder by whose eyes a picture is the angle in its name, in degrees."""

    name = "angles"

    def images(self, pictures):
        return self.texts([path.stem for path in pictures])

    def texts(self, texts):
        angles = torch.tensor([float(text) for text in texts]).deg2rad()
        return torch.stack([angles.cos(), angles.sin()], 1)


def pictures(*angles, prompts=None, groups=None):
    return tuple(
        ScoredImage(Path(f"{angle}.png"), prompts and str(prompts[i]), groups[i] if groups else "")
        for i, angle in enumerate(angles)
    )


def asked(metric, gallery):
    return metric.plugin.scorer("angles", lambda name: Angles())(gallery).tolist()


def cosine(*degrees):
    return [float(np.cos(np.deg2rad(angle))) for angle in degrees]


def test_subject_fidelity_is_the_mean_over_photographs_of_each_picture():
    gallery = ImageSet(pictures(0, 60), references=(Path("0.png"), Path("90.png"), Path("60.png")))
    first, second = np.mean(cosine(0, 90, 60)), np.mean(cosine(60, 30, 0))
    assert asked(subject_fidelity, gallery) == pytest.approx([first, second])


def test_uniqueness_is_the_distance_to_the_nearest_training_picture():
    gallery = ImageSet(pictures(0, 60), training=(Path("20.png"), Path("90.png")))
    assert asked(uniqueness, gallery) == pytest.approx([1 - each for each in cosine(20, 30)])


def test_drift_is_from_the_picture_of_the_same_prompt_and_seed():
    gallery = ImageSet(pictures(0, 60, 90), base=pictures(10, 60, 30))
    assert asked(class_drift, gallery) == pytest.approx([1 - each for each in cosine(10, 0, 60)], abs=1e-6)


def test_diversity_is_the_mean_distance_of_pairs_within_each_group():
    gallery = ImageSet(pictures(0, 10, 30, 50, 90, groups="aabab"))
    wanted = [1 - np.mean(cosine(10, 40, 50)), 1 - cosine(60)[0]]
    assert asked(diversity, gallery) == pytest.approx([wanted[0], wanted[1]])


def test_each_picture_is_held_against_its_own_prompt():
    gallery = ImageSet(pictures(0, 30, 90, prompts=[10, 90, 10]))
    assert prompt_cosines(Angles(), gallery).tolist() == pytest.approx(cosine(10, 60, 80))
    assert cosines(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0]])).tolist() == [[1.0]], "never above one"


def test_kid_is_a_thousand_times_the_unbiased_estimate():
    """Bińkowski et al. 2018, eq. 4, with (x . y + 1)^3 for features of length one; of equal numbers by all at once."""
    rng = np.random.default_rng(3)
    one, other = (torch.nn.functional.normalize(torch.tensor(rng.normal(size=(9, 4))), dim=1).float() for _ in range(2))

    def kernel(x, y):
        return ((x @ y.T + 1) ** 3).numpy()

    def within(x):
        return (kernel(x, x).sum() - np.trace(kernel(x, x))) / 72

    seen = {Path(f"{name}{i}"): row for name, rows in (("a", one), ("b", other)) for i, row in enumerate(rows)}
    encoder = SimpleNamespace(images=lambda paths: torch.stack([seen[path] for path in paths]))
    gallery = of([Path(f"a{i}") for i in range(9)], references=tuple(Path(f"b{i}") for i in range(9)))
    (found,) = kid.plugin.scorer("x", lambda name: encoder)(gallery)
    assert found == pytest.approx(1000 * (within(one) + within(other) - 2 * kernel(one, other).mean()), rel=1e-4)


@pytest.mark.parametrize(("metric", "fewest"), [("fid", 16), ("kid", 8)])
def test_just_enough_pictures_are_enough(metric, fewest):
    from limner.models.features import check_counts

    paths = [Path(f"{i}") for i in range(fewest)]
    check_counts(metric, of(paths, references=tuple(paths)), fewest)
    for gallery in (of(paths[1:], references=tuple(paths)), of(paths, references=tuple(paths[1:]))):
        with pytest.raises(LimnerError, match=f"needs at least {fewest} .*, and there are {fewest - 1}"):
            check_counts(metric, gallery, fewest)
