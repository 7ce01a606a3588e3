"""Requests go through the model together only where everything but prompts, seeds and counts is alike."""

from __future__ import annotations

from typing import Any

import pytest

from limner.core.execution import Execution, batch_key
from limner.core.requests import GenerateRequest

OTHER: dict[str, Any] = {
    "model": "sdxl",
    "vae": "a/vae",
    "adapter": ["sha256:" + "a" * 64],
    "steps": 7,
    "guidance": 3.0,
    "guidance_rescale": 0.5,
    "guidance_method": "apg",
    "guidance_interval": "0.2-0.8",
    "scheduler": "euler",
    "width": 256,
    "height": 256,
    "batch": 4,
    "tiled": True,
    "quantise": "int8",
    "precision": "bf16",
    "negative_prompt": "blurry",
}
ALIKE: dict[str, Any] = {"prompt": "a cat", "seed": 7, "count": 3}
ALONE: dict[str, Any] = {
    "image": "a.png",
    "strength": 0.5,
    "mask": "b.png",
    "control": ["canny=a.png"],
    "control_model": ["a/canny"],
    "hires": 2.0,
    "hires_strength": 0.4,
    "refiner": "a/refiner",
    "refiner_strength": 0.3,
}
NEEDS = {
    "strength": {"image": "a.png"},
    "mask": {"image": "a.png"},
    "control_model": {"control": ["canny=a.png"]},
    "hires_strength": {"hires": 2.0},
    "refiner_strength": {"refiner": "a/refiner"},
}


def key(**fields: Any) -> str | None:
    return GenerateRequest.model_validate({"prompt": "a dog", **fields}).batch_key


def test_every_field_is_looked_at() -> None:
    assert {*OTHER, *ALIKE, *ALONE} == set(GenerateRequest.model_fields) - {"kind"}


@pytest.mark.parametrize("field", OTHER)
def test_requests_that_differ_in_a_setting_are_carried_out_apart(field: str) -> None:
    assert key(**{field: OTHER[field]}) not in (key(), None)


@pytest.mark.parametrize("field", ALIKE)
def test_requests_that_differ_in_prompt_seed_or_count_are_carried_out_together(field: str) -> None:
    assert key(**{field: ALIKE[field]}) == key() is not None


@pytest.mark.parametrize("field", ALONE)
def test_requests_with_a_picture_or_a_second_pass_are_carried_out_alone(field: str) -> None:
    assert key(**NEEDS.get(field, {}), **{field: ALONE[field]}) is None


@pytest.mark.parametrize("how", [{"device": "cpu"}, {"memory": "low"}])
def test_requests_that_are_executed_in_other_ways_are_carried_out_apart(how: dict[str, Any]) -> None:
    request = GenerateRequest(prompt="a dog")
    assert batch_key(request, Execution(**how)) not in (batch_key(request, Execution()), None)
    assert batch_key(request.model_copy(update={"image": "a.png"}), Execution(**how)) is None


def test_the_weight_and_the_order_of_adapters_count() -> None:
    one, two = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    keys = [key(adapter=uses) for uses in ([one], [two], [f"{one}:0.5"], [one, two], [f"{one}:0.5", two])]
    assert len(set(keys)) == len(keys)


def test_negative_prompts_of_other_words_go_together() -> None:
    assert key(negative_prompt="blurry") == key(negative_prompt="text, watermark") != key()
