"""Metrics of pixels, on pictures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from limner.plugins.metrics.edge_density import slope
from limner.plugins.metrics.frequency import fine_share
from limner.plugins.metrics.sharpness import laplacian
from scored import of, values

DETAIL = ("sharpness", "edge_density", "frequency")


@pytest.fixture
def painted_as(tmp_path):
    """Writes pixels (h, w, 3) as a picture."""

    def write(pixels: np.ndarray, name: str = "picture.png"):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", DETAIL)
def test_blur_takes_detail_away(name, scenes, changed):
    falls = []
    for item in scenes[:8]:
        paths = [
            changed(item.path, lambda picture, s=sigma: picture.filter(ImageFilter.GaussianBlur(s)), f"{sigma}.png")
            for sigma in (0, 0.7, 1.4)
        ]
        found = values(name, of(paths))
        assert found[0] > found[1] and found[0] > found[2], found
        falls.append((np.diff(found) < 0).all())
    assert sum(falls) >= len(falls) - 1


@pytest.mark.parametrize("name", [*DETAIL, "saturation", "clipping"])
def test_a_flat_picture_has_none(name, painted_as):
    assert values(name, of([painted_as(np.full((40, 60, 3), 127))])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", DETAIL)
def test_hardly_depends_on_the_size_of_the_file(name, scenes, changed):
    large = changed(scenes[0].path, lambda picture: picture.resize((512, 512), Image.Resampling.BICUBIC), "large.png")
    one, other = values(name, of([scenes[0].path, large]))
    assert other == pytest.approx(one, rel=0.25)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2)])
@pytest.mark.parametrize("name", DETAIL)
def test_any_shape_has_a_value(name, size, painted_as):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3))
    (found,) = values(name, of([painted_as(pixels)]))
    flat = size == (1, 1) or (name, size) == ("edge_density", (2, 2))  # a slope over 256 pixels is no edge
    assert (found == 0) == flat
    assert name == "sharpness" or found <= 100


def test_the_laplacian_of_a_parabola_is_its_curvature():
    across = np.arange(9.0)[None] ** 2 + np.zeros((7, 1))
    assert laplacian(across) == pytest.approx(np.full((5, 7), 2.0))


def test_the_slope_of_a_plane_is_its_steepness():
    plane = 3 * np.arange(9.0)[None] + 4 * np.arange(7.0)[:, None]
    assert slope(plane) == pytest.approx(np.full((5, 7), 5.0))


@pytest.mark.parametrize(("cycles", "share"), [(0.05, 0), (0.25, 100)])
def test_a_wave_is_fine_or_it_is_not(cycles, share):
    wave = np.sin(2 * np.pi * cycles * np.arange(256))[None] * 100 + np.zeros((256, 1))
    assert fine_share(wave) == pytest.approx(share, abs=0.1)


def test_clipping_counts_pixels_with_any_channel_at_an_end(painted_as):
    pixels = np.full((10, 10, 3), 127)
    pixels[0, :, 0], pixels[1, :5, 2], pixels[0, 0, 1] = 255, 0, 0
    assert values("clipping", of([painted_as(pixels)])) == pytest.approx(15)


def test_saturation_grows_with_colour(scenes, changed):
    paths = [
        changed(scenes[3].path, lambda picture, f=factor: ImageEnhance.Color(picture).enhance(f), f"{factor}.png")
        for factor in (0, 0.5, 1, 1.5)
    ]
    found = values("saturation", of(paths))
    assert found[0] == pytest.approx(0, abs=0.5) and (np.diff(found) > 0).all()
