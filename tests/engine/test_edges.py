"""Numbers from which on something is claimed, each tried on both of its sides, and what is claimed."""

from __future__ import annotations

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
from limner.engine.compare.blind_page import chosen_pairs, plain
from limner.engine.compare.differences import Difference, differences
from limner.engine.compare.ranking import ranked
from limner.engine.evaluate import subject as subjects
from limner.engine.evaluate.group_scores import gap_told
from limner.engine.evaluate.result import Evaluated
from limner.engine.evaluate.subject import Subject, subject_of
from limner.engine.generate.parts import GenerationPart, _missing, same_settings
from limner.engine.scoring.encoders import _summary
from limner.engine.scoring.scorers import Scorers, parts, told
from limner.engine.sweep.best_guidance import lowest_enough, sweet_spot
from limner.engine.sweep.result import Swept
from limner.engine.sweep.verdict import verdict
from limner.stats.group_fairness import Fairness, Group, fairness


def scored(values, better="higher", unit="picture", metric="prompt_fidelity", title="fidelity"):
    values = tuple(float(value) for value in values)
    return MetricResult(metric, title, better, unit, None, float(np.mean(values)), 0.0, 0.0, values)


# Differences


def difference(low, high, count=6, better="higher", mean=None):
    mean = (low + high) / 2 if mean is None else mean
    return Difference("f", "fidelity", better, "first", "other", mean, low, high, count, "pairs")


@pytest.mark.parametrize(("count", "shown"), [(5, False), (6, True), (7, True)])
def test_a_difference_takes_six_pairs(count, shown):
    assert difference(0.1, 0.2, count).shown == shown
    assert ("too few to tell" in difference(0.1, 0.2, count).figures) != shown


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
def test_the_winner_is_whom_the_interval_leaves_on_the_better_side(low, high, better, winner):
    assert difference(low, high, better=better).winner == winner


def test_differences_are_of_the_others_to_the_first():
    found = differences({"a": {"f": scored([1, 2, 3])}, "b": {"f": scored([2, 4, 6])}})
    assert [(each.first, each.other, each.mean, each.count) for each in found] == [("a", "b", 2.0, 3)]


# Fairness


def test_the_gap_and_how_rare_it_is_by_hand():
    """Of groups of three that do not overlap, 2 of the 20 ways to deal out six values part as far."""
    found = fairness("f", {"a": [1.0, 2.0, 3.0], "b": [11.0, 12.0, 13.0]})
    assert (found.best, found.worst, found.gap) == ("b", "a", 10.0)
    assert found.least == pytest.approx(0.1) and found.chance == pytest.approx(0.1, abs=0.02)
    assert found.few and not found.shown


def test_the_interval_of_the_gap_is_the_basic_bootstraps():
    """Twice the gap less the upper quantile of resampled gaps, by a generator of our own."""
    rng = np.random.default_rng(9)
    one, other = rng.lognormal(size=12), rng.lognormal(size=12) + 2
    drawn = other[rng.integers(12, size=(20_000, 12))].mean(1) - one[rng.integers(12, size=(20_000, 12))].mean(1)
    low, high = np.quantile(np.abs(drawn), (0.025, 0.975))
    found, gap = fairness("f", {"a": one.tolist(), "b": other.tolist()}), other.mean() - one.mean()
    assert (found.low, found.high) == pytest.approx((2 * gap - high, 2 * gap - low), abs=0.1)
    assert abs((2 * gap - high) - low) > 0.3, "the percentile interval would be another"


def test_a_gap_as_it_is_counts_as_one_of_the_draws():
    """So that chance is never said to be none: of 2,000 draws at least one in 2,001."""
    found = fairness("f", {"a": np.arange(30.0).tolist(), "b": (100 + np.arange(30.0)).tolist()})
    assert found.chance == pytest.approx(1 / 2001)


@pytest.mark.parametrize(("chance", "shown"), [(0.049, True), (0.05, False), (0.051, False)])
def test_what_chance_hardly_explains(chance, shown):
    groups = (Group("a", 9, 0.5, 0.4, 0.6), Group("b", 9, 0.75, 0.7, 0.8))
    found = Fairness("f", groups, "b", "a", 0.25, 0.1, 0.4, chance, 0.001)
    assert found.shown == shown and not found.few
    said = "hardly explains" if shown else "may explain"
    assert gap_told("fidelity", found) == (
        f"fidelity is 0.75 for b and 0.50 for a; chance {said} this gap of 0.25 [0.10, 0.40]"
    )


