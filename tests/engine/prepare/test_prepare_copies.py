"""Which of several copies of an image is kept, and that copies of images that refuse training are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.data.duplicates.signatures import LENGTH, LUMA
from limner.engine.prepare.columns import Columns
from limner.engine.prepare.duplicates import find_copies

GLIMPSE = Image.new("RGB", (16, 16))


def columns(count: int, barred: int = 0, **given: list[int]) -> Columns:
    """Images that are all near copies of each other, equal except in the given columns."""
    rng = np.random.default_rng(0)
    signatures = np.full((count + barred, LENGTH), 128, dtype=np.uint8)
    signatures[:, LUMA] = rng.integers(0, 256, LUMA.stop - LUMA.start, dtype=np.uint8)
    signatures[:, :16] = rng.integers(0, 256, (count + barred, 16), dtype=np.uint8)
    usual = {"pixels": 100, "source_bytes": 100, "coloured": 1, "captioned": 1, "faults": 0}
    facts = {name: np.array(given.get(name, [value] * count)) for name, value in usual.items()}
    return Columns(
        numbers=np.arange(count),
        barred=np.arange(count, count + barred),
        signatures=signatures,
        surroundings=np.zeros((count, 1), dtype=np.float32),
        sharpness=np.zeros(count),
        offsets=np.arange(count),
        **facts,
    )


def dropped(found: Columns, strange: tuple[int, ...] = (), min_similarity: float | None = 0.94) -> dict[int, list[str]]:
    """The kinds of faults of all images that are left out, by place."""
    copies = find_copies(found, min_similarity, None, strange, lambda at: f"{at}.png", lambda at: GLIMPSE)
    return {at: [fault.kind for fault in faults] for at, faults in copies.faults.items()}


def test_of_equal_copies_the_first_is_kept() -> None:
    assert dropped(columns(3)) == {1: ["near_duplicate"], 2: ["near_duplicate"]}


@pytest.mark.parametrize(
    "given",
    [
        {"faults": [1, 0]},
        {"coloured": [0, 1]},
        {"pixels": [99, 100]},
        {"captioned": [0, 1]},
        {"source_bytes": [59, 100]},
        {"faults": [1, 0], "coloured": [1, 0]},
        {"coloured": [0, 1], "pixels": [900, 100]},
        {"pixels": [99, 100], "captioned": [1, 0]},
        {"captioned": [0, 1], "source_bytes": [900, 100]},
    ],
)
def test_the_better_copy_is_kept_by_faults_colour_pixels_captions_and_bytes(given: dict[str, list[int]]) -> None:
    assert dropped(columns(2, **given)) == {0: ["near_duplicate"]}


def test_slightly_fewer_bytes_are_as_good() -> None:
    assert dropped(columns(2, source_bytes=[60, 100])) == {1: ["near_duplicate"]}


def test_an_outlier_counts_as_faulty() -> None:
    assert dropped(columns(2), strange=(0,)) == {0: ["near_duplicate"]}


def test_copies_of_an_image_that_refuses_training_are_dropped() -> None:
    given = columns(2, barred=1)
    given.signatures[1, LUMA] = np.arange(LUMA.stop - LUMA.start) % 251  # another picture
    assert dropped(given) == {0: ["refused"]}


def test_without_a_limit_only_exact_duplicates_are_copies() -> None:
    given = columns(3)
    assert dropped(given, min_similarity=None) == {}
    given.signatures[2] = given.signatures[0]
    assert dropped(given, min_similarity=None) == {2: ["duplicate"]}
