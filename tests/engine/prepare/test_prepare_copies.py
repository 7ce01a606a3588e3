"""Which of several copies of an image is kept, and that copies of images that refuse training are dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Fault
from limner.core.requests import PrepareRequest
from limner.data.duplicates.near_duplicates import NearDuplicate
from limner.data.duplicates.signatures import LENGTH, LUMA
from limner.engine.prepare import duplicates
from limner.engine.prepare.columns import Columns
from limner.engine.prepare.duplicates import compare_images, find_copies
from limner.engine.prepare.plan import ImagePlan, plan_of

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


def faults_of(
    found: Columns, strange: tuple[int, ...], min_similarity: float | None
) -> Mapping[int, tuple[Fault, ...]]:
    return find_copies(found, min_similarity, None, strange, lambda at: f"{at}.png", lambda at: GLIMPSE).faults


def dropped(found: Columns, strange: tuple[int, ...] = (), min_similarity: float | None = 0.94) -> dict[int, list[str]]:
    """The kinds of faults of all images that are left out, by place."""
    return {at: [fault.kind for fault in faults] for at, faults in faults_of(found, strange, min_similarity).items()}


def said(found: Columns) -> dict[int, dict[str, str]]:
    """Of which image each image that is left out is called a copy, by kind of fault."""
    faults = faults_of(found, (), 0.94)
    return {at: {fault.kind: fault.message.split("'")[1] for fault in every} for at, every in faults.items()}


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


def test_an_exact_copy_of_the_kept_image_is_the_same_although_it_is_nearly_the_same_as_another() -> None:
    given = columns(3, pixels=[100, 99, 101])
    given.signatures[2] = given.signatures[0]
    assert said(given) == {0: {"duplicate": "2.png"}, 1: {"near_duplicate": "2.png"}}


@pytest.mark.parametrize(("pixels", "better", "copy"), [([101, 100, 100], 1, 2), ([101, 99, 100], 2, 1)])
def test_exact_copies_of_a_near_duplicate_are_not_the_same_as_the_kept_image(
    pixels: list[int], better: int, copy: int
) -> None:
    given = columns(3, pixels=pixels)
    given.signatures[2] = given.signatures[1]
    assert said(given) == {
        better: {"near_duplicate": "0.png"},
        copy: {"duplicate": f"{better}.png", "near_duplicate": "0.png"},
    }


def test_a_pair_that_only_the_encoder_found_counts_for_exact_copies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given = columns(3)
    given.signatures[0, LUMA] = np.arange(LUMA.stop - LUMA.start) % 251  # another picture
    given.signatures[2] = given.signatures[1]
    pair = NearDuplicate(0, 2, 0.95, "same")
    monkeypatch.setattr(duplicates, "confirmed_neighbours", lambda features, signatures, least: [pair])
    monkeypatch.setattr(duplicates, "find_crops", lambda pairs, thumbnail: [])
    found = find_copies(given, 0.94, np.zeros((3, 2)), (), lambda at: f"{at}.png", lambda at: GLIMPSE).faults
    assert {at: [fault.kind for fault in faults] for at, faults in found.items()} == {
        1: ["near_duplicate"],
        2: ["duplicate", "near_duplicate"],
    }


def compared(given: Columns, plan: ImagePlan) -> Mapping[int, tuple[Fault, ...]]:
    staged: Any = SimpleNamespace(columns=given, key=lambda at: f"{at}.png", thumbnail=lambda at: GLIMPSE)
    return compare_images(plan, staged, None).faults


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({}, [0]),
        ({"flag": ("near_duplicate",)}, [0, 1]),
        ({"ignore": ("near_duplicate",)}, [0, 1]),
        ({"flag": ("duplicate",)}, [0]),
        ({"ignore": ("duplicate",)}, [0]),
        ({"flag": ("near_duplicate", "duplicate")}, [0, 1, 2]),
    ],
)
def test_exact_copies_of_a_near_duplicate_are_kept_as_the_request_says_of_both(
    tmp_path: Path, asked: dict[str, tuple[str, ...]], kept: list[int]
) -> None:
    given = columns(3)
    given.signatures[2] = given.signatures[1]
    plan = plan_of(PrepareRequest.model_validate({"sources": ["x"], **asked}), tmp_path)
    found = compared(given, plan)
    assert [at for at in range(3) if not plan.drops(found.get(at, ()))] == kept


def test_copies_of_an_ignored_kind_have_no_fault(tmp_path: Path) -> None:
    given = columns(2)
    given.signatures[1] = given.signatures[0]
    ignoring = plan_of(PrepareRequest(sources=("x",), ignore=("duplicate",)), tmp_path)
    assert compared(given, ignoring) == {}
    assert compared(given, plan_of(PrepareRequest(sources=("x",)), tmp_path)).keys() == {1}