@pytest.mark.parametrize(("least", "few"), [(0.049, False), (0.05, True), (0.051, True)])
def test_what_is_too_few(least, few):
    groups = (Group("a", 4, 0.5, 0.4, 0.6), Group("b", 3, 0.75, 0.7, 0.8))
    found = Fairness("f", groups, "b", "a", 0.25, 0.1, 0.4, 0.2, least)
    assert found.few == few and ("too few to tell" in gap_told("fidelity", found)) == few


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
    return Evaluated(request, "starter", "", "", ImageSet(items), None, scores)


def test_pictures_are_ranked_from_the_best_by_the_first_metric_that_says_so():
    sharp = scored([3, 1, 2], metric="sharpness")
    assert evaluated({"clipping": scored([1, 2, 3], "lower"), "sharpness": sharp}).ranked == ("sharpness", [0, 2, 1])
    subject = scored([0.1, 0.3, 0.2], metric="subject_fidelity=x")
    assert evaluated({"sharpness": sharp, "subject_fidelity=x": subject}).ranked == ("subject_fidelity=x", [1, 2, 0])
    assert evaluated({"clipping": scored([1, 2, 3], "lower")}).ranked is None


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
            return lambda gallery: np.array([float(np.sum([int(p.stem) ** 2 for p in gallery.pictures]))])
        return lambda gallery: np.arange(len(gallery.items))


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_single_group_has_an_interval_from_four_pictures_on(monkeypatch, count):
    from limner.engine.scoring import scorers

    monkeypatch.setattr(scorers.metrics, "get", lambda name: Counted("group"))
    gallery = ImageSet(tuple(ScoredImage(Path(f"{i}.png")) for i in range(count)))
    (found,) = Scorers([MetricUse(name="counted")]).score(gallery).values()
    assert found.mean == sum(i**2 for i in range(count))
    assert np.isfinite(found.low) == (count >= 4)
    if count >= 4:
        left = np.array([found.mean - i**2 for i in range(count)])
        error = ((count - 1) / count * ((left - left.mean()) ** 2).sum()) ** 0.5
        assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error))
    assert ("low" in told({"counted": found})["counted"]) == (count >= 4)


def test_the_base_models_pictures_stay_with_their_items():
    items, base = (tuple(ScoredImage(Path(f"{name}{i}.png")) for i in range(3)) for name in "ab")
    found = parts(ImageSet(items, (Path("r"),), (Path("t"),), base), [2, 0])
    assert (found.items, found.base) == ((items[2], items[0]), (base[2], base[0]))
    assert (found.references, found.training) == ((Path("r"),), (Path("t"),))


# Guidance


def test_the_sweet_spot_is_not_measurably_below_any_higher_one():
    base = np.linspace(0, 1, 8)
    rising = [base, base + 0.1, base + 0.2]
    assert lowest_enough(rising) == 2
    assert lowest_enough([base, base - 0.1, base - 0.2]) == 0
    assert lowest_enough([base, base, base + 0.1]) == 2, "also not below the last one"
    noisy = base + 0.1 + np.array([1, -1] * 4)
    assert lowest_enough([base, noisy]) == 0, "higher on average, by nothing that could be measured"


def swept(values, seeds=4, axis="guidance=1,5,9", metric="prompt_fidelity", better="higher", **more):
    request = SweepRequest.model_validate(
        {"prompt": ["a cat"], "axis": [axis], "seeds": seeds, "metric": [metric, *more]}
    )
    scores = [
        {metric: scored(row, better)} | {name: scored(rows[cell], better) for name, rows in more.items()}
        for cell, row in enumerate(values)
    ]
    return Swept(request, [{} for _ in values], scores)


RISING = [np.full(4, 0.1) + 0.01 * np.arange(4), np.full(4, 0.5) + 0.01 * np.arange(4), np.full(4, 0.5)]


def test_the_sweet_spot_of_a_sweep():
    found = sweet_spot(swept(RISING))
    assert found is not None and found.value == "5"
    turned = sweet_spot(swept(RISING[::-1], axis="guidance=9,5,1"))
    assert turned is not None and turned.value == "5", "from the lowest on, however they were typed"
    assert sweet_spot(swept([row[:3] for row in RISING], seeds=3)) is None, "three pictures each tell nothing"
    assert sweet_spot(swept(RISING[:1], axis="guidance=1")) is None
    assert sweet_spot(swept(RISING, axis="steps=1,5,9")) is None


def test_the_sweet_spot_of_guidance_of_two_digits():
    """10 comes after 9, though not as a text."""
    found = sweet_spot(swept([RISING[0], RISING[1], RISING[1] + 0.2], axis="guidance=2,9,10"))
    assert found is not None and found.value == "10" and "It is the highest that was tried" in found.reason


