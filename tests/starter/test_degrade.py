"""Degradations of images, compared with scipy, and probabilities of the judge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from limner.starter.exam.judge_accuracy import calibration_error
from limner.starter.exam.scoring import Proportion
from limner.starter.judge import ATTRIBUTES, Judge, Readings
from limner.starter.judge.degrade import add_blotches, add_noise, blur, shuffle_tiles

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.8])
def test_blur_equals_that_of_scipy(sigma):
    wanted = ndimage.gaussian_filter(IMAGES.numpy().astype(float), (0, 0, sigma, sigma), mode="mirror", radius=6)
    assert blur(IMAGES, sigma).numpy() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("deviation", [0.1, 0.3])
def test_noise_has_the_given_deviation(deviation):
    grey = torch.zeros(1, 3, 64, 64)
    assert add_noise(grey, deviation, torch.Generator()).std().item() == pytest.approx(deviation, rel=0.05)
    blotches = add_blotches(grey, deviation, torch.Generator())
    assert blotches.abs().max() > deviation / 2
    assert (blotches[..., 1:] - blotches[..., :-1]).abs().max() < blotches.abs().max() / 2, "blotches are soft"


def test_tiles_of_sixteen_are_shuffled():
    tiles = torch.arange(4.0).reshape(1, 1, 2, 2).repeat_interleave(16, 2).repeat_interleave(16, 3)
    found = shuffle_tiles(tiles, torch.Generator().manual_seed(1))
    places = found[0, 0, ::16, ::16]
    assert torch.equal(found[0, 0], places.repeat_interleave(16, 0).repeat_interleave(16, 1))
    assert sorted(places.flatten().tolist()) == [0, 1, 2, 3] and not torch.equal(found, tiles)


@pytest.mark.parametrize(("chance", "shown"), [(0.49, False), (0.5, False), (0.51, True)])
def test_the_judge_finds_values_over_one_half(chance, shown):
    count = len(ATTRIBUTES["subject"])
    values = np.full((1, count), (1 - chance) / (count - 1))
    values[0, 2] = chance
    found = Readings({"subject": values})
    assert found.shows(0, "subject", ATTRIBUTES["subject"][2]) == shown
    assert found.likeliest(0, "subject") == ATTRIBUTES["subject"][2] and len(found) == 1


def test_temperatures_divide_logits_and_pixels_are_scaled_to_minus_one_to_one():
    """Guo et al. 2017, eq. 9."""
    seen = []

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("temperature", torch.arange(1.0, len(ATTRIBUTES) + 1))

        def forward(self, images):
            seen.append(images)
            return {name: torch.arange(float(len(v))).repeat(len(images), 1) for name, v in ATTRIBUTES.items()}

    pixels = np.zeros((65, 2, 2, 3), np.uint8)
    pixels[:, 0, 0] = 255
    found = Judge(Network()).read(pixels)
    assert [len(each) for each in seen] == [64, 1] and len(found) == 65
    assert seen[0][0, 0].tolist() == [[1, -1], [-1, -1]]
    for number, (name, values) in enumerate(ATTRIBUTES.items(), 1):
        weights = np.exp(np.arange(len(values)) / number)
        assert found.values[name][3] == pytest.approx(weights / weights.sum(), abs=1e-6)


def test_the_error_of_a_proportion_is_that_of_agresti_and_coull():
    """1998, section 4: two right and two wrong ones added."""
    for right, count in ((0, 10), (75, 100), (3, 4)):
        share = (right + 2) / (count + 4)
        wanted = stats.norm.ppf(0.975) * (share * (1 - share) / (count + 4)) ** 0.5
        assert Proportion(right, count).error == pytest.approx(wanted, rel=1e-4)


def test_calibration_errors_are_weighted_by_bin_size():
    """Guo et al. 2017, eq. 3, in 15 bins: 30 of 40 images have 0.9 and 80% hits, 10 have 0.5 and only hits."""
    chances = np.r_[np.full(30, 0.9), np.full(10, 0.5)]
    hits = np.r_[np.arange(30) < 24, np.ones(10, bool)]
    assert calibration_error(chances, hits) == pytest.approx(0.75 * 0.1 + 0.25 * 0.5)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0
    apart = np.array([0.599, 0.601])  # of neighbouring bins
    assert calibration_error(apart, np.array([True, False])) == pytest.approx((0.401 + 0.601) / 2)
