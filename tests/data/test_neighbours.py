"""Nearest neighbours by an encoder's features, and which of them are copies."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageOps

from limner.data.duplicates.near_duplicates import confirmed_neighbours, nearest_neighbours
from limner.data.duplicates.signatures import signature
from limner.starter.painter import paint, random_scene


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_each_has_its_nearest_once():
    features = unit([[1, 0, 0], [0.99, 0.1, 0], [0, 1, 0], [0.98, 0.15, 0], [0, 0.9, 0.1]])
    assert list(nearest_neighbours(features)) == [(0, 1), (1, 3), (2, 4)]
    assert list(nearest_neighbours(features, 0.9999)) == []
    assert list(nearest_neighbours(features[:1])) == [] and list(nearest_neighbours(features[:0])) == []


def test_blocks_change_nothing(monkeypatch):
    features = unit(np.random.default_rng(0).normal(size=(40, 4)))
    whole = list(nearest_neighbours(features, 0.5))
    monkeypatch.setattr("limner.data.duplicates.near_duplicates.BLOCK", 7)
    assert list(nearest_neighbours(features, 0.5)) == whole and len(whole) > 10


def test_neighbours_are_copies_by_their_signatures_only():
    rng = random.Random(5)
    first, second = paint(random_scene(rng)), paint(random_scene(rng))
    images = [first, ImageOps.mirror(first), second, Image.new("RGB", (64, 64), "red")]
    signatures = np.stack([signature(image) for image in images])
    features = unit([[1, 0], [1, 0.01], [1, 0.02], [1, 0.03]])
    found = [(twin.first, twin.second, twin.kind) for twin in confirmed_neighbours(features, signatures, 0.94)]
    assert found == [(0, 1, "mirrored")]