@pytest.mark.parametrize(("better", "best"), [("higher", "9"), ("lower", "1")])
def test_the_verdict_names_the_value_on_the_better_side(better, best):
    rows = [np.arange(4.0), np.arange(4.0) + 5, np.arange(4.0) + 9]
    said = verdict(swept(rows, axis="steps=1,5,9", metric="sharpness", better=better))
    assert said.startswith(f"Of steps, {best} has the best fidelity, measurably better than all others: {best} ")
    few = verdict(swept([row[:3] for row in rows], 3, "steps=1,5,9", "sharpness", better))
    assert few.startswith("Too few pictures")


def test_a_curve_is_in_the_axis_own_order():
    request = SweepRequest.model_validate({"prompt": ["a"], "axis": ["guidance=1,2", "seed=3,4"], "seeds": 1})
    scores = [{"f": scored([value])} for value in (1, 2, 3, 4)]
    found = Swept(request, [{}] * 4, scores)
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
    many = ranked(KEY, ballots)
    assert [rank.contestant for rank in many.ranks] == ["red", "blue"] and many.verdict.startswith("People prefer red")
    assert (many.votes, many.ballots, many.left, many.prior) == (80, 2, 0.5, 1.0)
    assert (many.ranks[0].wins, many.ranks[0].ties, many.ranks[0].losses) == (80, 0, 0)
    assert many.ranks[0].elo - many.ranks[1].elo == pytest.approx(400 * np.log10(80.5 / 0.5), abs=0.01)
    assert many.lead[0] == pytest.approx(many.ranks[0].elo - many.ranks[1].elo)


def test_the_intervals_of_a_ranking_are_of_95_percent():
    """Of two, 30 votes to 10: drawn anew as a binomial share, by a generator of our own."""
    choices = ["left" if (n % 2 == 0) == (n < 30) else "right" for n in range(40)]
    (red, blue), won = ranked(KEY, [votes(choices)]).ranks, 30.5 / 41
    drawn = np.random.default_rng(8).binomial(40, won, 20_000)
    low, high = np.quantile(200 * np.log10((drawn + 0.5) / (40 - drawn + 0.5)), (0.025, 0.975))
    assert (red.wins, red.losses) == (30, 10)
    assert (red.low - 1000, red.high - 1000) == pytest.approx((low, high), abs=6)
    assert (blue.high - 1000, blue.low - 1000) == pytest.approx((-low, -high), abs=6)


def test_a_tie_is_half_a_win_and_no_side():
    found = ranked(KEY, [votes(["left", "tie", "tie", "right"])])
    by = {rank.contestant: rank for rank in found.ranks}
    assert found.left == 0.5
    assert [(by[n].wins, by[n].ties, by[n].losses, by[n].preferred) for n in ("red", "blue")] == [
        (2, 2, 0, 0.75),
        (0, 2, 2, 0.25),
    ]


@pytest.mark.parametrize(("count", "claimed"), [(5, False), (6, True)])
def test_nothing_is_claimed_of_five_votes(monkeypatch, count, claimed):
    from limner.engine.compare import ranking

    found = ranked(KEY, [votes(["left", "right"] * 20)])
    said = ranking._verdict(found.ranks, (200.0, 50.0, 300.0), count)
    assert said.startswith("People prefer red" if claimed else "No difference shown")
    assert ranking._verdict(found.ranks, (200.0, 0.0, 300.0), 80).startswith("No difference shown")


def test_every_two_contestants_meet_about_equally_often_and_on_both_sides():
    cells = [(f"p{n}", n) for n in range(30)]
    pairs = chosen_pairs(3, cells, 45, 1)
    met = {}
    for pair in pairs:
        assert (pair.prompt, pair.seed) in cells and pair.left != pair.right
        met.setdefault(frozenset((pair.left, pair.right)), []).append(pair.left < pair.right)
    assert [len(sides) for sides in met.values()] == [15] * 3 and all(2 < sum(sides) < 13 for sides in met.values())
    assert len({(pair.prompt, frozenset((pair.left, pair.right))) for pair in pairs}) == 45, "no pair twice"
    assert len(chosen_pairs(3, cells, 1000, 1)) == 90 and chosen_pairs(3, cells, 45, 2) != pairs


def test_made_up_words_are_left_out_of_prompts():
    assert plain("a photo of SKS dog, sksy", ["sks"]) == "a photo of dog, sksy"
    assert plain("sks", ["sks"]) == "sks"


# Standings


def test_patience_counts_what_came_after_the_best():
    base = StepScores(step=0, subject=(0.2,), prompt=(0.5,))
    found = CheckpointScores(prompts=("a",), encoder="x", weight=0.25, alike=0.6, strange=0.1, base=base)
    assert found.waited == 0
    for step, subject in ((1, 0.4), (2, 0.5), (3, 0.3), (4, 0.3)):
        found = found.plus(StepScores(step=step, subject=(subject,), prompt=(0.3,)))
    assert found.best.step == 2 and found.waited == 2
    assert found.balance(found.best) == pytest.approx(0.25 * (0.3 / 0.4) + 0.75 * (0.2 / 0.4))


