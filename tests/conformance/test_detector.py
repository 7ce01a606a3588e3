"""Every detector of the registry keeps the promises of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import detector_models
from limner.core.datasets import Detector, Finder
from limner.core.errors import LimnerError
from limner.plugins import registry
from limner.starter.painter import Scene, paint

PICTURE = paint(Scene(subject="dog", breed="husky", seed=1))
MODELS: dict[str, Callable[[Path], Path]] = {"face": detector_models.faces, "model": detector_models.boxing}
"""What makes the weights that a named detector needs; a new one gets its own here."""


@pytest.fixture(params=registry.detectors.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def detector(name: str) -> Detector:
    return registry.detectors.get(name)


@pytest.fixture
def finder(name: str, detector: Detector, tmp_path: Path) -> Finder:
    return detector.finder(str(MODELS[name](tmp_path / "weights")) if detector.named else None)


def test_it_is_a_detector(detector: Detector) -> None:
    assert isinstance(detector, Detector)
    assert detector.title and "\n" not in detector.title


@pytest.mark.parametrize("size", [(128, 128), (600, 80), (80, 600), (1, 1), (1, 400), (3000, 20)])
def test_what_it_finds_is_a_map(finder: Finder, size: tuple[int, int]) -> None:
    picture = PICTURE.resize(size)
    before = picture.tobytes()
    for words in ("dog", "", "a very long name of a subject " * 20):
        found = finder(picture, words)
        assert picture.tobytes() == before, "the picture is left as it is"
        if found is None:
            assert min(size) < 128 or not words, "nothing is found of a dog that is as large as it was painted"
            continue
        assert found.ndim == 2 and found.dtype == np.float32 and min(found.shape) >= 1
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


def test_it_finds_something_and_the_same_again(finder: Finder) -> None:
    found, again = finder(PICTURE, "dog"), finder(PICTURE, "dog")
    assert found is not None and again is not None
    assert np.array_equal(found, again) and found.max() > found.min()


def test_what_it_lacks_is_told_before_any_picture(detector: Detector, home: Path) -> None:
    if detector.named:
        for model, said in ((None, "needs"), ("somebody/nosuch", "somebody/nosuch")):
            with pytest.raises(LimnerError, match=said):
                detector.finder(model)
    else:
        with pytest.raises(LimnerError, match="somebody/nosuch"):
            detector.finder("somebody/nosuch")
