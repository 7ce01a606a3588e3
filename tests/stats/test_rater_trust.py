"""Tests of the weights of raters, with simulated raters whose faults are known."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from limner.core.preferences import JudgedImage, Judgement, Preference
from limner.stats.judgements import Answer
from limner.stats.rater_trust import acting_together, contradictions, one_voice, opposition, rater_trust

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def image(name: object) -> JudgedImage:
    return JudgedImage(sha256=f"{name:>04}", location="", prompt="a dog")


def pair(rater: str, better: object, worse: object, **more: object) -> Preference:
    return Preference.model_validate({"better": image(better), "worse": image(worse), "rater": rater, **more})


def rating(rater: str, name: object, stars: int, created: datetime | None = None) -> Judgement:
    return Judgement(image=image(name), stars=stars, rater=rater, created=created)


def truthful(rater: str, numbers: Iterable[int], wrong: float = 0.0, seed: int = 0) -> list[Preference]:
    """Comparisons of image 2n with 2n + 1, of which the even one is better; a share of the answers is wrong."""
    rng = random.Random(f"{rater} {seed}")
    found = []
    for n in numbers:
        ends = (2 * n, 2 * n + 1) if rng.random() >= wrong else (2 * n + 1, 2 * n)
        found.append(pair(rater, *ends))
    return found


def test_honest_raters_count_in_full_whatever_their_taste() -> None:
    raters = {"ann": 0.1, "bob": 0.1, "cat": 0.3}
    pairs = [each for rater, wrong in raters.items() for each in truthful(rater, range(60), wrong)]
    tastes = [pair("eve", *random.Random(n).sample((2 * n, 2 * n + 1), 2)) for n in range(60)]  # of something else
    report = rater_trust([], [*pairs, *tastes])
    assert {each.rater: each.weight for each in report.raters} == dict.fromkeys(("ann", "bob", "cat", "eve"), 1.0)
    assert all(not each.why and each.judgements == 60 for each in report.raters) and report.notes == ()
    assert report.units == 60 and report.low is not None and report.alpha is not None and report.low < report.alpha < 1


def test_who_contradicts_himself_counts_less() -> None:
    steady = truthful("ann", range(20)) * 2
    random_answers = [pair("bob", *random.Random(n).sample((2 * (n % 20), 2 * (n % 20) + 1), 2)) for n in range(80)]
    report = rater_trust([], [*steady, *random_answers])
    assert report.weight("ann") == 1 and report.weight("bob") < 0.5
    (why,) = report.raters[0].why
    assert why.startswith("contradicts own answers in ") and why.endswith(" of 60 repetitions")


def test_the_rate_of_contradictions_is_that_of_the_error() -> None:
    """Of 20,000 repetitions by a rater who errs in 10%: 2 * 0.1 * 0.9 contradict; (1 - 2 * 0.1)^2 is left."""
    rng = random.Random(0)
    own = [Answer("a", (str(n), "x"), rng.choices((1, -1), (9, 1))[0]) for n in range(20_000) for _ in range(2)]
    assert contradictions(own)["a"][0] == pytest.approx(0.64, abs=0.03)


def test_a_comparison_against_own_stars_is_a_contradiction() -> None:
    stars = [rating("ann", 1, 5), rating("ann", 2, 2), rating("ann", 3, 2)]
    report = rater_trust(stars, [pair("ann", 2, 1), pair("ann", 2, 3), pair("ann", 1, 3), pair("ann", 4, 1)])
    assert report.raters[0].why == ("contradicts own answers in 1 of 2 repetitions",)
    assert rater_trust(stars, [pair("ann", 1, 2), pair("ann", 2, 1, tie=True)]).weight("ann") == 1
    assert rater_trust(stars, [pair("bob", 2, 1)]).weight("bob") == 1, "stars of somebody else"
    assert rater_trust([rating("ann", 1, 5), rating("ann", 1, 1)], []).weight("ann") < 1


def test_who_opposes_the_others_counts_less() -> None:
    pairs = [each for rater in ("ann", "bob", "cat") for each in truthful(rater, range(30), 0.1)]
    report = rater_trust([], [*pairs, *truthful("eve", range(30), 0.9)])
    assert report.weight("eve") == pytest.approx(0.2) and min(map(report.weight, ("ann", "bob", "cat"))) == 1
    assert (
        "opposes the majority of the others in " in next(each for each in report.raters if each.rater == "eve").why[0]
    )
    two = rater_trust([], [*truthful("ann", range(30)), *truthful("eve", range(30), 1.0)])
    assert two.weight("ann") == two.weight("eve") == 1, "of two raters, nobody knows who is right"


def test_the_majority_is_weighted() -> None:
    given = [Answer(rater, (str(n), "x"), 1 if rater in "ab" else -1) for n in range(30) for rater in "abcde"]
    assert opposition(given, dict.fromkeys("abcde", 1.0)).keys() == {"a", "b"}
    assert opposition(given, dict.fromkeys("ab", 1.0) | dict.fromkeys("cde", 0.1)).keys() == {"c", "d", "e"}


def test_the_same_answers_of_several_count_as_one() -> None:
    crowd = [each for n in range(4) for each in truthful(f"bot{n}", range(40, 46))]
    honest = [each for rater in ("ann", "bob", "cat") for each in truthful(rater, range(40, 60), 0.2)]
    report = rater_trust([], [*crowd, *honest])
    assert [report.weight(f"bot{n}") for n in range(4)] == [0.25] * 4
    line = "one of 4 raters with the same 6 answers and no others; they count as one"
    assert all(each.why == (line,) for each in report.raters if each.rater.startswith("bot"))
    assert min(map(report.weight, ("ann", "bob", "cat"))) == 1
    short = [each for n in range(4) for each in truthful(f"bot{n}", range(4))]
    assert all(each.weight == 1 for each in rater_trust([], [*short, *honest]).raters), "four answers are too few"
    assert rater_trust([], [*crowd[:12], *honest]).weight("bot0") == 1, "two raters are too few"


def brigade(count: int, minutes: int, stars: int = 1) -> list[Judgement]:
    """Ratings of different images by new raters, one direction, within so many minutes."""
    times = [NOON + timedelta(minutes=minutes * n / (count - 1)) for n in range(count)]
    return [rating(f"bot{n}", 10 * n + i, stars, times[n]) for n in range(count) for i in range(4)]


HONEST = [rating(name, n, 1 + n % 5, NOON + timedelta(days=n)) for name in ("ann", "bob") for n in range(25)]


def test_a_burst_of_one_direction_counts_as_one() -> None:
    report = rater_trust([*HONEST, *brigade(6, 50)], [])
    assert {report.weight(f"bot{n}") for n in range(6)} == {1 / 6} and report.weight("ann") == 1
    why = next(each.why for each in report.raters if each.rater == "bot0")
    assert why == ("one of 6 raters who gave only bad ratings, all within an hour; they count as one",)
    assert acting_together_weights([*HONEST, *brigade(6, 50, 5)]) == {1 / 6}


def later(each: Judgement) -> datetime:
    """The time of a rating, an hour later for each further one of the same rater."""
    assert each.created is not None
    return each.created + timedelta(hours=int(each.image.sha256) % 10)


def acting_together_weights(ratings: list[Judgement]) -> set[float]:
    report = rater_trust(ratings, [])
    return {each.weight for each in report.raters if each.rater.startswith("bot")}


@pytest.mark.parametrize(
    "ratings",
    [
        [*HONEST, *brigade(4, 50)],  # too few raters
        [*HONEST, *brigade(6, 600)],  # over ten hours
        [*HONEST, *(each.model_copy(update={"created": later(each)}) for each in brigade(6, 50))],  # each over hours
        [
            *HONEST,
            *(each for each in brigade(6, 50) if each.image.sha256 != "0000" and int(each.image.sha256) % 10 < 3),
        ],
        [*HONEST, *brigade(6, 50), *(rating(f"bot{n}", 900 + n, 4, NOON) for n in range(6))],  # of both directions
        [*(each.model_copy(update={"stars": 1}) for each in HONEST), *brigade(6, 50)],  # as everybody rates
        brigade(6, 50),  # nobody else rated
        [*HONEST, *(each.model_copy(update={"created": None}) for each in brigade(6, 50))],
    ],
    ids=["raters", "slow", "long", "answers", "mixed", "usual", "alone", "no times"],
)
def test_no_burst(ratings: list[Judgement]) -> None:
    assert acting_together_weights(ratings) == {1.0}


def test_a_burst_is_found_among_other_times() -> None:
    before = [rating(f"early{n}", 500 + n, 1, NOON - timedelta(hours=2 * n + 2)) for n in range(5)]
    found = rater_trust([*HONEST, *before, *brigade(6, 50)], [])
    assert found.weight("bot0") == 1 / 6 and found.weight("early1") == 1


def test_one_voice_is_limited_to_the_others() -> None:
    ratings = [rating("ann", n, 1 + n % 5) for n in range(80)]
    ratings += [rating(name, 100 + n, 1 + n % 5) for name in ("bob", "cat") for n in range(10)]
    report = rater_trust(ratings, [])
    assert report.weight("ann") == pytest.approx(20 / 80) and report.weight("bob") == 1
    assert report.raters[0].why == ("gave 80% of the feedback; counts as much as all others",)
    assert report.notes == ("one rater gave 80% of the feedback: it is mostly the taste of one person",)
    assert one_voice({"a": 10, "b": 5, "c": 5}, dict.fromkeys("abc", 1.0)) == {}, "as much as all others"
    assert one_voice({"a": 90, "b": 20}, dict.fromkeys("ab", 1.0)) == {}, "of two raters"
    assert one_voice({"a": 90, "b": 4, "c": 5}, dict.fromkeys("abc", 1.0)) == {}, "the others say hardly anything"
    assert one_voice({"a": 90, "b": 5, "c": 5}, dict.fromkeys("abc", 1.0))["a"][0] == pytest.approx(1 / 9)
    assert one_voice({"a": 90, "b": 50, "c": 5}, {"a": 0.5, "b": 1.0, "c": 1.0}) == {}, "its weight is lower already"


def test_feedback_without_a_rater_counts_in_full() -> None:
    report = rater_trust([rating("", n, 1 + n % 5) for n in range(60)], truthful("", range(20), 0.5) * 2)
    assert [(each.rater, each.weight, each.why) for each in report.raters] == [("", 1.0, ())]
    assert report.notes == ("100 of 100 judgements name no rater; they count in full",)
    assert report.alpha is None and report.units == 0 and report.weight("somebody") == 1


def test_no_feedback_has_no_raters() -> None:
    report = rater_trust([], [])
    assert (report.alpha, report.low, report.units, report.raters, report.notes) == (None, None, 0, (), ())


def test_very_many_raters_take_linear_time() -> None:
    many = [rating(f"r{n}", n, 1, NOON + timedelta(seconds=n)) for n in range(20_000)]
    assert len(rater_trust([*HONEST, *many], []).raters) == 20_002
    assert len({*acting_together([Answer(f"r{n}", (str(n),), 1, NOON) for n in range(20_000)])}) == 0
