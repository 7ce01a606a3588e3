"""Palettes: the main colours of images in CIELAB, and how much of an image has a colour."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.imaging.cielab import lab_of
from limner.imaging.palettes import COLOURS, Swatch, palette, shares_of


def painted(*parts: tuple[str, int], side: int = 200) -> Image.Image:
    """An image of stripes. parts: a colour, and its share in percent."""
    image, top = Image.new("RGB", (side, side)), 0
    for colour, percent in parts:
        height = side * percent // 100
        image.paste(colour, (0, top, side, top + height))
        top += height
    return image


def share(image: Image.Image, colour: str) -> float:
    """How much of an image has a colour."""
    labs, shares = np.zeros((1, COLOURS, 3), np.float32), np.zeros((1, COLOURS), np.float32)
    for at, swatch in enumerate(palette(image)):
        labs[0, at], shares[0, at] = swatch.lab, swatch.share
    lab = lab_of(np.array(Image.new("RGB", (1, 1), colour).getpixel((0, 0))))
    return float(shares_of(lab, labs, shares)[0])


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
    ],
)
def test_lab_is_that_of_srgb(colour, lab):
    assert lab_of(np.array(colour)) == pytest.approx(lab, abs=0.02)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "P"])
def test_an_image_of_one_colour_has_one(mode):
    (swatch,) = palette(Image.new("RGB", (300, 7), "white").convert(mode))
    assert swatch == Swatch((pytest.approx(100, abs=0.1), *2 * [pytest.approx(0, abs=0.1)]), 1.0)


def test_colours_are_weighted_by_their_area():
    found = palette(painted(("red", 60), ("blue", 30), ("white", 10)))
    assert [each.share for each in found[:3]] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert sum(each.share for each in palette(Image.effect_noise((80, 80), 90))) <= 1.0001


def test_there_are_at_most_five_and_the_nearest_are_one():
    assert (
        len(palette(painted(*((each, 14) for each in ("red", "blue", "lime", "white", "black", "cyan", "pink"))))) == 5
    )
    assert len(palette(painted(("#d04020", 50), ("#d24422", 50)))) == 1


@pytest.mark.parametrize(
    ("wanted", "least", "most"),
    [
        ("red", 0.55, 0.65),
        ("#b01010", 0.2, 0.55),
        ("tomato", 0.1, 0.5),
        ("blue", 0.25, 0.35),
        ("green", 0, 0),
        ("grey", 0, 0),
    ],
)
def test_how_much_of_an_image_has_a_colour(wanted, least, most):
    assert least <= share(painted(("red", 60), ("blue", 30), ("white", 10)), wanted) <= most


@pytest.mark.parametrize(
    "pair", ["#1e62d0 #7b3fb5", "red #f57c00", "white #8a8d91", "black #8a8d91", "#43a047 #00acc1", "#fdd835 #f57c00"]
)
def test_colours_with_different_names_are_different(pair):
    one, other = pair.split()
    assert share(Image.new("RGB", (9, 9), one), other) == 0 == share(Image.new("RGB", (9, 9), other), one)


def test_dark_and_light_ones_of_one_hue_are_near():
    assert 0.3 < share(Image.new("RGB", (9, 9), "#b01818"), "red") < 0.9
