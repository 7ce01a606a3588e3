"""What a user may ask for: both sides of the ends of every number, and what is meant where nothing is said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from limner import GenerateRequest, TrainRequest
from limner.core.execution import Execution
from limner.core.requests import CompareRequest, ImproveRequest, InfluenceRequest, SweepRequest
from limner.core.requests.request import Trait, digest_of, fields_with
from limner.core.requests.uses import AdapterUse, ControlUse, Interval
from limner.models.options import EmbeddingOptions, LoraOptions

GIVEN = {
    TrainRequest: {"data": "photos", "class_word": "dog", "keep": "best"},
    GenerateRequest: {"prompt": "a dog", "image": "a.png", "hires": 2, "refiner": "r"},
    SweepRequest: {"prompt": ["a dog"], "axis": ["guidance=1,2"]},
    CompareRequest: {"prompt": ["a dog"], "contestants": ["a", "b"]},
    ImproveRequest: {"target": "rex"},
    InfluenceRequest: {"adapter": "rex"},
    AdapterUse: {"path": "rex"},
    ControlUse: {"kind": "canny", "path": "a.png"},
    LoraOptions: {},
    EmbeddingOptions: {},
    Execution: {},
}
E = 1e-9
ENDS = [
    (TrainRequest, "steps", 1, 10_000_000, 0, 10_000_001),
    (TrainRequest, "epochs", 1, 1_000_000, 0, 1_000_001),
    (TrainRequest, "batch", 1, 1024, 0, 1025),
    (TrainRequest, "accumulation", 1, 1024, 0, 1025),
    (TrainRequest, "learning_rate", 1e-12, 10, 0, 10 + 1e-6),
    (TrainRequest, "text_learning_rate", 1e-12, 10, 0, 10 + 1e-6),
    (TrainRequest, "warmup", 0, 10**6, -1, None),
    (TrainRequest, "weight_decay", 0, 1, -E, 1 + E),
    (TrainRequest, "ema", E, 1 - E, 0, 1),
    (TrainRequest, "resolution", 32, 4096, 31, 4097),
    (TrainRequest, "caption_dropout", 0, 1 - E, -E, 1),
    (TrainRequest, "prior_weight", 0, 100, -E, 100 + 1e-6),
    (TrainRequest, "class_pictures", 1, 100_000, 0, 100_001),
    (TrainRequest, "prior_dropout", 0, 1, -E, 1 + E),
    (TrainRequest, "min_snr_gamma", E, 1e6, 0, None),
    (TrainRequest, "noise_offset", E, 1, 0, 1 + E),
    (TrainRequest, "held_out", 0, 1000, -1, 1001),
    (TrainRequest, "checkpoint_every", 1, 10**6, 0, None),
    (Execution, "preview_every", 0, 10**6, -1, None),
    (Execution, "workers", 1, 1024, 0, 1025),
    (TrainRequest, "balance", 0, 1, -E, 1 + E),
    (TrainRequest, "patience", 1, 10**6, 0, None),
    (TrainRequest, "seed", 0, 2**63 - 1, -1, 2**63),
    (GenerateRequest, "count", 1, 10_000, 0, 10_001),
    (GenerateRequest, "steps", 1, 1000, 0, 1001),
    (GenerateRequest, "guidance", 0, 100, -E, 100 + 1e-6),
    (GenerateRequest, "guidance_rescale", 0, 1, -E, 1 + E),
    (GenerateRequest, "strength", E, 1, 0, 1 + E),
    (GenerateRequest, "hires", 1 + E, 4, 1, 4 + E),
    (GenerateRequest, "hires_strength", E, 1, 0, 1 + E),
    (GenerateRequest, "refiner_strength", E, 1, 0, 1 + E),
    (GenerateRequest, "width", 8, 8192, 7, 8193),
    (GenerateRequest, "height", 8, 8192, 7, 8193),
    (GenerateRequest, "batch", 1, 256, 0, 257),
    (GenerateRequest, "seed", 0, 2**63 - 1, -1, 2**63),
    (SweepRequest, "seeds", 1, 1000, 0, 1001),
    (CompareRequest, "count", 1, 1000, 0, 1001),
    (CompareRequest, "pairs", 1, 1000, 0, 1001),
    (ImproveRequest, "steps", 1, 1_000_000, 0, 1_000_001),
    (ImproveRequest, "batch", 1, 1024, 0, 1025),
    (ImproveRequest, "learning_rate", 1e-12, 10, 0, 10 + 1e-6),
    (ImproveRequest, "beta", 0, 1e6, -E, 1e6 + 1),
    (ImproveRequest, "margin", E, 1e6, 0, 1e6 + 1),
    (ImproveRequest, "anchor", 0, 1000, -E, 1001),
    (ImproveRequest, "held_out", 0.05, 0.5, 0.05 - E, 0.5 + E),
    (ImproveRequest, "most_prompts", 1, 1000, 0, 1001),
    (ImproveRequest, "count", 1, 100, 0, 101),
    (ImproveRequest, "tolerance", 0, 1, -E, 1 + E),
    (ImproveRequest, "seed", 0, 2**63 - 1, -1, 2**63),
    (InfluenceRequest, "timesteps", 1, 1000, 0, 1001),
    (InfluenceRequest, "dimension", 16, 2**24, 15, 2**24 + 1),
    (InfluenceRequest, "ridge", E, 1e6, 0, 1e6 + 1),
    (AdapterUse, "weight", -4, 4, -4 - 1e-6, 4 + 1e-6),
    (ControlUse, "weight", 0, 4, -E, 4 + 1e-6),
    (LoraOptions, "rank", 1, 1024, 0, 1025),
    (LoraOptions, "alpha", E, 4096, 0, 4096 + 1e-6),
    (LoraOptions, "dropout", 0, 1 - E, -E, 1),
    (EmbeddingOptions, "vectors", 1, 75, 0, 76),
]


@pytest.mark.parametrize(("kind", "field", "least", "most", "below", "above"), ENDS)
def test_a_number_has_two_ends(kind, field, least, most, below, above):
    for value in (least, most):
        assert getattr(kind.model_validate(GIVEN[kind] | {field: value}), field) == value
    for value in (below, above, float("nan"), float("inf")):
        if value is not None:
            with pytest.raises(ValidationError, match=field):
                kind.model_validate(GIVEN[kind] | {field: value})


def test_every_number_of_these_requests_is_tried():
    """A new one gets its line."""
    tried = {(kind, field) for kind, field, *_ in ENDS}
    shared = {"steps", "guidance", "width", "height", "batch", "seed"}
    for kind in (
        TrainRequest,
        GenerateRequest,
        ImproveRequest,
        InfluenceRequest,
        LoraOptions,
        EmbeddingOptions,
        Execution,
    ):
        numbers = {
            name
            for name, field in kind.model_fields.items()
            if {"int", "float"}
            & set(str(field.annotation).replace("|", " ").replace("'", " ").replace(">", " ").split())
        }
        assert numbers - {field for each, field in tried if each is kind} <= (
            shared if kind is InfluenceRequest else set()
        )


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (
            TrainRequest,
            {
                "identifier": "sks",
                "model": "starter",
                "method": "lora",
                "prompt": "a photo of {identifier} {class}",
                "accumulation": 1,
                "optimiser": "adamw",
                "schedule": "cosine",
                "warmup": 10,
                "weight_decay": 0.01,
                "flip": False,
                "masked": False,
                "caption_dropout": 0.0,
                "prior": True,
                "prior_weight": 1.0,
                "checkpoint_every": 50,
                "seed": 42,
                "precision": "auto",
            },
        ),
        (
            GenerateRequest,
            {
                "count": 1,
                "seed": 42,
                "batch": 8,
                "guidance_method": "cfg",
                "guidance_interval": None,
                "tiled": False,
                "model": "starter",
                "negative_prompt": "",
            },
        ),
        (SweepRequest, {"seeds": 4, "trajectory": False}),
        (CompareRequest, {"count": 4, "pairs": 100}),
        (
            ImproveRequest,
            {
                "lesson": "auto",
                "held_out": 0.2,
                "most_prompts": 24,
                "count": 4,
                "tolerance": 0.03,
                "seed": 42,
                "precision": "auto",
            },
        ),
        (InfluenceRequest, {"output": "loss", "timesteps": 10, "dimension": 16384, "ridge": 0.1, "seed": 42}),
        (
            Execution,
            {
                "device": "auto",
                "memory": "high",
                "workers": None,
                "executor": "processes",
                "track": (),
                "preview_every": 0,
            },
        ),
        (AdapterUse, {"weight": 1.0}),
        (ControlUse, {"weight": 1.0}),
        (LoraOptions, {"rank": None, "alpha": None, "rslora": False, "dora": False, "dropout": 0.0, "targets": None}),
        (EmbeddingOptions, {"vectors": 1, "initial_word": None}),
    ],
)
def test_what_is_meant_where_nothing_is_said(kind, defaults):
    """As the help and the documentation have it."""
    found = kind.model_validate(GIVEN[kind])
    assert {name: getattr(found, name) for name in defaults} == defaults
    assert TrainRequest(data="photos", class_word="dog").keep == "last"


@pytest.mark.parametrize(
    ("text", "ends"),
    [("0.2-0.8", (0.2, 0.8)), ("0-1", (0, 1)), (".5-1", (0.5, 1)), ("0-0.001", (0, 0.001))],
)
def test_an_interval(text, ends):
    found = Interval.model_validate(text)
    assert (found.start, found.stop) == ends


@pytest.mark.parametrize("text", ["0.8-0.2", "0.5-0.5", "1-1", "0-0", "0-1.1", "0.2", "a-b", "-0.1-0.5"])
def test_what_is_no_interval(text):
    with pytest.raises(ValidationError):
        Interval.model_validate(text)


def test_prompts_of_subject_and_class():
    request = TrainRequest(data="x", class_word="dog", prompt="{identifier}  {class} in snow")
    assert (request.instance_prompt, request.class_prompt) == ("sks dog in snow", "dog in snow")
    assert request.of_subject("{} on a {}") == "sks dog on a sks dog" and request.trigger_words == ("sks",)


@pytest.mark.parametrize(
    ("fields", "alike"),
    [
        ({"prompt": "another", "seed": 7, "count": 3}, True),
        ({"negative_prompt": "x"}, False),
        ({"guidance": 3.0}, False),
        ({"steps": 5}, False),
        ({"adapter": ("rex",)}, False),
        ({"adapter": ("rex:0.5",)}, False),
        ({"model": "sd15"}, False),
        ({"scheduler": "euler"}, False),
        ({"width": 64}, False),
        ({"guidance_interval": "0-0.5"}, False),
    ],
)
def test_what_goes_through_the_model_together(fields, alike):
    plain = GenerateRequest(prompt="a dog")
    assert (GenerateRequest.model_validate({"prompt": "a dog", **fields}).batch_key == plain.batch_key) == alike
    assert GenerateRequest(prompt="a dog", image="a.png").batch_key is None
    one, other = (GenerateRequest(prompt="a", adapter=(f"rex:{w}",)).batch_key for w in (0.5, 0.7))
    assert one != other


def test_later_fields_change_the_digest_only_when_they_are_set():
    plain = TrainRequest(data="photos", class_word="dog")
    later = fields_with(TrainRequest, Trait.LATER)
    assert set(later) == {"adapter", "keep_checkpoints"}
    assert plain.digest == digest_of({k: v for k, v in plain.model_dump(mode="json").items() if k not in later})
    for changes in ({"adapter": "rex"}, {"keep_checkpoints": True}):
        assert plain.model_copy(update=changes).digest != plain.digest
