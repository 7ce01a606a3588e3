"""The limits in docs/faults.md, tested on both sides."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from limner.core.image_faults import FAULTS
from limner.data.diversity.advice import on_backgrounds, on_captions, on_copies, on_number
from limner.data.diversity.balance import FieldCounts, ValueCounts
from limner.data.diversity.scenes import describe_scene
from limner.data.quality.borders import border_share
from limner.data.quality.measures import measure_quality, quality_faults
from limner.data.quality.text import text_likelihood

GOOD = {
    "sharpness": 60.0,
    "light": 0.9,
    "shade": 0.1,
    "spread": 50.0,
    "contrast": 0.8,
    "entropy": 7.0,
    "colour": 0.3,
    "bars": 0.0,
    "aspect": 1.5,
}


@pytest.mark.parametrize(
    ("kind", "measure", "limit", "bad"),
    [
        ("flat", "spread", 6.0, -math.inf),
        ("blurred", "sharpness", 33.0, -math.inf),
        ("dark", "light", 0.35, -math.inf),
        ("bright", "shade", 0.75, math.inf),
        ("pale", "contrast", 0.2, -math.inf),
        ("grey", "colour", 0.02, -math.inf),
        ("odd_shape", "aspect", 3.0, math.inf),
        ("border", "bars", 0.05, math.inf),
    ],
)
def test_a_measure_at_its_limit_is_good_and_beyond_it_a_fault(
    kind: str, measure: str, limit: float, bad: float
) -> None:
    assert quality_faults(GOOD, {}) == []
    assert quality_faults(GOOD | {measure: limit}, {}) == []
    (fault,) = quality_faults(GOOD | {measure: math.nextafter(limit, bad)}, {})
    assert fault.kind == kind
    assert quality_faults(GOOD | {measure: math.nextafter(limit, bad)}, {kind: math.nextafter(limit, bad)}) == []


def test_consequences_of_one_colour_or_no_light_are_not_reported() -> None:
    poor = GOOD | {"contrast": 0.1, "sharpness": 1.0, "colour": 0.0}
    assert [fault.kind for fault in quality_faults(poor, {})] == ["blurred", "pale", "grey"]
    for kind, change in (("flat", {"spread": 1.0}), ("dark", {"light": 0.1}), ("bright", {"shade": 0.9})):
        assert [fault.kind for fault in quality_faults(poor | change, {})] == [kind]


def test_limits_and_actions_of_all_faults() -> None:
    limits = {name: kind.limit for name, kind in FAULTS.items() if kind.limit is not None}
    assert limits == {
        "near_duplicate": 0.94,
        "small": 0.5,
        "enlarged": 1.0,
        "flat": 6.0,
        "blurred": 33.0,
        "dark": 0.35,
        "bright": 0.75,
        "pale": 0.2,
        "grey": 0.02,
        "odd_shape": 3.0,
        "border": 0.05,
        "text": 0.5,
        "outlier": 3.0,
    }
    by_action = {
        action: {name for name, kind in FAULTS.items() if kind.action == action} for action in ("drop", "ignore")
    }
    assert by_action["drop"] == {"unreadable", "refused", "duplicate", "near_duplicate", "small", "flat"}
    assert by_action["ignore"] == {"grey", "stray"}


@pytest.mark.parametrize(
    ("counts", "over"),
    [
        ((3000, 1000), True),  # 1.5 times an equal share
        ((2999, 1001), False),
        ((14, 2), True),  # three standard deviations of an equal draw of 16: 8 + 3 * 2
        ((13, 3), False),
        ((500, 250, 250), True),
        ((499, 251, 250), False),
        ((100,), False),
    ],
)
def test_a_group_is_over_represented_from_half_more_than_its_share(counts: tuple[int, ...], over: bool) -> None:
    table = ValueCounts("breed", tuple((f"group {number}", count) for number, count in enumerate(counts)))
    assert table.over == ((("group 0", counts[0]),) if over else ())


@pytest.mark.parametrize(("values", "free"), [(1000, False), (1001, True)])
def test_a_field_of_more_than_a_thousand_values_is_free_text(values: int, free: bool) -> None:
    counts = FieldCounts()
    for number in range(values):
        counts.add({"name": f"n{number}"})
    assert ("name" in counts.free, "name" in counts.tables()) == (free, not free)


@pytest.mark.parametrize(("length", "free"), [(200, False), (201, True)])
def test_a_value_of_more_than_two_hundred_characters_is_free_text(length: int, free: bool) -> None:
    counts = FieldCounts()
    counts.add({"name": "x" * length})
    assert ("name" in counts.free) == free


def test_advice_begins_at_its_limits() -> None:
    assert [len(on_number(count)) for count in (0, 4, 5, 20)] == [1, 1, 0, 0]
    assert on_copies([0, 0, 1, 2, 3]) == [], "a fifth are copies"
    (advice,) = on_copies([0, 0, 1, 2])
    assert advice.text.startswith("1 of 4 images are nearly the same") and advice.pictures == (0, 1)
    assert [len(on_captions(Counter(["a dog"] * count))) for count in (2, 3)] == [0, 1]


@pytest.mark.parametrize(("first", "levels"), [(4, []), (5, ["warning"])])
def test_a_background_of_more_than_half_the_images_is_a_warning(first: int, levels: list[str]) -> None:
    grounds = ["white"] * first + ["#2a6e2a", "#203060", "#d08030", "#101010"]
    found = on_backgrounds([describe_scene(Image.new("RGB", (64, 64), ground)) for ground in grounds])
    assert [advice.level for advice in found] == levels


def test_brightness_is_read_at_published_shares_of_the_pixels() -> None:
    grey = np.random.default_rng(0).integers(0, 256, 10_000, dtype=np.uint8)
    picture = Image.fromarray(np.repeat(grey.reshape(100, 100, 1), 3, axis=2))
    found, ranked = measure_quality(picture, (100, 100)), np.sort(grey) / 255
    assert found["light"] == pytest.approx(ranked[9900 - 1]), "the brightest hundredth"
    assert found["shade"] == pytest.approx(ranked[500 - 1]), "the darkest twentieth"
    assert found["contrast"] == pytest.approx(ranked[9800 - 1] - ranked[200 - 1]), "2nd to 98th percentile"
    assert found["spread"] == pytest.approx(grey.std(), abs=1e-6) and found["colour"] == 0


@pytest.mark.parametrize(("ripple", "share"), [(0, 0.5), (20, 0.5), (21, 0.0)])
def test_a_bar_may_differ_from_its_colour_by_twenty_levels(ripple: int, share: float) -> None:
    picture = np.random.default_rng(0).integers(100, 256, (64, 64, 3), dtype=np.uint8)
    picture[:16] = picture[-16:] = 0
    picture[:16, ::8] = picture[-16:, ::8] = ripple  # an eighth of each row, more than the 3% that may be anything
    assert border_share(picture) == share


@pytest.mark.parametrize("turned", [False, True])
def test_a_bar_on_one_side_is_a_sky(turned: bool) -> None:
    picture = np.random.default_rng(0).integers(100, 256, (64, 64, 3), dtype=np.uint8)
    picture[:16] = picture[-1] = 0
    picture[-3:-1] = 0  # on the opposite side there is a dark ground, which ends at no edge
    picture[-3:-1, :6] = 200
    assert border_share(picture.swapaxes(0, 1) if turned else picture) == 0


@pytest.mark.parametrize(("letters", "likely"), [(3, False), (6, False), (7, True), (12, True)])
def test_writing_is_likely_from_seven_letters_in_a_row(letters: int, likely: bool) -> None:
    picture = np.full((256, 256, 3), 90, dtype=np.uint8)
    for number in range(letters):
        left = 20 + 14 * number
        picture[100:112, left : left + 3] = picture[109:112, left : left + 8] = 220  # an L
    assert (text_likelihood(Image.fromarray(picture)) > 0.5) is likely
    assert (text_likelihood(Image.fromarray(255 - picture)) > 0.5) is likely, "dark on light"
