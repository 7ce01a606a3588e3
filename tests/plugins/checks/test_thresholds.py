"""Thresholds of classifiers: the label furthest above its threshold is the category."""

from __future__ import annotations

import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import classifiers
from limner.core.errors import LimnerError
from limner.models import classifiers as loading
from limner.models.classifiers import check_labels, finding
from limner.plugins.checks.classifier import plugin

LABELS = {0: "fine", 1: "rude", 2: "cruel"}


def model(several: bool) -> Any:
    kind = "multi_label_classification" if several else "single_label_classification"
    return SimpleNamespace(config=SimpleNamespace(id2label=LABELS, problem_type=kind))


def logits(*rows: tuple[float, ...]) -> torch.Tensor:
    """Logits whose sigmoid gives these scores."""
    return torch.tensor([[math.log(score / (1 - score)) for score in row] for row in rows])


def test_a_score_refuses_from_its_threshold_on() -> None:
    scores = logits((0.1, 0.5, 0.2))
    assert finding(model(True), scores, {"rude": 0.5}).category == "rude"
    found = finding(model(True), scores, {"rude": math.nextafter(0.5, 1)})
    assert (found.category, found.score) == (None, 0.5)


def test_the_label_furthest_above_its_threshold_is_the_category() -> None:
    scores = logits((0.1, 0.9, 0.4))
    found = finding(model(True), scores, {"rude": 0.8, "cruel": 0.2})
    assert (found.category, found.score) == ("cruel", pytest.approx(0.4))
    assert finding(model(True), scores, {"rude": 0.95, "cruel": 0.5}).category is None
    assert finding(model(True), scores, {"rude": 0.89, "cruel": 0.5}).category == "rude"


def test_the_highest_score_of_all_parts_is_used() -> None:
    scores = logits((0.1, 0.2, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.1))
    found = finding(model(True), scores, {"rude": 0.7})
    assert (found.category, found.score) == ("rude", pytest.approx(0.8))


def test_single_label_scores_use_softmax() -> None:
    found = finding(model(False), torch.log(torch.tensor([[2.0, 1.0, 1.0]])), {"rude": 0.25, "cruel": 0.5})
    assert (found.category, found.score) == ("rude", pytest.approx(0.25))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_raise(wrong: float) -> None:
    with pytest.raises(ValueError, match="are not finite numbers"):
        finding(model(False), torch.tensor([[0.0, wrong, 0.0]]), {"rude": 0.5})


def test_thresholds_need_known_labels() -> None:
    check_labels(model(True), "x", {"rude": 0.5})
    with pytest.raises(LimnerError, match="knows no label 'mean'; choose from: fine, rude, cruel"):
        check_labels(model(True), "x", {"mean": 0.5})


def test_pieces_of_a_long_text_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So every short phrase is complete in one of them."""
    seen, load = list[torch.Tensor](), loading.load_model

    def watched(*arguments: Any) -> Any:
        model = load(*arguments)
        model.register_forward_pre_hook(lambda _, __, named: seen.append(named["input_ids"]), with_kwargs=True)
        return model

    monkeypatch.setattr(loading, "load_model", watched)
    options = plugin.Options(model=str(classifiers.text_classifier(tmp_path / "model")), refuse={"toxic": 0.5})
    judge = plugin.ready(options)
    seen.clear()
    words = random.Random(0).choices(("a", "cat", "on", "the", "beach"), k=80)
    assert judge(" ".join(words)).category is None
    first, second, third = torch.cat(seen).tolist()
    assert [first[-4:], second[-4:]] == [second[:4], third[:4]] and len(first) == 32
