"""Metrics as they are typed: name, network, and the encoder of a head."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from limner.core.requests import EvaluateRequest, MetricUse, parse_request, references_of, replace_references


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("saturation", ("saturation", None, None)),
        ("preference=yuvalkirstain/PickScore_v1", ("preference", "yuvalkirstain/PickScore_v1", None)),
        ("aesthetic=head.safetensors@openai/clip", ("aesthetic", "head.safetensors", "openai/clip")),
        ("aesthetic=me@@home/a=b@c@@d", ("aesthetic", "me@home/a=b", "c@d")),
        ("aesthetic=@@@@x", ("aesthetic", "@@x", None)),
    ],
)
def test_it_reads_as_it_is_written(text: str, fields: tuple[str | None, ...]) -> None:
    use = MetricUse.model_validate(text)
    assert (use.name, use.model, use.encoder) == fields and str(use) == text
    assert MetricUse.model_validate_json(use.model_dump_json()) == use


@pytest.mark.parametrize(
    "text", ["aesthetic=@clip", "aesthetic=head@", "aesthetic=a@b@c", "aesthetic=@", "aesthetic=@@@"]
)
def test_what_names_no_head_and_encoder(text: str) -> None:
    with pytest.raises(ValidationError, match="aesthetic=HEAD@ENCODER"):
        MetricUse.model_validate(text)


def test_an_encoder_by_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="has an encoder but no head"):
        MetricUse(name="aesthetic", encoder="clip")


def test_head_and_encoder_are_two_references() -> None:
    asked = {
        "target": "starter",
        "prompt": ["a"],
        "metric": ["aesthetic=head@clip"],
        "require": ["aesthetic=head@clip>=5"],
    }
    request = EvaluateRequest.model_validate(asked)
    assert {("model", "head"), ("model", "clip")} < set(references_of(request))
    moved = replace_references(request, lambda name: f"/here/{name}")
    assert (moved.metric[0].model, moved.metric[0].encoder) == ("/here/head", "/here/clip")
    assert parse_request(request.model_dump_json()) == request


@pytest.mark.parametrize(
    ("fields", "pictures"),
    [
        ({}, 6),
        ({"target": "starter+rex"}, 6 + 24),
        ({"target": "folder:" + "0" * 64}, 6 + 24),
        ({"target": "starter+rex", "metric": ["saturation"]}, 6),
        ({"target": "starter+rex", "metric": ["saturation", "class_drift=clip"]}, 6 + 24),
        ({"target": "folder:" + "0" * 64, "prompt": []}, 0),
    ],
)
def test_pictures_of_the_class_are_counted_where_they_may_be_painted(fields: dict[str, object], pictures: int) -> None:
    asked = {"target": "starter", "prompt": ["a", "b"], "count": 3, **fields}
    assert EvaluateRequest.model_validate(asked).image_count == pictures
