"""How a contestant is written, and that it means the same after a round trip."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from limner.core.requests import CompareRequest, Contestant, parse_request, references_of, replace_references


def read(text):
    found = Contestant.model_validate(text)
    return found.model, [(use.path, use.weight) for use in found.adapter]


@pytest.mark.parametrize(
    ("text", "model", "adapters"),
    [
        ("starter", "starter", []),
        ("owner/name", "owner/name", []),
        ("rex", "rex", []),
        ("rex:0.5", None, [("rex", 0.5)]),
        ("sdxl+rex", "sdxl", [("rex", 1)]),
        ("sdxl+rex:0.7+style/a.safetensors:-1", "sdxl", [("rex", 0.7), ("style/a.safetensors", -1)]),
        ("rex:0.5+style", None, [("rex", 0.5), ("style", 1)]),
        ("a++b/model+c++:2", "a+b/model", [("c+", 2)]),
        ("C:\\models\\a", "C:\\models\\a", []),
    ],
)
def test_it_is_read_as_it_is_written(text, model, adapters):
    assert read(text) == (model, adapters)
    assert str(Contestant.model_validate(text)) == text
    again = Contestant.model_validate_json(Contestant.model_validate(text).model_dump_json())
    assert again == Contestant.model_validate(text)


@pytest.mark.parametrize("text", ["", "+", "a+", "+a", "a+++", "rex:9", "rex:nan", "a+b:inf", "+".join("abcdefghijk")])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValidationError):
        Contestant.model_validate(text)


def test_a_request_survives_json_and_names_all_it_refers_to():
    request = CompareRequest(
        contestants=("starter", "sdxl+rex:0.5"),
        prompt=("a cat", "a dog"),
        references="photos",
        encoder="clip",
        metric=("prompt_fidelity=siglip",),
    )
    assert parse_request(request.model_dump_json()) == request
    assert set(references_of(request)) == {
        ("model", "starter"),
        ("model", "sdxl"),
        ("weights", "rex"),
        ("pictures", "photos"),
        ("model", "clip"),
        ("model", "siglip"),
    }
    moved = replace_references(request, lambda path: f"/x/{path}", lambda name: name)
    assert moved.contestants[1].adapter[0].path == "/x/rex" and moved.references == "/x/photos"
    assert (request.image_count, request.texts) == (16, ("a cat", "a dog"))
    assert request.summary == "starter against sdxl+rex:0.5"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"prompt": ()}, "prompt is missing"),
        ({"prompt": (" ",)}, "a prompt is empty"),
        ({"prompt": ("a", "b", "a")}, "'a' is given twice"),
        ({"contestants": ("a",)}, "at least 2"),
        ({"contestants": tuple("abcdefghi")}, "at most 8"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"count": 1000, "prompt": tuple(map(str, range(20)))}, "40000 images are more than 20000"),
        ({"prompts": "x"}, "choose one of them"),
    ],
)
def test_what_cannot_be_asked_is_refused(fields, line):
    with pytest.raises(ValidationError, match=line):
        CompareRequest.model_validate({"contestants": ("a", "b"), "prompt": ("a cat",), **fields})
