"""Adapters by their ratings: the same choice for the same state, a chance for each, and the best one most often."""

from collections import Counter

from limner.core.feedback import RatingSummary
from limner.core.requests import AdapterUse
from limner.server.bandit import chosen

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
    found = Counter(chosen((BAD, NEW, GOOD), standings, chance).adapter.path[7] for chance in range(draws))
    return Counter({letter: round(100 * count / draws) for letter, count in found.items()})


def test_the_same_state_and_chance_choose_the_same() -> None:
    known = [standing(GOOD, 9, 4.5), standing(BAD, 9, 2.0)]
    assert [chosen((BAD, GOOD), known, seed) for seed in range(50)] == [
        chosen((BAD, GOOD), known, seed) for seed in range(50)
    ]


def test_without_ratings_each_gets_its_share() -> None:
    assert all(28 <= share <= 39 for share in shares([]).values())


def test_the_best_one_paints_most_and_an_unrated_one_gets_its_chance() -> None:
    found = shares([standing(GOOD, 20, 4.5), standing(BAD, 20, 2.0)])
    assert found["a"] > 80 and 5 < found["c"] < 20 and found["b"] == 0


def test_one_bad_rating_is_no_sentence() -> None:
    found = shares([standing(GOOD, 1, 5.0), standing(BAD, 1, 1.0), standing(NEW, 1, 3.0)])
    assert found["a"] > found["c"] > found["b"] > 3


def test_why_is_told_in_few_words() -> None:
    why = chosen((BAD, GOOD), [standing(GOOD, 12, 4.25), standing(BAD, 30, 1.0)], 7).why
    assert why.endswith("of 5 from 12 ratings of mean 4.25, the best of 2") and len(why) < 80
    assert "no ratings" in chosen((NEW, NEW), [], 7).why