@pytest.mark.parametrize(("strange", "blind"), [(0.47, False), (0.479, False), (0.481, True), (0.6, True)])
def test_an_encoder_is_blind_below_two_hundredths(strange, blind):
    base = StepScores(step=0, subject=(0.2,), prompt=(0.5,))
    assert CheckpointScores(prompts=("a",), encoder="x", weight=1, alike=1, strange=strange, base=base).blind == blind


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


def test_a_subject_is_put_by_its_name_or_plainly():
    assert Subject("sks", "dog").put("a photo of {}") == "a photo of sks dog"
    assert Subject("sks", "dog").put("a photo of {}", plain=True) == "a photo of dog"
    assert Subject("sks", None).put("a photo of {}", plain=True) == "a photo of sks"
    assert Subject(None, None).put("a beach") == "a beach"
    with pytest.raises(LimnerError, match="asks for a subject, and none is known; give --class"):
        Subject(None, None).put("a photo of {}")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ("sks", "dog")),
        ({"identifier": "zwx"}, ("zwx", "dog")),
        ({"class_word": "cat"}, ("sks", "cat")),
        ({"identifier": "zwx", "class_word": "cat"}, ("zwx", "cat")),
    ],
)
def test_what_is_asked_for_overrules_what_an_adapter_learnt(monkeypatch, fields, found):
    learnt = SimpleNamespace(identifier="sks", class_word="dog")
    monkeypatch.setattr(subjects, "open_adapter", lambda path: None)
    monkeypatch.setattr(subjects, "training_of", lambda adapter: (learnt, None))
    asked = SimpleNamespace(**{"identifier": None, "class_word": None} | fields)
    assert subject_of(asked, SimpleNamespace(adapter=(SimpleNamespace(path="x"),))) == Subject(*found)
    unknown = SimpleNamespace(identifier=None, class_word="cat")
    assert subject_of(unknown, SimpleNamespace(adapter=())) == Subject(None, "cat")


# What a comparison shows


def compared(count, entrants=2, scores=None, **fields):
    plain = {"steps": None, "guidance": None, "scheduler": None, "seed": 7, "count": count, "prompt": ("a", "b", "c")}
    return SimpleNamespace(
        request=SimpleNamespace(**plain | fields), entrants=[None] * entrants, scores=scores, differences=()
    )


def test_up_to_three_contestants_are_shown_with_two_seeds_each():
    assert [report.shown_seeds(compared(5, entrants)) for entrants in (2, 3, 4)] == [[7, 8], [7, 8], [7]]
    assert report.shown_seeds(compared(1)) == [7]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "each model's own steps and guidance"),
        ({"guidance": 0.0, "steps": 4}, "4 steps, guidance 0"),
        ({"scheduler": "euler", "guidance": 2.5}, "guidance 2.5, sampler euler, each model's own steps"),
    ],
)
def test_settings_that_were_given_are_told_be_they_zero(fields, told):
    assert report.settings(compared(1, **fields)) == told


@pytest.mark.parametrize("count", [5, 6])
def test_prompts_are_ordered_by_how_far_the_contestants_part(monkeypatch, count):
    """With an interval from six seeds each on; of fewer it would say more than is known."""
    drawn = []
    monkeypatch.setattr(report, "forest", lambda lines, across: drawn.extend(lines) or across)
    base = np.arange(3.0 * count)
    moved = base + np.repeat([0.1, -0.5, 0.9], count) + np.tile(np.linspace(-0.01, 0.01, count), 3)
    scores = {"one": {"f": scored(base)}, "two": {"f": scored(moved)}}
    assert report._prompts_plot(compared(count, scores=scores)) == "fidelity, two minus one"
    assert [(line.name, round(line.mean, 6)) for line in drawn] == [("c", 0.9), ("a", 0.1), ("b", -0.5)]
    assert [line.strong for line in drawn] == [count == 6] * 3
    assert [bool(np.isfinite(line.low)) for line in drawn] == [count == 6] * 3
    assert report._prompts_plot(compared(count, 3, scores)) is None


# What encoders say


def test_a_vision_networks_first_token_stands_for_the_picture():
    tokens, places = torch.arange(24.0).reshape(2, 3, 4), torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(_summary(SimpleNamespace(last_hidden_state=tokens)), tokens[:, 0])
    assert torch.equal(_summary(SimpleNamespace(last_hidden_state=places)), torch.tensor([[5.5, 17.5]]))
