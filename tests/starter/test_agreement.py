"""Agreement of metrics with the truth: the defaults agree, and missing agreement is found."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from limner.core.metrics import DEFAULTS, ImageSet, ScoredImage
from limner.plugins import registry
from limner.starter.exam import agreement
from limner.starter.exam import agreement_cases as cases
from limner.starter.exam.agreement import measure_case, subtract_group_means
from limner.starter.exam.agreement_cases import CASES, AgreementCase, ImageWriter
from limner.starter.painter import random_scene
from limner.stats.intervals import correlation

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
NAMED = {"preference", "aesthetic"}
"""Metrics that need a download."""


@pytest.fixture(scope="session")
def found(tmp_path_factory, starter):
    writer = ImageWriter(tmp_path_factory.mktemp("writer"))
    return [line for case in CASES for line in measure_case(case(writer, 4))]


def test_every_metric_agrees_with_a_truth_on_few_images(tmp_path, starter):
    writer = ImageWriter(tmp_path)
    sizes = {case: 4 if case is cases.mixed_sets else 2 for case in CASES}  # FID needs 16 images
    few = [line for case, size in sizes.items() for line in measure_case(case(writer, size))]
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


def test_missing_agreement_is_found(tmp_path):
    writer = ImageWriter(tmp_path)
    case = cases.blurred(writer, 4)
    shuffled = np.random.default_rng(0).permutation(case.values).tolist()
    for line in measure_case(AgreementCase(case.metrics, "chance", case.image_sets, tuple(shuffled))):
        assert abs(line.correlation) < 0.35 and line.low < 0 < line.high


def test_falling_values_are_negated(tmp_path):
    case = cases.blurred(ImageWriter(tmp_path), 2)
    plain = measure_case(case)
    turned = measure_case(AgreementCase(case.metrics, case.truth, case.image_sets, case.values, falling=("sharpness",)))
    assert turned[0].correlation == pytest.approx(-plain[0].correlation) and turned[1] == plain[1]


def test_in_groups_only_differences_from_the_mean_count():
    values, groups = np.array([1.0, 10.0, 2.0, 12.0]), (0, 1, 0, 1)
    assert subtract_group_means(values, groups).tolist() == [-0.5, -1.0, 0.5, 1.0]
    level = np.array([100.0, 0.0, 101.0, 1.0])
    assert correlation(values, level)[0] < 0
    assert correlation(subtract_group_means(values, groups), subtract_group_means(level, groups))[0] > 0


def test_the_images_of_a_case_are_always_the_same(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    first, second = (cases.characters(ImageWriter(tmp_path / name), 1) for name in ("one", "other"))
    assert first.values == second.values
    for one, other in zip(first.image_sets[0].paths, second.image_sets[0].paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_altered_scenes_differ_in_the_given_number_of_attributes():
    rng = random.Random(5)
    for wrong in range(4):
        scene = random_scene(rng)
        other = cases._altered(scene, wrong, rng)
        names = ("place", "style", "light", "breed", "pose", "extra", "colour")
        assert sum(getattr(scene, name) != getattr(other, name) for name in names) == wrong


def test_the_command(starter, limner, tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "SIZE", 1)
    monkeypatch.setattr(cases, "SETTINGS", ((1.5, 1), (3.0, 2)))
    monkeypatch.setattr(cases, "CASES", (cases.blurred,))
    printed = limner("starter", "agreement", "--out", tmp_path / "out").out
    assert "sharpness" in printed and "rank correlation" in printed
    listed = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert [line["metric"] for line in listed["agreement"]] == [
        *["prompt_fidelity"] * 2,
        *("sharpness", "edge_density", "frequency"),
    ]
    assert (tmp_path / "out" / "agreement.md").read_text().startswith("| metric |")


def test_a_missing_model_is_an_error_of_one_line(limner, tmp_path):
    said = limner("starter", "agreement", "--model", "./no-such", "--out", tmp_path / "out")
    assert said.code == 2 and "no-such" in said.error


def test_the_page_lists_every_metric_and_the_defaults():
    page = DOCS.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == registry.metrics.names()
    marked = re.findall(r"^\| `(\w+)` \|.*\| yes \|$", page, re.MULTILINE)
    assert sorted(marked) == sorted(DEFAULTS)
    measured = re.findall(r"^\| ([a-z ]+) \| *(yes|for adapters|) *\| .* \| \d+ \| (-?\d\.\d\d) \|", page, re.MULTILINE)
    assert {name.replace(" ", "_") for name, _, _ in measured} == set(registry.metrics.names()) - NAMED
    poor = {name.replace(" ", "_") for name, _, value in measured if abs(float(value)) < 0.3}
    assert not poor & set(DEFAULTS)
    assert {name.replace(" ", "_") for name, default, _ in measured if default == "yes"} == set(DEFAULTS)


def test_metrics_need_the_images_of_a_case(tmp_path):
    case = AgreementCase(("sharpness",), "nothing", (ImageSet((ScoredImage(tmp_path / "absent.png"),)),), (1.0,))
    with pytest.raises(ValueError, match=r"absent\.png"):
        measure_case(case)
