"""The limits of near duplicates, tested on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.data.duplicates.copies import CopyMatch, nearest_copies
from limner.data.duplicates.near_duplicates import UnionFind, _candidates, find_near_duplicates
from limner.data.duplicates.signatures import LENGTH, LUMA, signature, similarity


def differing(bits: int) -> np.ndarray:
    """Two hashes (2, 2) in uint64 that differ in so many of their 128 bits, half of them in each word."""
    words = [(1 << count) - 1 for count in (bits // 2, bits - bits // 2)]
    return np.array([[0, 0], words], dtype=np.uint64)


@pytest.mark.parametrize(("bits", "looked_at"), [(0, True), (39, True), (40, True), (41, False), (128, False)])
def test_hashes_that_differ_by_up_to_forty_bits_are_looked_at(bits: int, looked_at: bool) -> None:
    found = [(rows.tolist(), others.tolist()) for rows, others in _candidates(differing(bits), UnionFind(2))]
    assert found == ([([0], [1])] if looked_at else [])


def test_a_likeness_of_the_limit_is_a_copy_and_less_is_none() -> None:
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, LUMA.stop - LUMA.start)
    signatures = np.full((2, LENGTH), 128, dtype=np.uint8)
    signatures[:, :16] = [[0] * 16, [1] * 16]
    signatures[:, LUMA] = np.clip([luma, luma + rng.normal(0, 40, luma.shape)], 0, 255).astype(np.uint8)
    alike = float(similarity(signatures[:1], signatures[1:])[0])
    assert 0.5 < alike < 0.99
    assert [(twin.first, twin.second, twin.similarity) for twin in find_near_duplicates(signatures, alike)] == [
        (0, 1, alike)
    ]
    assert list(find_near_duplicates(signatures, float(np.nextafter(alike, 1)))) == []


@pytest.mark.parametrize(("grey", "alike"), [(100, 1.0), (105, 1.0), (106, 0.0), (160, 0.0)])
def test_flat_pictures_are_alike_below_six_levels(grey: int, alike: float) -> None:
    first, second = (signature(Image.new("RGB", (32, 32), (level,) * 3))[None] for level in (100, grey))
    assert similarity(first, second).tolist() == [alike]


def test_each_level_of_colour_beyond_what_jpeg_makes_costs_a_hundredth() -> None:
    """Two pictures of one form, with chroma of one size and opposite sign: no stretch brings them nearer than half."""
    forms = np.random.default_rng(1).integers(0, 256, LUMA.stop - LUMA.start, dtype=np.uint8)
    pair = np.full((2, LENGTH), 128, dtype=np.uint8)
    pair[:, LUMA] = forms
    pair[0, LUMA.stop :], pair[1, LUMA.stop :] = 128 + 10, 128 - 10
    apart = 2 * (10 + 10 / 2)  # after the stretch of 1/2, laid on the first, which makes differences twice as large
    assert similarity(pair[:1], pair[1:])[0] == pytest.approx(1 - (apart - 4) / 100, abs=1e-6)
    pair[:, LUMA.stop :] = [[128 + 2], [128 - 2]]  # hardly any colour: taken for grey
    assert similarity(pair[:1], pair[1:])[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("alike", "copy"), [(0.8, True), (float(np.nextafter(0.8, 0)), False), (1.0, True)])
def test_a_generated_picture_is_a_near_copy_from_four_fifths_on(alike: float, copy: bool) -> None:
    assert CopyMatch(Path("a.png"), alike, mirrored=False).is_copy is copy


def test_a_copy_and_its_mirror_image_are_distinguished(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((96, 96), Image.Resampling.NEAREST)
    image.save(tmp_path / "known.png")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "flipped.png")
    known, mirrored, flipped = (tmp_path / f"{name}.png" for name in ("known", "mirrored", "flipped"))
    same, mirror, other = nearest_copies([known, mirrored, flipped], [known])
    assert (same.mirrored, mirror.mirrored) == (False, True)
    assert same.similarity == pytest.approx(1) and mirror.similarity == pytest.approx(1) and other.similarity < 0.5
