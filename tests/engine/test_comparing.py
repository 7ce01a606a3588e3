"""Which of several copies of one picture stays, and what a picture that is not to be trained on takes with it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.data.duplicates.signatures import LENGTH, LUMA
from limner.engine.prepare.columns import Columns
from limner.engine.prepare.duplicates import copies_of

GLIMPSE = Image.new("RGB", (16, 16))


def columns(count: int, barred: int = 0, **told: list[int]) -> Columns:
    """Pictures that are all near copies of each other, alike in all that is not told."""
    rng = np.random.default_rng(0)
    signatures = np.full((count + barred, LENGTH), 128, dtype=np.uint8)
    signatures[:, LUMA] = rng.integers(0, 256, LUMA.stop - LUMA.start, dtype=np.uint8)
    signatures[:, :16] = rng.integers(0, 256, (count + barred, 16), dtype=np.uint8)
    usual = {"pixels": 100, "source_bytes": 100, "coloured": 1, "spoken": 1, "faults": 0}
    facts = {name: np.array(told.get(name, [value] * count)) for name, value in usual.items()}
    return Columns(
        numbers=np.arange(count),
        barred=np.arange(count, count + barred),
        signatures=signatures,
        surroundings=np.zeros((count, 1), dtype=np.float32),
        sharpness=np.zeros(count),
        offsets=np.arange(count),
        **facts,
    )


def dropped(found: Columns, strange: tuple[int, ...] = (), likeness: float | None = 0.94) -> dict[int, list[str]]:
    """Place -> kinds of faults of all that is left out."""
    copies = copies_of(found, likeness, None, strange, lambda at: f"{at}.png", lambda at: GLIMPSE)
    return {at: [fault.kind for fault in faults] for at, faults in copies.faults.items()}


def test_of_equal_copies_the_first_stays() -> None:
    assert dropped(columns(3)) == {1: ["near_duplicate"], 2: ["near_duplicate"]}


@pytest.mark.parametrize(
    "told",
    [
        {"faults": [1, 0]},
        {"coloured": [0, 1]},
        {"pixels": [99, 100]},
        {"spoken": [0, 1]},
        {"source_bytes": [59, 100]},
        {"faults": [1, 0], "coloured": [1, 0]},
        {"coloured": [0, 1], "pixels": [900, 100]},
        {"pixels": [99, 100], "spoken": [1, 0]},
        {"spoken": [0, 1], "source_bytes": [900, 100]},
    ],
)
def test_the_better_copy_stays_by_faults_colour_pixels_words_and_bytes(told: dict[str, list[int]]) -> None:
    assert dropped(columns(2, **told)) == {0: ["near_duplicate"]}


def test_hardly_fewer_bytes_are_as_good() -> None:
    assert dropped(columns(2, source_bytes=[60, 100])) == {1: ["near_duplicate"]}


def test_a_picture_unlike_all_others_counts_as_faulty() -> None:
    assert dropped(columns(2), strange=(0,)) == {0: ["near_duplicate"]}


def test_copies_of_a_picture_that_is_not_to_be_trained_on_go_too() -> None:
    told = columns(2, barred=1)
    told.signatures[1, LUMA] = np.arange(LUMA.stop - LUMA.start) % 251  # another picture
    assert dropped(told) == {0: ["refused"]}


def test_only_the_very_same_pixels_are_copies_where_no_others_are_sought() -> None:
    told = columns(3)
    assert dropped(told, likeness=None) == {}
    told.signatures[2] = told.signatures[0]
    assert dropped(told, likeness=None) == {2: ["duplicate"]}
