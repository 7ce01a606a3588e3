"""Forms from requests: every field with its help, and the same JSON as other surfaces."""

from __future__ import annotations

import json
import shlex
import subprocess
import unicodedata
from typing import Annotated, Literal

import pytest
from lxml import html
from pydantic import Field, create_model

from limner.core.execution import body_model
from limner.core.requests import Flag, Heading
from limner.core.requests.request import Label
from limner.web import forms
from limner.web.forms import as_command, as_python, form_fields, read_form, request_texts, validated
from limner.web.rendering import ENVIRONMENT
from limner.web.wording import help_of


def rendered(fields):
    macro = ENVIRONMENT.get_template("components.html").module.form_fields
    return html.fromstring(f"<div>{macro(fields, 'f')}</div>")


def test_every_field_of_a_request_is_on_the_form_with_its_help():
    page = rendered(form_fields("generate"))
    for name, field in body_model("generate").model_fields.items():
        hidden = any(isinstance(item, Flag) and item.hidden for item in field.metadata)
        found = page.xpath(f"//div[@data-field='{name}']")
        assert len(found) == (0 if hidden else 1), name
        if found:
            (control,) = found[0].xpath(".//*[@id=$id]", id=f"f-{name}")
            assert found[0].xpath(".//label[@for=$id]", id=f"f-{name}"), name
            described = found[0].xpath(".//*[@id=$id]", id=control.get("aria-describedby").split()[0])
            assert described[0].text_content() == help_of(field.description, body_model("generate"))


def test_a_new_field_appears_without_any_html(monkeypatch):
    """As a field that someone adds to a request: a limit, a default and a heading of its own."""
    moon = (
        Annotated[int | None, Label("Moons"), Heading.SAMPLING],
        Field(default=None, ge=1, le=9, description="Number of moons in the sky."),
    )
    wider = create_model("Wider", __base__=body_model("generate"), moon=moon)
    monkeypatch.setattr(forms, "body_model", lambda kind: wider)
    page = rendered(form_fields("generate"))
    (field,) = page.xpath("//fieldset[legend='Sampling']//div[@data-field='moon']")
    (control,) = field.xpath(".//input")
    assert (control.get("type"), control.get("min"), control.get("max")) == ("number", "1", "9")
    assert "Number of moons in the sky." in field.text_content() and "Moons" in field.text_content()
    values = read_form("generate", [("prompt", "a cat"), ("moon", "3")])
    assert values == {"prompt": "a cat", "moon": "3"} and validated("generate", values)[0].moon == 3


@pytest.mark.parametrize(
    ("hint", "default", "control"),
    [
        (str, "", "text"),
        (int, 3, "number"),
        (float | None, None, "number"),
        (bool, False, "checkbox"),
        (bool, True, "checkbox"),
        (Literal["a", "b"], "a", "select"),
        (tuple[str, ...], (), "text"),
    ],
)
def test_the_control_follows_from_the_type(monkeypatch, hint, default, control):
    made = create_model("Made", value=(hint, Field(default=default, description="A value.")))
    monkeypatch.setattr(forms, "body_model", lambda kind: made)
    (field,) = form_fields("generate")
    assert field.control == control and field.several is (default == ()) and field.checked is (default is True)
    assert rendered([field]).xpath("//*[@name='value']")


def test_a_switch_that_is_on_can_be_turned_off(monkeypatch):
    made = create_model("Made", flip=(bool, Field(default=True, description="Also mirrored.")))
    monkeypatch.setattr(forms, "body_model", lambda kind: made)
    assert read_form("train", []) == {"flip": False} and read_form("train", [("flip", "true")]) == {"flip": True}


def test_values_and_errors_stand_at_their_fields():
    values = {"prompt": "a <b>cat</b>", "steps": "many", "guidance": "500", "adapter": ["a:1", "b"]}
    body, errors = validated("generate", values)
    assert body is None and set(errors) == {"steps", "guidance"}
    page = rendered(form_fields("generate", values, errors))
    for name in ("steps", "guidance"):
        (field,) = page.xpath(f"//div[@data-field='{name}']")
        (control,) = field.xpath(".//input")
        assert control.get("value") == values[name] and control.get("aria-invalid") == "true"
        (alert,) = field.xpath(".//*[@role='alert']")
        assert alert.text_content() == errors[name] and alert.get("id") in control.get("aria-describedby")
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a <b>cat</b>"
    assert [each.get("value") for each in page.xpath("//input[@name='adapter']")] == ["a:1", "b"]


def test_an_error_below_opens_the_drawer():
    assert rendered(form_fields("generate", {}, {"hires": "wrong"})).xpath("//details[@open]")
    assert not rendered(form_fields("generate", {}, {"steps": "wrong"})).xpath("//details[@open]")


def test_the_command_makes_the_same_request(limner, monkeypatch):
    given = {"prompt": 'a cat\'s -- "hat"', "steps": "3", "adapter": ["a:0.5", "b"], "tiled": True, "image": "x.png"}
    from limner.cli.commands import requests

    body, errors = validated("generate", given)
    assert not errors
    words = shlex.split(as_command("generate", given))
    assert words[:3] == ["limner", "generate", given["prompt"]] and words.count("--adapter") == 2
    scope: dict = {}
    code = as_python("generate", given).replace("Studio().run(", "made = (").replace("import Studio, ", "import ")
    exec(code, scope)
    assert scope["made"].model_dump(exclude={"kind"}) == body.model_dump(exclude={"kind", "memory", "device"})
    assert requests


@pytest.mark.parametrize(
    "text", ["a\x1b[201~; reboot", "it's \x9b2J \\ \x03 $HOME `x`", "\x7f\x85\rplain 'x'", "two\nlines"]
)
def test_a_copied_text_holds_no_character_that_a_terminal_obeys(text):
    texts = dict(request_texts("generate", {"prompt": text}))
    for found in texts.values():
        assert not [each for each in found if unicodedata.category(each) == "Cc" and each not in "\n\t"], found
    script = texts["Command"].replace("limner generate", "printf %s", 1)
    given = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert given.stdout.decode() == text
    assert json.loads(texts["JSON"])["prompt"] == text
