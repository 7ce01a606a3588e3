"""Descriptions of fields: neutral, and each surface calls the fields that they name in its own way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from limner.cli.flags import flag_name, flag_of
from limner.core.execution import body_model
from limner.core.kinds import KINDS
from limner.core.pets import PetsCall
from limner.core.requests.descriptions import FIELD, described
from limner.plugins.registry import methods
from limner.server.marketing import MarketingRequest

OPENAPI = Path(__file__).parents[2] / "docs/openapi.json"
MODELS = {
    **{kind: body_model(kind) for kind in KINDS},
    "pets": PetsCall,
    "marketing": MarketingRequest,
    **{name: methods.get(name).Options for name in methods.names()},
}
SURFACE = re.compile(r"(?<![\w-])--[a-z]|\blimner [a-z]+\b|\b(?:GET|POST) /|\bflags?\b")


def descriptions(model):
    return {name: field.description or "" for name, field in model.model_fields.items()}


@pytest.mark.parametrize("name", MODELS)
def test_no_description_speaks_of_one_surface(name):
    assert not {field: text for field, text in descriptions(MODELS[name]).items() if SURFACE.search(text)}


@pytest.mark.parametrize("name", MODELS)
def test_a_description_names_only_fields_of_its_model(name):
    fields = MODELS[name].model_fields
    named = {field: FIELD.findall(text) for field, text in descriptions(MODELS[name]).items()}
    assert all(other in fields and other != field for field, others in named.items() for other in others), named


@pytest.mark.parametrize("kind", KINDS)
def test_the_help_of_a_command_names_flags(limner, kind):
    text = " ".join(limner(kind, "--help").out.replace("│", " ").split())
    assert "`" not in text.replace(" ", "")
    model = body_model(kind)
    for name, field in model.model_fields.items():
        found = described(field.description or "", model.model_fields, flag_name)
        if FIELD.search(field.description or "") and not flag_of(field).hidden:
            assert found in text, name


def test_a_name_becomes_the_flag_of_its_field():
    fields = body_model("train").model_fields
    assert described("as `class_word`, `data` and `nosuch`", fields, flag_name) == "as --class, data and `nosuch`"


def test_the_documents_of_the_api_name_fields():
    schemas = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    found = [
        text
        for schema in schemas.values()
        for field in schema.get("properties", {}).values()
        if "--" in (text := field.get("description", ""))
    ]
    assert not found
    assert "from `image`, up to 1" in schemas["GenerateRequest"]["properties"]["strength"]["description"]
