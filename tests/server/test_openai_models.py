"""OpenAI image requests: valid and invalid values, and the generate requests they become."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from limner.server.openai_models import ImageEditRequest, ImageGenerationRequest


def request(**fields: object) -> ImageGenerationRequest:
    return ImageGenerationRequest.model_validate({"prompt": "a red mug", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"n": 10},
        {"size": "8x8192"},
        {"size": "8192x8"},
        {"size": "auto"},
        {"prompt": "x" * 20_000},
        {"output_compression": 0, "output_format": "jpeg"},
        {"output_compression": 100, "output_format": "webp"},
        {"stream": True, "partial_images": 3},
    ],
)
def test_valid_requests(fields: dict[str, object]) -> None:
    request(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 0},
        {"n": 11},
        {"size": "7x512"},
        {"size": "512x7"},
        {"size": "8193x512"},
        {"size": "512x8193"},
        {"size": "512"},
        {"size": "512x512x512"},
        {"prompt": ""},
        {"prompt": " \n"},
        {"prompt": "x" * 20_001},
        {"output_compression": 50},
        {"output_compression": 50, "output_format": "png"},
        {"output_compression": 101, "output_format": "jpeg"},
        {"quality": "best"},
        {"partial_images": 4},
        {"background": "transparent"},
        {"moderation": "low"},
        {"stream": "often"},
        {"style": "baroque"},
        {"seed": 1},
    ],
)
def test_what_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        request(**fields)


def test_size_is_width_by_height() -> None:
    assert request(size="640x512", n=3).generate_fields() == {
        "prompt": "a red mug",
        "count": 3,
        "width": 640,
        "height": 512,
    }
    assert request().generate_fields() == request(size="auto").generate_fields() == {"prompt": "a red mug", "count": 1}


@pytest.mark.parametrize(
    ("model", "form", "embedded"),
    [
        (None, None, False),
        ("dall-e-3", None, False),
        ("gpt-image-1", None, True),
        ("chatgpt-image-latest", None, True),
        ("starter", None, False),
        ("gpt-image-1", "url", False),
        ("dall-e-3", "b64_json", True),
    ],
)
def test_response_format_defaults(model: str | None, form: str | None, embedded: bool) -> None:
    assert request(model=model, response_format=form).embeds_images is embedded


@pytest.mark.parametrize(
    ("model", "own_model"),
    [
        (None, None),
        ("dall-e-2", None),
        ("gpt-image-1", None),
        ("chatgpt-image-x", None),
        ("sdxl", "sdxl"),
        ("gpt", "gpt"),
    ],
)
def test_openais_model_names_select_the_default(model: str | None, own_model: str | None) -> None:
    assert request(model=model).own_model == own_model


def test_user_identifiers_become_tags() -> None:
    assert request(user="ann", safety_identifier="s").tags() == {"user": "ann", "safety_identifier": "s"}
    assert request(user="").tags() == {}


@pytest.mark.parametrize(
    ("fields", "noted"),
    [
        ({}, []),
        ({"quality": "auto", "stream": True, "partial_images": 0}, []),
        ({"quality": "standard"}, []),
        ({"quality": "medium"}, []),
        ({"quality": "hd"}, ["quality 'hd' is not used: the settings of the model decide the quality"]),
        ({"quality": "high", "style": "vivid"}, ["quality 'high'", "style 'vivid' is not used: describe the style"]),
        ({"quality": "low", "partial_images": 2}, ["quality 'low'", "partial_images 2 is not used"]),
    ],
)
def test_hints_that_are_not_used_are_noted(fields: dict[str, object], noted: list[str]) -> None:
    found = request(**fields).notes
    assert len(found) == len(noted) and all(map(str.startswith, found, noted)), found


def test_the_hint_of_edits_is_noted() -> None:
    edit = ImageEditRequest(prompt="a", input_fidelity="high")
    assert edit.notes == ["input_fidelity 'high' is not used: the settings of the server decide how much an image may "
                          "change"]  # fmt: skip
