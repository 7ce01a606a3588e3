"""The decision: what wins, what loses beyond its margin, and what is not certain."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy import stats

from limner.core.improve import Measured, Verdict
from limner.core.metrics import MetricResult, Unit
from limner.engine.improve.decision import decide, judge, measured, preference_accuracy


@pytest.mark.parametrize(
    ("change", "low", "high", "margin", "verdict"),
    [
        (0.02, 0.01, 0.03, 0.0, "better"),
        (0.02, -0.005, 0.03, 0.01, "kept"),
        (0.02, -0.01, 0.03, 0.01, "kept"),
        (0.02, -0.011, 0.03, 0.01, "uncertain"),
        (-0.01, -0.02, 0.0, 0.01, "uncertain"),
        (-0.0101, -0.02, 0.0, 0.01, "worse"),
        (-0.005, -0.008, -0.001, 0.01, "kept"),
        (0.02, 0.0, 0.03, 0.0, "kept"),
    ],
)
def test_the_verdict_on_a_difference(change: float, low: float, high: float, margin: float, verdict: Verdict) -> None:
    assert judge(change, low, high, "higher", margin) == verdict
    assert judge(-change, -high, -low, "lower", margin) == verdict, "the same where lower is better"


def test_a_single_value_is_never_certain() -> None:
    assert judge(0.5, None, None, "higher", 0.1) == "uncertain"
    assert judge(-0.5, None, None, "higher", 0.1) == "worse"


def result(
    name: str, values: list[float], better: Literal["higher", "lower"] | None = "higher", unit: Unit = "picture"
) -> MetricResult:
    mean = float(np.mean(values))
    return MetricResult(name, name.replace("_", " "), better, unit, None, mean, mean, mean, tuple(values))


def test_differences_are_paired() -> None:
    """The interval is that of the differences, which is far narrower than that of the values."""
    rng = np.random.default_rng(0)
    old = rng.normal(0.5, 0.2, 200)
    new = old + rng.normal(0.01, 0.02, 200)
    found = measured(result("prompt_fidelity", old.tolist()), result("prompt_fidelity", new.tolist()), 0.03)
    expected = stats.t.interval(0.95, 199, np.mean(new - old), stats.sem(new - old))
    assert (found.low, found.high) == pytest.approx(expected, abs=5e-4)
    assert found.difference == pytest.approx(found.new - found.old)
    assert (found.verdict, found.count, found.of) == ("better", 200, "image pair")


@pytest.mark.parametrize(
    ("name", "margin"),
    [("prompt_fidelity", 0.03 * 0.4), ("diversity", 0.4 / 3), ("class_drift", 0.05), ("memorisation", 0.05)],
)
def test_the_margin_is_a_share_of_the_original_unless_it_is_near_zero(name: str, margin: float) -> None:
    found = measured(result(name, [0.3, 0.5], "lower"), result(name, [0.3, 0.5], "lower"), 0.03)
    assert found.margin == pytest.approx(margin)
    assert found.verdict == "kept"


def test_the_margin_of_a_metric_with_a_network_is_found_by_its_name() -> None:
    found = measured(
        result("class_drift=clip", [0.1, 0.2], "lower"), result("class_drift=clip", [0.1, 0.2], "lower"), 0
    )
    assert (found.name, found.margin) == ("class_drift", 0.05)


def test_a_single_pair_of_values_has_no_interval() -> None:
    found = measured(result("diversity", [0.5], unit="group"), result("diversity", [0.5], unit="group"), 0.03)
    assert (found.low, found.high, found.verdict, found.of) == (None, None, "uncertain", "prompt")
    assert found.interval == "+0.000"


def test_a_loss_by_which_equally_good_images_differ_is_none() -> None:
    old, new = result("subject_fidelity", [0.30, 0.32]), result("subject_fidelity", [0.27, 0.30])
    assert measured(old, new, 0.03).verdict == "worse"
    found = measured(old, new, 0.03, smallest=0.035)
    assert (found.margin, found.verdict) == (0.035, "kept")
    assert measured(old, new, 0.5, smallest=0.035).margin == pytest.approx(0.155)


def test_preference_accuracy_has_the_wilson_interval_around_chance() -> None:
    """Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662."""
    found = preference_accuracy(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553 - 0.5, 0.3662 - 0.5), abs=1e-4)
    assert found.new == pytest.approx(81 / 263) and found.old == 0.5 and found.verdict == "worse"


@pytest.mark.parametrize(("right", "verdict"), [(13, "worse"), (14, "uncertain"), (26, "uncertain"), (27, "better")])
def test_so_many_of_40_pairs_are_more_than_chance(right: int, verdict: Verdict) -> None:
    """By a two-sided binomial test at 5%, 27 of 40 is the least that is more, and 13 the most that is less."""
    assert preference_accuracy(right, 40).verdict == verdict
    p_value = stats.binomtest(right, 40, alternative="two-sided").pvalue
    assert (p_value < 0.05) == (verdict != "uncertain")


def of(name: str, verdict: Verdict) -> Measured:
    return Measured(
        name=name,
        title=name,
        better="higher",
        old=0.5,
        new=0.4,
        difference=-0.1,
        low=-0.2,
        high=0.0,
        count=9,
        of="image pair",
        margin=0.015,
        verdict=verdict,
    )


WON, LOST = preference_accuracy(40, 50), preference_accuracy(26, 50)


def test_it_replaces_only_what_it_beats_without_a_loss() -> None:
    found = decide([WON, of("a", "kept"), of("b", "better")])
    assert found.replaces
    assert found.sentence == (
        "It replaces the original: it orders 80% [67%, 89%] of 50 held-out pairs as people do, which is more than "
        "chance; a and b lose no more than the margin."
    )


def test_what_is_not_certain_is_said_and_does_not_decide() -> None:
    found = decide([WON, of("a", "kept"), of("b", "uncertain")])
    assert found.replaces and "for b, more images are needed to be certain of that" in found.sentence


@pytest.mark.parametrize("name", ["prompt fidelity", "class drift"])
def test_any_loss_beyond_the_margin_keeps_it_separately(name: str) -> None:
    found = decide([WON, of("a", "better"), of(name, "worse")])
    assert not found.replaces
    assert found.reasons == (
        f"{name} loses more than the margin of 0.015: 0.500 before, 0.400 after, difference -0.100 [-0.200, +0.000] "
        "over 9 image pairs",
    )
    assert found.sentence.startswith("It is kept separately, and the original stays in use: ")


def test_preferences_must_be_won_with_certainty() -> None:
    found = decide([LOST, of("a", "better")])
    assert not found.replaces
    assert found.reasons == (
        "it orders 52% [39%, 65%] of 50 held-out pairs as people do, which is not certainly more than chance",
    )


def test_nothing_is_decided_for_it_without_both_kinds_of_evidence() -> None:
    assert decide([WON], ["images, because no prompt is held out"]).reasons == (
        "not measured: images, because no prompt is held out",
    )
    assert not decide([of("a", "better")]).replaces
    assert decide([]).reasons == ("nothing was measured",)
