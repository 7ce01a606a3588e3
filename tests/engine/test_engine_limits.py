"""Thresholds from which on something is claimed, each tested on both sides, and the claims."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.core.choice import evenly
from limner.core.errors import LimnerError
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import EvaluateRequest, MetricUse, SweepRequest
from limner.core.requests.evaluate import Requirement
from limner.core.votes import BlindPair, Votes, VotesKey
from limner.engine.compare import report
from limner.engine.compare import subject as prompt_subject
from limner.engine.compare.blind_page import choose_pairs
from limner.engine.compare.ranking import rank_by_votes
from limner.engine.compare.result import PairedDifference, differences
from limner.engine.compare.subject import PromptSubject, plain_prompt
from limner.engine.evaluate.group_fairness import gap_sentence
from limner.engine.evaluate.images import subject_of
from limner.engine.evaluate.result import EvaluationResult
from limner.engine.generate.parts import GenerationPart, _missing, same_settings
from limner.engine.scoring.encoders import image_features
from limner.engine.scoring.evidence import Evidence
from limner.engine.scoring.scorers import Scorers, scores_as_json, subset
from limner.engine.sweep.best_guidance import best_guidance, lowest_sufficient
from limner.engine.sweep.result import SweepResult
from limner.engine.sweep.verdict import verdict
from limner.plugins.registry import metrics
from limner.stats.group_fairness import GroupGap, GroupMean, group_gap


def scored(values, better="higher", unit="picture", metric="prompt_fidelity", title="fidelity"):
    values = tuple(float(value) for value in values)
    return MetricResult(metric, title, better, unit, None, float(np.mean(values)), 0.0, 0.0, values)


# Differences


def difference(low, high, count=6, better="higher", p_value=0.03, tests=1, distrust=None):
    evidence = Evidence((low + high) / 2, low, high, p_value, count, tests, distrust)
    return PairedDifference("f", "fidelity", better, "first", "other", evidence, "pairs")


@pytest.mark.parametrize(("count", "shown"), [(5, False), (6, True), (7, True)])
def test_a_difference_takes_six_pairs(count, shown):
    assert difference(0.1, 0.2, count).evidence.significant == shown
    assert ("too few for a conclusion" in difference(0.1, 0.2, count).figures) != shown


@pytest.mark.parametrize(
    ("low", "high", "better", "winner"),
    [
        (0.001, 0.2, "higher", "other"),
        (0.0, 0.2, "higher", None),
        (-0.2, 0.0, "higher", None),
        (-0.2, -0.001, "higher", "first"),
        (0.001, 0.2, "lower", "first"),
        (-0.2, -0.001, "lower", "other"),
        (0.001, 0.2, None, None),
    ],
)
def test_the_winner_is_on_the_better_side_of_the_interval(low, high, better, winner):
    assert difference(low, high, better=better).winner == winner


def test_differences_are_of_the_others_to_the_first():
    found = differences({"a": {"f": scored([1, 2, 3])}, "b": {"f": scored([2, 4, 6])}})
    assert [(each.first, each.other, each.evidence.mean, each.evidence.count) for each in found] == [("a", "b", 2.0, 3)]


# Fairness


def test_the_gap_and_how_rare_it_is_by_hand():
    """Of groups of three that do not overlap, 2 of the 20 ways to deal out six values part as far."""
    found = group_gap("f", {"a": [1.0, 2.0, 3.0], "b": [11.0, 12.0, 13.0]})
    assert (found.best, found.worst, found.gap) == ("b", "a", 10.0)
    assert found.smallest_p_value == pytest.approx(0.1) and found.p_value == pytest.approx(0.1, abs=0.02)
    assert found.too_few and not found.significant


def test_the_interval_of_the_gap_is_the_basic_bootstraps():
    """Twice the gap less the upper quantile of resampled gaps, by a generator of our own."""
    rng = np.random.default_rng(9)
    one, other = rng.lognormal(size=12), rng.lognormal(size=12) + 2
    drawn = other[rng.integers(12, size=(20_000, 12))].mean(1) - one[rng.integers(12, size=(20_000, 12))].mean(1)
    low, high = np.quantile(np.abs(drawn), (0.025, 0.975))
    found, gap = group_gap("f", {"a": one.tolist(), "b": other.tolist()}), other.mean() - one.mean()
    assert (found.low, found.high) == pytest.approx((2 * gap - high, 2 * gap - low), abs=0.1)
    assert abs((2 * gap - high) - low) > 0.3, "the percentile interval would be another"


def test_a_gap_as_it_is_counts_as_one_of_the_draws():
    """So that the p-value is never zero: of 2,000 draws at least one in 2,001."""
    found = group_gap("f", {"a": np.arange(30.0).tolist(), "b": (100 + np.arange(30.0)).tolist()})
    assert found.p_value == pytest.approx(1 / 2001)


@pytest.mark.parametrize(("chance", "shown"), [(0.049, True), (0.05, False), (0.051, False)])
def test_a_gap_is_significant_below_five_percent(chance, shown):
    groups = (GroupMean("a", 9, 0.5, 0.4, 0.6), GroupMean("b", 9, 0.75, 0.7, 0.8))
    found = GroupGap("f", groups, "b", "a", 0.25, 0.1, 0.4, chance, 0.001)
    assert found.significant == shown and not found.too_few
    sentence = "is unlikely to be chance" if shown else "may be chance"
    assert gap_sentence("fidelity", found) == (
        f"fidelity is 0.75 for b and 0.50 for a; this gap of 0.25 [0.10, 0.40] {sentence}"
    )


@pytest.mark.parametrize(("least", "few"), [(0.049, False), (0.05, True), (0.051, True)])
def test_too_few_values_for_significance(least, few):
    groups = (GroupMean("a", 4, 0.5, 0.4, 0.6), GroupMean("b", 3, 0.75, 0.7, 0.8))
    found = GroupGap("f", groups, "b", "a", 0.25, 0.1, 0.4, 0.2, least)
    assert found.too_few == few and ("too few to say" in gap_sentence("fidelity", found)) == few


# Requirements and what an evaluation says


@pytest.mark.parametrize(
    ("text", "mean", "met"),
    [
        ("f>=0.7", 0.7, True),
        ("f>=0.7", 0.699, False),
        ("f<=0.7", 0.7, True),
        ("f<=0.7", 0.701, False),
        ("f>0.7", 0.7, False),
        ("f>0.7", 0.701, True),
        ("f<0.7", 0.7, False),
        ("f<0.7", 0.699, True),
    ],
)
def test_a_requirement_is_met_or_not(text, mean, met):
    assert Requirement.model_validate(text).met(mean) is met


def evaluated(scores, **fields):
    request = EvaluateRequest.model_validate({"target": "starter", "prompt": ["a cat"], **fields})
    items = tuple(ScoredImage(Path(f"{i}.png"), "a cat", "a cat") for i in range(3))
    return EvaluationResult(request, "starter", "", ImageSet(items), scores)


def test_images_are_ranked_by_the_first_suitable_metric():
    sharp = scored([3, 1, 2], metric="sharpness")
    assert evaluated({"clipping": scored([1, 2, 3], "lower"), "sharpness": sharp}).ranked == ("sharpness", [0, 2, 1])
    subject = scored([0.1, 0.3, 0.2], metric="subject_fidelity=x")
    assert evaluated({"sharpness": sharp, "subject_fidelity=x": subject}).ranked == ("subject_fidelity=x", [1, 2, 0])
    assert evaluated({"clipping": scored([1, 2, 3], "lower")}).ranked is None


def test_images_are_ranked_within_their_prompt():
    """All of the first prompt have a higher score, because of their background."""
    fidelity = scored([0.9, 0.8, 0.7, 0.2, 0.5], metric="subject_fidelity")
    items = tuple(ScoredImage(Path(f"{i}.png"), None, group) for i, group in enumerate("aaabb"))
    found = replace(evaluated({"subject_fidelity": fidelity}), gallery=ImageSet(items))
    assert found.ranked == ("subject_fidelity", [4, 0, 1, 2, 3])
    single = replace(found, gallery=ImageSet(tuple(replace(item, group=str(item.path)) for item in items)))
    assert single.ranked == ("subject_fidelity", [0, 1, 2, 4, 3]), "of one image each there is nothing to subtract"


def test_all_that_is_required_must_be_met():
    both = ["sharpness>=2", "clipping<=1"]
    metrics = ["sharpness", "clipping"]
    scores = {"sharpness": scored([1, 2, 3]), "clipping": scored([1, 1, 1], "lower")}
    assert evaluated(scores, metric=metrics, require=both).passed
    scores["clipping"] = scored([1, 1, 2], "lower")
    missed = evaluated(scores, metric=metrics, require=both)
    assert not missed.passed and "Not met: clipping<=1 (it is 1.333)" in missed.verdict


# Scores of galleries


class Counted:
    """Scores a gallery's only group by its pictures' number, and each picture by its index."""

    title, about, better, model, named, needs = "counted", "", "higher", None, False, frozenset()

    def __init__(self, unit):
        self.unit = unit

    def scorer(self, model, encoder):
        if self.unit == "group":
            return lambda gallery: np.array([float(np.sum([int(p.stem) ** 2 for p in gallery.paths]))])
        return lambda gallery: np.arange(len(gallery.items))


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_single_group_has_an_interval_from_four_images_on(monkeypatch, count):
    monkeypatch.setattr(metrics, "get", lambda name: Counted("group"))
    gallery = ImageSet(tuple(ScoredImage(Path(f"{i}.png")) for i in range(count)))
    (found,) = Scorers([MetricUse(name="counted")]).score(gallery).values()
    assert found.mean == sum(i**2 for i in range(count))
    assert np.isfinite(found.low) == (count >= 4)
    if count >= 4:
        left = np.array([found.mean - i**2 for i in range(count)])
        error = ((count - 1) / count * ((left - left.mean()) ** 2).sum()) ** 0.5
        assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error))
    assert ("low" in scores_as_json({"counted": found})["counted"]) == (count >= 4)


def test_base_images_stay_with_their_items():
    items, base = (tuple(ScoredImage(Path(f"{name}{i}.png")) for i in range(3)) for name in "ab")
    found = subset(ImageSet(items, (Path("r"),), (Path("t"),), base), [2, 0])
    assert (found.items, found.base) == ((items[2], items[0]), (base[2], base[0]))
    assert (found.references, found.training) == ((Path("r"),), (Path("t"),))


# Guidance


def test_the_best_guidance_is_not_significantly_below_a_higher_one():
    base = np.linspace(0, 1, 8)
    rising = [base, base + 0.1, base + 0.2]
    assert lowest_sufficient(rising) == 2
    assert lowest_sufficient([base, base - 0.1, base - 0.2]) == 0
    assert lowest_sufficient([base, base, base + 0.1]) == 2, "also not below the last one"
    noisy = base + 0.1 + np.array([1, -1] * 4)
    assert lowest_sufficient([base, noisy]) is None, "higher on average, by nothing that could be measured"
    assert lowest_sufficient([base, base, base]) is None, "and where all are alike, the lowest is not the best"
    assert lowest_sufficient([base, base + 0.1, noisy + 0.1]) == 1


def swept(values, seeds=8, axis="guidance=1,5,9", metric="prompt_fidelity", better="higher", **more):
    request = SweepRequest.model_validate(
        {"prompt": ["a cat"], "axis": [axis], "seeds": seeds, "metric": [metric, *more]}
    )
    scores = [
        {metric: scored(row, better)} | {name: scored(rows[cell], better) for name, rows in more.items()}
        for cell, row in enumerate(values)
    ]
    return SweepResult(request, [{} for _ in values], scores)


EIGHT = 0.01 * np.arange(8)
RISING = [0.1 + EIGHT, 0.5 + EIGHT, np.full(8, 0.5)]


def test_the_best_guidance_of_a_sweep():
    found = best_guidance(swept(RISING))
    assert found is not None and found.value == "5"
    turned = best_guidance(swept(RISING[::-1], axis="guidance=9,5,1"))
    assert turned is not None and turned.value == "5", "from the lowest on, however they were typed"
    few = swept([row[:6] for row in RISING], seeds=6)
    assert best_guidance(few) is None, "of three values there are three pairs, for which six images are too few"
    assert best_guidance(swept([row[:7] for row in RISING], seeds=7)) is not None
    assert best_guidance(replace(swept(RISING), doubts={"prompt_fidelity": "it does not agree"})) is None
    assert best_guidance(swept(RISING[:1], axis="guidance=1")) is None
    assert best_guidance(swept(RISING, axis="steps=1,5,9")) is None


def test_guidance_is_compared_as_numbers():
    """10 comes after 9, though not as a text."""
    found = best_guidance(swept([RISING[0], RISING[1], RISING[1] + 0.2], axis="guidance=2,9,10"))
    assert found is not None and found.value == "10" and "It is the highest value tried" in found.reason
    alike = best_guidance(swept([RISING[0], RISING[1], RISING[1]], axis="guidance=2,9,10"))
    assert alike is not None and alike.value == "9", "the lowest of those that are as good"


@pytest.mark.parametrize(
    ("better", "best", "end", "beyond"), [("higher", "9", "highest", "higher"), ("lower", "1", "lowest", "lower")]
)
def test_the_verdict_names_the_value_on_the_better_side(better, best, end, beyond):
    rows = [np.arange(7.0), np.arange(7.0) + 5, np.arange(7.0) + 9]
    sentence = verdict(swept(rows, 7, "steps=1,5,9", "sharpness", better))
    assert sentence.startswith(f"Of steps, {best} is better by fidelity than all others (fidelity {best} ")
    assert sentence.endswith(f"It is the {end} value tried; try {beyond} ones too.")
    few = verdict(swept([row[:6] for row in rows], 6, "steps=1,5,9", "sharpness", better))
    assert few.startswith("Cannot tell which value of steps is best (fidelity ")
    assert few.endswith("6 pairs of images are too few; at least 7 are needed: ask for more images by --seeds.")


def crossed(first, second, seeds=8, doubts=None, **asked):
    """A sweep of two axes with two values each: the effect of each axis is added."""
    request = SweepRequest.model_validate(
        {"prompt": ["a cat"], "axis": ["steps=4,8", "guidance=2,6"], "seeds": seeds, "metric": ["sharpness"], **asked}
    )
    scores = [{"sharpness": scored(0.01 * np.arange(seeds) + a + b)} for a in first for b in second]
    return SweepResult(request, [{}] * 4, scores, doubts or {})


def test_each_axis_gets_its_verdict():
    both = verdict(crossed((0, 3), (5, 0)))
    assert both.startswith("Of steps, 8 is better by fidelity than all others")
    assert "Of guidance, 2 is better by fidelity than all others" in both
    one = verdict(crossed((0, 3), (0, 0)))
    assert one.startswith("Of steps, 8 is better") and " Cannot tell which value of guidance is best (" in one
    distrust = {"sharpness": "it does not agree"}
    none = verdict(crossed((0, 3), (5, 0), doubts=distrust))
    assert none.startswith("Cannot tell which value of steps or guidance is best: it does not agree; look at")


def test_prompts_and_seeds_are_judged_only_alone():
    asked = {"prompt": ["a cat", "a dog"], "axis": ["guidance=2,6"]}
    found = crossed((0, 3), (5, 0), **asked)
    assert "prompt" not in verdict(found) and "Of guidance, 2 is better" in verdict(found)
    asked = {"prompt": ["a cat"], "axis": ["prompt=a cat,a dog", "seed=1,2"], "seeds": 1}
    alone = verdict(crossed((0, 3), (0, 0), **asked))
    assert alone.startswith("Cannot tell which value of prompt is best (") and "seed is best" not in alone


def test_a_value_in_the_middle_has_nothing_beyond_it():
    rows = [np.arange(8.0), np.arange(8.0) + 9, np.arange(8.0) + 5]
    assert verdict(swept(rows, axis="steps=1,5,9", metric="sharpness")).endswith("1 3.500).")
    named = verdict(swept(rows[::-1], axis="scheduler=ddim,unipc,euler", metric="sharpness"))
    assert "unipc is better" in named and "tried" not in named, "names have no ends"


def test_a_metric_that_does_not_agree_with_the_truth_decides_nothing():
    rows = [np.arange(8.0), np.arange(8.0) + 5, np.arange(8.0) + 9]
    doubts = {"prompt_fidelity": "it does not agree"}
    lack = "Cannot tell which value of steps is best: it does not agree; look at the images, or name another"
    alone = replace(swept(rows, axis="steps=1,5,9"), doubts=doubts)
    assert verdict(alone).startswith(lack)
    both = replace(swept(rows, axis="steps=1,5,9", sharpness=rows), doubts=doubts)
    assert verdict(both).startswith("Of steps, 9 is better"), "by the other metric that was asked for"
    unasked = replace(both, request=both.request.model_copy(update={"metric": ()}))
    assert verdict(unasked).startswith(lack), "what nobody asked for does not decide"


def test_a_curve_is_in_the_order_of_the_axis():
    request = SweepRequest.model_validate({"prompt": ["a"], "axis": ["guidance=1,2", "seed=3,4"], "seeds": 1})
    scores = [{"f": scored([value])} for value in (1, 2, 3, 4)]
    found = SweepResult(request, [{}] * 4, scores)
    assert [part.tolist() for part in found.along(request.axes[0], "f")] == [[1, 2], [3, 4]]
    assert [part.tolist() for part in found.along(request.axes[1], "f")] == [[1, 3], [2, 4]]
    assert [mean for mean, _, _ in found.curve(request.axes[1], "f")] == [2, 3]


# Votes


KEY = VotesKey(
    comparison="a" * 64,
    contestants=("red", "blue"),
    pairs={f"pair-{n}": BlindPair(prompt="x", seed=n, left=n % 2, right=1 - n % 2) for n in range(40)},
)


def votes(choices):
    return Votes(comparison="a" * 64, ballot="b", votes={f"pair-{n}": choice for n, choice in enumerate(choices)})


def test_six_votes_are_needed_however_clear_they_are():
    """Red is to the left of every other pair."""
    ballots = [votes(["left", "right"] * 20).model_copy(update={"ballot": f"b{n}"}) for n in range(2)]
    many = rank_by_votes(KEY, ballots)
    assert [rank.contestant for rank in many.ranks] == ["red", "blue"] and many.verdict.startswith("People prefer red")
    assert (many.votes, many.ballots, many.left, many.prior) == (80, 2, 0.5, 1.0)
    assert (many.ranks[0].wins, many.ranks[0].ties, many.ranks[0].losses) == (80, 0, 0)
    assert many.ranks[0].elo - many.ranks[1].elo == pytest.approx(400 * np.log10(80.5 / 0.5), abs=0.01)
    assert many.lead[0] == pytest.approx(many.ranks[0].elo - many.ranks[1].elo)


def test_the_intervals_of_a_ranking_are_of_95_percent():
    """Of two, 30 votes to 10: drawn anew as a binomial share, by a generator of our own."""
    choices = ["left" if (n % 2 == 0) == (n < 30) else "right" for n in range(40)]
    (red, blue), won = rank_by_votes(KEY, [votes(choices)]).ranks, 30.5 / 41
    drawn = np.random.default_rng(8).binomial(40, won, 20_000)
    low, high = np.quantile(200 * np.log10((drawn + 0.5) / (40 - drawn + 0.5)), (0.025, 0.975))
    assert (red.wins, red.losses) == (30, 10)
    assert (red.low - 1000, red.high - 1000) == pytest.approx((low, high), abs=6)
    assert (blue.high - 1000, blue.low - 1000) == pytest.approx((-low, -high), abs=6)


def test_a_tie_is_half_a_win_and_no_side():
    found = rank_by_votes(KEY, [votes(["left", "tie", "tie", "right"])])
    by = {rank.contestant: rank for rank in found.ranks}
    assert found.left == 0.5
    assert [(by[n].wins, by[n].ties, by[n].losses, by[n].preferred) for n in ("red", "blue")] == [
        (2, 2, 0, 0.75),
        (0, 2, 2, 0.25),
    ]


@pytest.mark.parametrize(("count", "claimed"), [(5, False), (6, True)])
def test_nothing_is_claimed_of_five_votes(monkeypatch, count, claimed):
    from limner.engine.compare import ranking

    found = rank_by_votes(KEY, [votes(["left", "right"] * 20)])
    sentence = ranking._verdict(found.ranks, (200.0, 50.0, 300.0), count)
    assert sentence.startswith("People prefer red" if claimed else "No clear difference")
    assert ranking._verdict(found.ranks, (200.0, 0.0, 300.0), 80).startswith("No clear difference")


def test_every_two_contestants_meet_about_equally_often_and_on_both_sides():
    cells = [(f"p{n}", n) for n in range(30)]
    pairs = choose_pairs(3, cells, 45, 1)
    met = {}
    for pair in pairs:
        assert (pair.prompt, pair.seed) in cells and pair.left != pair.right
        met.setdefault(frozenset((pair.left, pair.right)), []).append(pair.left < pair.right)
    assert [len(sides) for sides in met.values()] == [15] * 3 and all(2 < sum(sides) < 13 for sides in met.values())
    assert len({(pair.prompt, frozenset((pair.left, pair.right))) for pair in pairs}) == 45, "no pair twice"
    assert len(choose_pairs(3, cells, 1000, 1)) == 90 and choose_pairs(3, cells, 45, 2) != pairs


# Standings


def test_patience_counts_what_came_after_the_best():
    base = StepScores(step=0, subject=(0.2,), prompt=(0.5,))
    found = CheckpointScores(
        prompts=("a",), encoder="x", weight=0.25, training_similarity=0.6, unrelated_similarity=0.1, base=base
    )
    assert found.checkpoints_since_best == 0
    for step, subject in ((1, 0.4), (2, 0.5), (3, 0.3), (4, 0.3)):
        found = found.plus(StepScores(step=step, subject=(subject,), prompt=(0.3,)))
    assert found.best.step == 2 and found.checkpoints_since_best == 2
    assert found.balance(found.best) == pytest.approx(0.25 * (0.3 / 0.4) + 0.75 * (0.2 / 0.4))


@pytest.mark.parametrize(("strange", "blind"), [(0.47, False), (0.479, False), (0.481, True), (0.6, True)])
def test_an_encoder_is_blind_below_two_hundredths(strange, blind):
    base = StepScores(step=0, subject=(0.2,), prompt=(0.5,))
    assert (
        CheckpointScores(
            prompts=("a",), encoder="x", weight=1, training_similarity=1, unrelated_similarity=strange, base=base
        ).blind
        == blind
    )


# Choosing


@pytest.mark.parametrize(
    ("count", "found"),
    [(1, [0]), (2, [0, 5]), (3, [0, 3, 6]), (5, [0, 2, 4, 6, 8]), (10, list(range(10))), (99, list(range(10)))],
)
def test_some_are_chosen_evenly(count, found):
    assert evenly(range(10), count) == found and evenly([], count) == []


def test_what_is_missing_is_painted_in_runs_of_neighbouring_seeds():
    from limner import GenerateRequest

    part = GenerationPart(GenerateRequest(prompt="a", seed=10, count=8), Path("x"), {})
    there = {seed: Path("y") for seed in (10, 13, 14, 17)}
    assert [(each.seed, each.count) for each in _missing(part, there)] == [(11, 2), (15, 2)]
    assert [(each.seed, each.count) for each in _missing(part, {})] == [(10, 8)]


# What counts as painted already


def test_a_picture_counts_as_painted_where_its_label_asks_for_the_same():
    """What is left open is as the model has it; the size is its own, and so is what is compared by hashes."""
    from limner import GenerateRequest

    sampling = {"steps": 10, "guidance": 3.0, "guidance_rescale": 0.0}
    fields = {"prompt": "a cat", "steps": 10, "guidance": 3.0, "width": 64, "height": 64, "guidance_rescale": 0.7}
    label = SimpleNamespace(request=GenerateRequest(**fields, seed=5, model="there"))
    assert same_settings(label, GenerateRequest(prompt="a cat", seed=9, count=4, model="here"), sampling)
    for other in (
        {"prompt": "a dog"},
        {"prompt": "a cat", "steps": 11},
        {"prompt": "a cat", "guidance": 4.0},
        {"prompt": "a cat", "guidance_rescale": 0.5},
        {"prompt": "a cat", "width": 128},
        {"prompt": "a cat", "negative_prompt": "blurry"},
    ):
        assert not same_settings(label, GenerateRequest(**other), sampling), other
    assert not same_settings(label, GenerateRequest(prompt="a cat"), sampling | {"steps": 11})
    assert not same_settings(SimpleNamespace(request=None), GenerateRequest(prompt="a cat"), sampling)


# Whom prompts are about


def test_a_prompt_is_filled_with_the_subject():
    assert PromptSubject("sks", "dog").fill("a photo of {}") == "a photo of sks dog"
    assert plain_prompt("a photo of {}", PromptSubject("sks", "dog")) == "a photo of a dog"
    assert plain_prompt("a photo of {}", PromptSubject("sks", None)) == "a photo of sks"
    assert PromptSubject(None, None).fill("a beach") == "a beach"
    with pytest.raises(LimnerError, match="needs a subject, and none is known; give --class"):
        PromptSubject(None, None).fill("a photo of {}")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ("sks", "dog")),
        ({"identifier": "zwx"}, ("zwx", "dog")),
        ({"class_word": "cat"}, ("sks", "cat")),
        ({"identifier": "zwx", "class_word": "cat"}, ("zwx", "cat")),
    ],
)
def test_the_request_overrules_the_adapter(monkeypatch, fields, found):
    training = SimpleNamespace(identifier="sks", class_word="dog")
    monkeypatch.setattr(prompt_subject, "open_adapter", lambda path: None)
    monkeypatch.setattr(prompt_subject, "training_of", lambda adapter: (training, None))
    asked = SimpleNamespace(**{"identifier": None, "class_word": None} | fields)
    assert subject_of(asked, SimpleNamespace(adapters=(SimpleNamespace(path="x"),))) == PromptSubject(*found)
    unknown = SimpleNamespace(identifier=None, class_word="cat")
    assert subject_of(unknown, SimpleNamespace(adapters=())) == PromptSubject(None, "cat")


# What a comparison shows


def compared(count, contestants=2, scores=None, **fields):
    plain = {"steps": None, "guidance": None, "scheduler": None, "seed": 7, "count": count, "prompt": ("a", "b", "c")}
    request = SimpleNamespace(**plain | fields)
    return SimpleNamespace(
        request=request, contestants=[None] * contestants, scores=scores, differences=(), text=lambda prompt: prompt
    )


def test_up_to_three_contestants_show_two_seeds():
    assert [report.shown_seeds(compared(5, contestants)) for contestants in (2, 3, 4)] == [[7, 8], [7, 8], [7]]
    assert report.shown_seeds(compared(1)) == [7]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "each model's default steps and guidance"),
        ({"guidance": 0.0, "steps": 4}, "4 steps, guidance 0"),
        ({"scheduler": "euler", "guidance": 2.5}, "guidance 2.5, scheduler euler, each model's default steps"),
    ],
)
def test_settings_are_listed_even_if_zero(fields, text):
    assert report.settings(compared(1, **fields)) == text


@pytest.mark.parametrize("count", [5, 6])
def test_prompts_are_ordered_by_difference(monkeypatch, count):
    """With an interval from six seeds each on; of fewer it would say more than is known."""
    drawn = []
    monkeypatch.setattr(report, "forest_svg", lambda intervals, label: drawn.extend(intervals) or label)
    base = np.arange(3.0 * count)
    moved = base + np.repeat([0.1, -0.5, 0.9], count) + np.tile(np.linspace(-0.01, 0.01, count), 3)
    scores = {"one": {"f": scored(base)}, "two": {"f": scored(moved)}}
    assert report._prompts_plot(compared(count, scores=scores)) == "fidelity, two minus one"
    assert [(line.name, round(line.mean, 6)) for line in drawn] == [("c", 0.9), ("a", 0.1), ("b", -0.5)]
    assert [line.highlighted for line in drawn] == [count == 6] * 3
    assert [bool(np.isfinite(line.low)) for line in drawn] == [count == 6] * 3
    assert report._prompts_plot(compared(count, 3, scores)) is None


# What encoders say


def test_the_first_token_represents_the_image():
    tokens, places = torch.arange(24.0).reshape(2, 3, 4), torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(image_features(SimpleNamespace(last_hidden_state=tokens)), tokens[:, 0])
    assert torch.equal(image_features(SimpleNamespace(last_hidden_state=places)), torch.tensor([[5.5, 17.5]]))
