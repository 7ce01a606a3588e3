"""Requests to improve: which feedback they name, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from limner.core.errors import invalid
from limner.core.requests import ImproveRequest, references_of, replace_references
from limner.core.requests.feedback_selection import FeedbackSelection


def asked(**fields: Any) -> ImproveRequest:
    return ImproveRequest.model_validate({"target": "rex"} | fields)


def refused(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        asked(**fields)
    return str(invalid(caught.value))


def test_its_conditions_are_a_selection() -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)
    request = asked(source="pairs", industry="food", subject="cake", account="ann", since=since)
    assert request.selection == FeedbackSelection(industry="food", subject="cake", account="ann", since=since)
    assert asked().selection == FeedbackSelection()
    assert set(FeedbackSelection.model_fields) < set(ImproveRequest.model_fields)


@pytest.mark.parametrize("source", ["ratings", "pairs"])
def test_a_word_stays_a_word_where_files_are_renamed(source: str) -> None:
    request = asked(source=source, references="photos")
    assert references_of(request) == [("model", "rex"), ("pictures", "photos")]
    assert replace_references(request, "/here/{}".format).source == source
    assert replace_references(asked(source="f.jsonl"), "/here/{}".format).source == "/here/f.jsonl"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": "m+a+b"}, "'m+a+b' has 2 adapters; improve one at a time"),
        ({"target": "rex:0.5"}, "'rex:0.5' has a weight; leave it out"),
        ({"source": "f.jsonl", "industry": "food"}, "industry selects recorded feedback, but the feedback is a file"),
        ({"source": "f.jsonl", "until": "2026-01-01T00:00"}, "until selects recorded feedback"),
        ({"since": "2026-01-02T00:00", "until": "2026-01-02T00:00"}, "is not before until"),
        ({"prompt": ["a", " "]}, "a prompt is empty"),
        ({"prompt": ["a", "b", "a"]}, "'a' is given twice"),
        ({"lesson": "dpo"}, "lesson 'dpo'"),
        ({"source": ""}, "source"),
        ({"account": "a" * 201}, "account"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], message: str) -> None:
    assert message in refused(**fields)


def test_an_adapter_with_its_model_or_of_weight_one_is_taken() -> None:
    assert str(asked(target="m+rex").target) == "m+rex" and str(asked(target="rex:1").target) == "rex"


def test_images_are_generated_alike_for_both_versions() -> None:
    trial = asked(count=3, seed=7, steps=500, precision="bf16").trial(["a", "b"])
    assert (trial.prompt, trial.count, trial.seed, trial.precision) == (("a", "b"), 3, 7, "bf16")
    assert trial.steps is None, "steps of the training are not those of an image"
