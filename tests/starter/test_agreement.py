"""Metrics against the truth: the defaults agree, and what does not is seen not to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from limner.core.metrics import DEFAULTS, Gallery, Item
from limner.plugins import registry
from limner.starter.exam import agreement
from limner.starter.exam import agreement_cases as trials
from limner.starter.exam.agreement import among, measure
from limner.starter.exam.agreement_cases import MAKERS, Easel, Trial
from limner.stats.intervals import correlation

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
NAMED = {"preference", "aesthetic"}
"""Which no machine has without a download."""


@pytest.fixture(scope="session")
def found(tmp_path_factory, starter):
    easel = Easel(tmp_path_factory.mktemp("easel"))
    return [line for make in MAKERS for line in measure(make(easel, 4))]


def test_every_metric_is_held_against_a_truth_and_agrees_on_few_pictures(tmp_path, starter):
    easel = Easel(tmp_path)
    sizes = {make: 4 if make is trials.mixed_sets else 2 for make in MAKERS}  # FID needs 16 pictures
    few = [line for make, size in sizes.items() for line in measure(make(easel, size))]
    assert {line.metric for line in few} == set(registry.metrics.names()) - NAMED
    assert all(line.correlation > 0.5 and 0.2 < line.low < line.correlation < line.high for line in few), few


@pytest.mark.slow
def test_metrics_agree_with_the_truth(found):
    assert {line.metric for line in found} == set(registry.metrics.names()) - NAMED
    for line in found:
        assert line.correlation > 0.5 and line.low > 0.2 and line.n >= 20, line


@pytest.mark.slow
def test_defaults_agree_with_the_truth(found):
    assert set(DEFAULTS) <= {line.metric for line in found if line.correlation >= 0.3}
    assert not any(registry.metrics.get(name).named for name in DEFAULTS)


def test_no_agreement_is_seen(tmp_path):
    easel = Easel(tmp_path)
    trial = trials.blurred(easel, 4)
    shuffled = np.random.default_rng(0).permutation(trial.known).tolist()
    for line in measure(Trial(trial.metrics, "chance", trial.galleries, tuple(shuffled))):
        assert abs(line.correlation) < 0.35 and line.low < 0 < line.high


def test_what_falls_is_turned(tmp_path):
    trial = trials.blurred(Easel(tmp_path), 2)
    plain = measure(trial)
    turned = measure(Trial(trial.metrics, trial.truth, trial.galleries, trial.known, falls=("sharpness",)))
    assert turned[0].correlation == pytest.approx(-plain[0].correlation) and turned[1] == plain[1]


def test_within_blocks_only_what_parts_from_their_mean_counts():
    values, blocks = np.array([1.0, 10.0, 2.0, 12.0]), (0, 1, 0, 1)
    assert among(values, blocks).tolist() == [-0.5, -1.0, 0.5, 1.0]
    level = np.array([100.0, 0.0, 101.0, 1.0])
    assert correlation(values, level)[0] < 0 < correlation(among(values, blocks), among(level, blocks))[0]


def test_the_pictures_of_a_trial_are_always_the_same(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    first, second = (trials.characters(Easel(tmp_path / name), 1) for name in ("one", "other"))
    assert first.known == second.known
    for one, other in zip(first.galleries[0].pictures, second.galleries[0].pictures, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_altered_scenes_differ_in_so_many_attributes():
    import random

    from limner.starter.painter import random_scene

    rng = random.Random(5)
    for wrong in range(4):
        scene = random_scene(rng)
        other = trials._altered(scene, wrong, rng)
        told = ("place", "style", "light", "breed", "pose", "extra", "colour")
        assert sum(getattr(scene, name) != getattr(other, name) for name in told) == wrong


def test_the_command(starter, limner, tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "SIZE", 1)
    monkeypatch.setattr(trials, "WAYS", ((1.5, 1), (3.0, 2)))
    monkeypatch.setattr(trials, "MAKERS", (trials.blurred,))
    printed = limner("starter", "agreement", "--out", tmp_path / "out").out
    assert "sharpness" in printed and "rank correlation" in printed
    told = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert [line["metric"] for line in told["agreement"]] == [
        *["prompt_fidelity"] * 2,
        *("sharpness", "edge_density", "frequency"),
    ]
    assert (tmp_path / "out" / "agreement.md").read_text().startswith("| metric |")


def test_a_model_that_is_not_there_is_one_line(limner, tmp_path):
    said = limner("starter", "agreement", "--model", "./no-such", "--out", tmp_path / "out")
    assert said.code == 2 and "no-such" in said.error


def test_the_page_tells_every_metric_and_the_defaults():
    page = DOCS.read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(told) == registry.metrics.names()
    marked = re.findall(r"^\| `(\w+)` \|.*\| yes \|$", page, re.MULTILINE)
    assert sorted(marked) == sorted(DEFAULTS)
    measured = re.findall(r"^\| ([a-z ]+) \| *(yes|) *\| .* \| \d+ \| (-?\d\.\d\d) \|", page, re.MULTILINE)
    assert {name.replace(" ", "_") for name, _, _ in measured} == set(registry.metrics.names()) - NAMED
    poor = {name.replace(" ", "_") for name, _, value in measured if abs(float(value)) < 0.3}
    assert not poor & set(DEFAULTS)
    assert {name.replace(" ", "_") for name, default, _ in measured if default} == set(DEFAULTS)


def test_scores_of_a_metric_need_its_gallery(tmp_path):
    trial = Trial(("sharpness",), "nothing", (Gallery((Item(tmp_path / "absent.png"),)),), (1.0,))
    with pytest.raises(ValueError, match=r"absent\.png"):
        measure(trial)
