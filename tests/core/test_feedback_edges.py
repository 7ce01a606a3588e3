"""What may be said of pictures, and how they are looked up, at the edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel, ValidationError

from limner.core.feedback import Comparison, GeneratedImage, ImageQuery, Rating, Reason
from limner.core.requests import GenerateRequest


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Rating, {"stars": 1}),
        (Rating, {"stars": 5, "comment": "x" * 2000, "reasons": [reason.value for reason in Reason]}),
        (Comparison, {"better": 1, "worse": 2}),
        (ImageQuery, {"limit": 1, "at_least": 1, "at_most": 5}),
        (ImageQuery, {"limit": 1000, "collection": 1, "before": 2**31 - 1, "unrated": True}),
    ],
)
def test_what_can_be_said(model: type[BaseModel], body: dict[str, object]) -> None:
    said = model.model_validate(body)
    assert model.model_validate_json(said.model_dump_json()) == said


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        (Rating, {"stars": 0}, "stars"),
        (Rating, {"stars": 6}, "stars"),
        (Rating, {"stars": 3, "comment": "x" * 2001}, "comment"),
        (Rating, {"stars": 3, "reasons": ["ugly"]}, "reasons"),
        (ImageQuery, {"limit": 0}, "limit"),
        (ImageQuery, {"limit": 1001}, "limit"),
        (ImageQuery, {"at_least": 0.9}, "at_least"),
        (ImageQuery, {"at_most": 5.1}, "at_most"),
        (ImageQuery, {"before": 0}, "before"),
        (ImageQuery, {"before": 2**31}, "before"),
    ],
)
def test_what_is_beyond_an_edge_names_its_field(model: type[BaseModel], body: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert [error["loc"][0] for error in caught.value.errors()] == [field]


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="image 7 is compared with itself"):
        Comparison(better=7, worse=7)
    for name in ("at_least", "at_most"):
        with pytest.raises(ValidationError, match=f"unrated images have no rating {name} 3"):
            ImageQuery.model_validate({"unrated": True, name: 3})


def test_reasons_are_each_said_once_and_in_one_order() -> None:
    said = Rating(stars=1, reasons=(Reason.UNSAFE, Reason.BLURRED, Reason.UNSAFE))
    assert said.reasons == (Reason.BLURRED, Reason.UNSAFE)


def test_a_time_without_a_zone_is_of_utc_and_another_is_brought_there() -> None:
    plain = ImageQuery.model_validate({"since": "2026-01-02T03:04:05"})
    assert plain.since == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    east = ImageQuery(until=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))))
    assert east.until == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC) and east.until.tzinfo is UTC


def test_a_recorded_fact_counts_before_what_was_asked() -> None:
    fields = {"id": 1, "run": "r1", "path": "/x/1.png", "sha256": "0" * 64, "reference": None, "owner": "", "tags": {}}
    fields |= {"mean": None, "ratings": 0, "mine": None, "favourite": False, "created": datetime.now(UTC)}
    image = GeneratedImage.model_validate(
        fields | {"request": GenerateRequest(prompt="a cat", seed=7, steps=9), "details": {"seed": 8, "width": 64}}
    )
    assert {name: image.fact(name) for name in ("seed", "steps", "width", "height")} == {
        "seed": 8,
        "steps": 9,
        "width": 64,
        "height": None,
    }
