"""Thompson sampling of adapters: reproducible, exploring, and using the best adapter most."""

from collections import Counter
from statistics import fmean, pstdev

import pytest

from limner.core.feedback import RatingSummary
from limner.core.requests import AdapterUse
from limner.server.bandit import _draw, choose_adapter

GOOD, BAD, NEW = (AdapterUse(path=f"sha256:{letter * 64}") for letter in "abc")


def standing(use: AdapterUse, ratings: int, mean: float) -> RatingSummary:
    return RatingSummary(
        name=use.path,
        ratings=ratings,
        mean=mean,
        standard_error=None,
        low=None,
        high=None,
        wins=0,
        losses=0,
        ties=0,
        reasons={},
    )


def shares(standings: list[RatingSummary], draws: int = 2000) -> Counter[str]:
    found = Counter(choose_adapter((BAD, NEW, GOOD), standings, chance).adapter.path[7] for chance in range(draws))
    return Counter({letter: round(100 * count / draws) for letter, count in found.items()})


def test_the_same_ratings_and_seed_choose_the_same_adapter() -> None:
    known = [standing(GOOD, 9, 4.5), standing(BAD, 9, 2.0)]
    assert [choose_adapter((BAD, GOOD), known, seed) for seed in range(50)] == [
        choose_adapter((BAD, GOOD), known, seed) for seed in range(50)
    ]


def test_without_ratings_all_adapters_are_used_equally() -> None:
    assert all(28 <= share <= 39 for share in shares([]).values())


def test_the_best_adapter_is_used_most_and_an_unrated_one_sometimes() -> None:
    found = shares([standing(GOOD, 20, 4.5), standing(BAD, 20, 2.0)])
    assert found["a"] > 80 and 5 < found["c"] < 20 and found["b"] == 0


def test_one_bad_rating_does_not_exclude_an_adapter() -> None:
    found = shares([standing(GOOD, 1, 5.0), standing(BAD, 1, 1.0), standing(NEW, 1, 3.0)])
    assert found["a"] > found["c"] > found["b"] > 3


def test_the_reason_is_short() -> None:
    why = choose_adapter((BAD, GOOD), [standing(GOOD, 12, 4.25), standing(BAD, 30, 1.0)], 7).reason
    assert why.endswith("of 5 from 12 ratings of mean 4.25, the best of 2") and len(why) < 80
    assert "no ratings" in choose_adapter((NEW, NEW), [], 7).reason


def rated(ratings: int, mean: float | None) -> RatingSummary:
    nothing = dict.fromkeys(("standard_error", "low", "high"))
    return RatingSummary(name=GOOD.path, ratings=ratings, mean=mean, wins=0, losses=0, ties=0, reasons={}, **nothing)


@pytest.mark.parametrize(
    ("ratings", "mean"), [(0, None), (1, 5.0), (1, 1.0), (12, 4.25), (12, 1.5), (40, 3.0)], ids=str
)
def test_draws_have_mean_and_spread_of_the_beta_distribution(ratings: int, mean: float | None) -> None:
    successes = 0.0 if mean is None else ratings * (mean - 1) / 4
    a, b = 1 + successes, 1 + ratings - successes
    draws = [_draw(GOOD, rated(ratings, mean), seed) for seed in range(4000)]
    assert min(draws) >= 1 and max(draws) <= 5
    assert fmean(draws) == pytest.approx(1 + 4 * a / (a + b), abs=0.08)
    assert pstdev(draws) == pytest.approx(4 * (a * b / ((a + b) ** 2 * (a + b + 1))) ** 0.5, rel=0.06)
    assert _draw(GOOD, None, 7) == _draw(GOOD, rated(0, None), 7)


def test_the_reason_counts_ratings_and_adapters() -> None:
    assert choose_adapter((GOOD,), [standing(GOOD, 1, 4.0)], 7).reason.endswith(
        "from 1 rating of mean 4.00, the best of 1"
    )
    assert choose_adapter((GOOD, BAD, NEW), [], 7).reason.endswith("from no ratings, the best of 3")


def test_one_adapter_of_two_weights_has_two_draws() -> None:
    light, heavy = (AdapterUse(path=GOOD.path, weight=weight) for weight in (0.5, 1.0))
    assert _draw(light, None, 7) != _draw(heavy, None, 7)
