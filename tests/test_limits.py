"""Every text and every list that a request or a body over HTTP may hold has a limit, and reading it takes no time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ValidationError

from hostile import BODIES, LENGTH, texts, within
from limner.core.errors import MAX_PROBLEMS, LimnerError, invalid
from limner.core.requests import Frozen, GenerateRequest, KnownRequest, parse_request
from limner.plugins import registry
from limner.provenance.labels import TEXT_CAP, parse_label
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio

KINDS = get_args(KnownRequest)
LENGTHS = (LENGTH, 20_000, 2_000)
"""How much of a hostile text is given: too much for any field, and as much as some fields take."""


def unbounded(schema: Any, definitions: dict[str, Any], place: str = "", seen: tuple[str, ...] = ()) -> Iterator[str]:
    """The places of a JSON schema where a text, a list or a mapping may be of any size."""
    if isinstance(schema, list):
        for part in schema:
            yield from unbounded(part, definitions, place, seen)
    if not isinstance(schema, dict):
        return
    if (name := schema.get("$ref", "").rpartition("/")[2]) and name not in seen:
        yield from unbounded(definitions[name], definitions, place, (*seen, name))
    kind, fixed = schema.get("type"), {"enum", "const", "format"} & schema.keys()
    if kind == "string" and "maxLength" not in schema and not fixed:
        yield f"{place}: a text"
    if kind == "array" and "maxItems" not in schema:
        yield f"{place}: a list"
    if (
        kind == "object"
        and schema.get("additionalProperties", "properties" not in schema)
        and "maxProperties" not in schema
    ):
        yield f"{place}: a mapping"
    for key in ("anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalProperties"):
        yield from unbounded(schema.get(key), definitions, place, seen)
    for name, part in schema.get("properties", {}).items():
        yield from unbounded(part, definitions, f"{place}/{name}", seen)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_request_has_a_limit(kind: type[BaseModel]) -> None:
    schema = kind.model_json_schema()
    assert not list(unbounded(schema, schema.get("$defs", {})))


@pytest.mark.parametrize("method", registry.methods.names())
def test_every_option_of_a_method_has_a_limit(method: str) -> None:
    schema = registry.methods.get(method).Options.model_json_schema()
    assert not list(unbounded(schema, schema.get("$defs", {})))


def test_every_body_over_http_has_a_limit(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    document = create_app(studio, Settings()).openapi()
    studio.store.close()
    found = [
        f"{path} {place}"
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        for place in unbounded(content["schema"], document["components"]["schemas"], kind)
    ]
    assert not found


def models_in(hint: Any) -> list[type[Frozen]]:
    """The models that a field holds."""
    if isinstance(hint, type) and issubclass(hint, Frozen):
        return [hint]
    return [model for part in get_args(hint) for model in models_in(part)]


PARTS = sorted(
    {model for kind in KINDS for field in kind.model_fields.values() for model in models_in(field.annotation)}, key=str
)


def hostile(model: type[Frozen], text: str) -> Iterator[tuple[str, Any]]:
    """Each field of a model, with values that have the text somewhere in them."""
    for name, field in model.model_fields.items():
        yield name, text
        yield name, [text, "a"]
        yield name, {text: text}
        for part in models_in(field.annotation):
            for inside, value in hostile(part, text):
                yield name, {inside: value}
                yield name, [{inside: value}]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_text_in_any_field_is_read_at_once(kind: type[Frozen]) -> None:
    body = {"kind": (name := kind.model_fields["kind"].default), **BODIES[name]}
    parse_request(body)
    for text in texts("x"):
        for length in LENGTHS:
            for field, value in hostile(kind, text[:length]):
                with suppress(ValidationError):
                    within(parse_request, {**body, field: value})


@pytest.mark.parametrize("part", PARTS)
def test_text_is_parsed_in_proportion_to_its_length(part: type[Frozen]) -> None:
    for text in texts("", "x"):
        for begin in ("", "a:", "a=", "a=a:", "a>="):
            with suppress(ValueError):
                within(part.from_text, begin + text)


@pytest.mark.parametrize("part", PARTS)
def test_a_text_is_measured_before_it_is_parsed(part: type[Frozen], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "from_text", classmethod(lambda cls, text: pytest.fail("it was parsed")))
    with pytest.raises(ValidationError, match="write at most"):
        part.model_validate("a" * (part.longest_text + 1))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("begin", ["", "a=", "steps="])
@pytest.mark.parametrize("piece", ["+:5", "a:9+", ",\ud800", "@@a", "/0"])
def test_a_text_has_no_more_mistakes_than_its_lists_are_long(part: type[Frozen], begin: str, piece: str) -> None:
    text = begin + "x" + piece * ((part.longest_text - len(begin) - 1) // len(piece))
    with suppress(ValueError):
        read = part.from_text(text)
        lists = [value for value in read.values() if isinstance(value, list)] if isinstance(read, dict) else []
        assert all(len(value) <= 1001 for value in lists), "it is split further than any list takes"
    try:
        within(part.model_validate, text)
    except ValidationError as error:
        assert error.error_count() < 2_000


MANY = {"kind": "compare", "contestants": ["a", "b"], "prompt": ["\ud800"] * 10_000}


def test_a_line_about_a_request_lists_only_the_first_of_many_mistakes() -> None:
    with pytest.raises(ValidationError) as raised:
        parse_request({**MANY, "a" * LENGTH: 0})
    line = str(invalid(raised.value))
    assert line.endswith(f"and {10_001 - MAX_PROBLEMS:,} more") and len(line) < 10_000


def test_an_answer_lists_only_the_first_of_many_mistakes(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    reply = client.post(
        "/v1/runs", content=json.dumps({**MANY, "a" * LENGTH: 0}), headers={"Content-Type": "application/json"}
    )
    studio.store.close()
    assert reply.status_code == 422 and len(reply.json()["errors"]) == MAX_PROBLEMS and len(reply.content) < 20_000


def test_a_hostile_axis_of_any_field_is_read_at_once() -> None:
    for text in texts("x"):
        for field in GenerateRequest.model_fields:
            with suppress(ValidationError):
                within(parse_request, {"kind": "sweep", "prompt": ["a"], "axis": [f"{field}=1,{text}"]})


def full(name: str, schema: dict[str, Any], most: int | None) -> list[str]:
    """A list as long as a field takes, or longer, of texts that all differ."""
    return [f"{'a ' * 90}{name} {number}" for number in range(most or schema["maxItems"])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [None, LENGTH])
def test_lists_that_are_full_are_read_at_once(kind: type[Frozen], most: int | None) -> None:
    name = kind.model_fields["kind"].default
    fields = kind.model_json_schema()["properties"]
    lists = {field: full(field, schema, most) for field, schema in fields.items() if "maxItems" in schema}
    body = {"kind": name, **BODIES[name], "count": 1} if "count" in fields else {"kind": name, **BODIES[name]}
    parse_request(body)
    together = {
        field: value for field, value in lists.items() if field not in ("drop", "flag", "ignore", "limit", "axis")
    }
    for given in (together, *({field: value} for field, value in lists.items())):
        with suppress(ValidationError):
            within(parse_request, {**body, **given})


@pytest.mark.parametrize(("deep", "message"), [(900, "nested more than"), (1, "more than 20,000 characters")])
def test_options_of_a_method_are_small(deep: int, message: str) -> None:
    value: Any = "a" * LENGTH
    for _ in range(deep):
        value = [value]
    with pytest.raises(ValidationError, match=message):
        parse_request({"kind": "train", "data": "a", "class_word": "dog", "options": {"a": value}})


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return {"kind": "train", "data": "a", "class_word": "dog", "options": {"a": value}}


def test_options_of_a_method_are_nested_eight_deep_at_most() -> None:
    parse_request(nested(7))
    with pytest.raises(ValidationError, match="nested more than 8 deep"):
        parse_request(nested(8))


@pytest.mark.parametrize("part", [[], {}, 1], ids=str)
def test_options_of_many_values_are_refused_unread(part: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.core.requests.train.json.dumps", lambda *given, **more: pytest.fail("it was written"))
    with pytest.raises(ValidationError, match="more than 20,000 characters"):
        within(parse_request, {"kind": "train", "data": "a", "class_word": "dog", "options": {"a": [part] * 350_000}})


def test_more_fields_than_any_model_has_are_refused_at_once() -> None:
    strange = {f"a{number}": 0 for number in range(LENGTH)}
    for body in ({"kind": "generate", "prompt": "a", **strange}, {"kind": "evaluate", "target": strange}):
        with pytest.raises(ValidationError, match="give at most") as raised:
            within(parse_request, body)
        assert raised.value.error_count() == 1


@pytest.mark.parametrize("text", texts("x"), ids=lambda text: repr(text[:4]))
def test_a_label_that_somebody_made_up_is_read_at_once(text: str) -> None:
    uses = {"adapter": [text[:40_000]], "control": [f"a={text[:40_000]}"], "guidance_interval": text[:40_000]}
    label = {"request": {"kind": "generate", "prompt": text, **uses}, "version": text, "inputs": {text: text}}
    info, file = PngInfo(), BytesIO()
    info.add_text("limner", json.dumps(label)[:TEXT_CAP], zip=True)
    Image.new("RGB", (8, 8)).save(file, format="PNG", pnginfo=info)
    assert len(file.getvalue()) < 40_000
    with pytest.raises(LimnerError, match="carries no Limner request that can be read"):
        within(parse_label, file.getvalue(), "picture.png")


def test_prompts_stay_small_when_groups_and_subject_are_filled_in() -> None:
    prompts = [f"{{group}} {number} {'{}' * 40}" for number in range(100)]
    body = {"kind": "evaluate", "target": "a", "count": 1, "identifier": "a" * 200, "class_word": "b" * 200}
    parse_request({**body, "prompt": prompts[:2], "groups": ["cat", "dog"]})
    with pytest.raises(ValidationError, match="more than 4,000,000 characters when filled in"):
        within(parse_request, {**body, "prompt": prompts, "groups": [f"{number}" for number in range(10, 74)]})
