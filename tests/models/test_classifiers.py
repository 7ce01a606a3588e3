"""Scores of classifiers are compared with thresholds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from limner.core.errors import LimnerError
from limner.core.moderation import Finding
from limner.models.classifiers import check_labels, finding, load_model


def model_of(*labels: str, kind: str | None = None) -> Any:
    return SimpleNamespace(config=SimpleNamespace(id2label=dict(enumerate(labels)), problem_type=kind))


def test_one_label_or_several_at_once_are_scored_by_themselves() -> None:
    """By the logistic function; labels that exclude each other by a softmax."""
    zero = torch.zeros(1, 2)
    assert finding(model_of("bad"), zero[:, :1], {"bad": 0.6}) == Finding(None, 0.5)
    assert finding(model_of("bad"), zero[:, :1], {"bad": 0.5}) == Finding("bad", 0.5)
    several = model_of("bad", "worse", "good", kind="multi_label_classification")
    assert finding(several, torch.zeros(1, 3), {"worse": 0.5}) == Finding("worse", 0.5)
    assert finding(model_of("bad", "good", "x", "y"), torch.zeros(1, 4), {"bad": 0.5}) == Finding(None, 0.25)


def test_only_labels_with_a_threshold_refuse() -> None:
    logits = torch.tensor([[0.0, 9.0, -9.0]])
    model = model_of("bad", "good", "worse", kind="multi_label_classification")
    assert finding(model, logits, {"bad": 0.4, "worse": 0.9}) == Finding("bad", 0.5)


def test_a_score_that_is_no_number_is_an_error_even_of_a_label_without_a_threshold() -> None:
    model = model_of("bad", "good", kind="multi_label_classification")
    with pytest.raises(ValueError, match="not finite numbers"):
        finding(model, torch.tensor([[0.0, float("nan")]]), {"bad": 0.5})


def test_labels_are_checked_and_tensors_must_be_complete() -> None:
    check_labels(model_of("bad"), "x", {"bad": 0.5})
    with pytest.raises(LimnerError, match="'x' knows no label 'worse'; choose from: bad"):
        check_labels(model_of("bad"), "x", {"bad": 0.5, "worse": 0.5})
    for missing in ({"missing_keys": ["a"], "mismatched_keys": []}, {"missing_keys": [], "mismatched_keys": [("a",)]}):
        kind: Any = SimpleNamespace(from_pretrained=lambda *given, info=missing, **named: (None, info))
        with pytest.raises(LimnerError, match="is not a complete classifier: it has no 'a'"):
            load_model(kind, "x")
