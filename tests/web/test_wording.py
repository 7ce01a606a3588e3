"""Texts on pages: settings instead of flags; no commands, paths of the API or hashes."""

from __future__ import annotations

import re

import pytest

from limner.core.events import Notice
from limner.core.kinds import KINDS
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.web.forms import form_fields
from limner.web.wording import help_of, on_page
from pages import text_of

COMMANDS = re.compile(r"(?<![\w-])--[a-z]|`|\blimner [a-z]+ [a-z]|/v1/|\bGET |[0-9a-f]{40}")
UNKNOWN = (
    f"the prompt has words that 'starter' does not know, unless {'4cb3700e' * 8} learned them: 'birthday', 'card' "
    "(nearest: 'car'); all that it knows: limner starter words, or GET /v1/models/starter/words"
)


@pytest.mark.parametrize("place", ["/create", "/create/pets", "/create/marketing"])
def test_no_form_speaks_of_commands(site, place):
    helps = [text_of(each) for each in site.page(place).xpath("//*[contains(@class, 'help')]")]
    assert helps and not [text for text in helps if COMMANDS.search(text)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_help_of_a_form_speaks_of_commands(kind):
    found = {field.name: field.help for field in form_fields(kind)}
    assert found and not [text for text in found.values() if COMMANDS.search(text)]


def test_a_help_calls_other_fields_by_their_labels():
    helps = {field.name: field.help for field in form_fields("generate")}
    assert "from “Image to start from”, up to 1" in helps["strength"]
    assert "for each “Control”" in helps["control_model"], "a field without a label by its name"
    assert help_of("if `model` is a head, or `other`", GenerateRequest) == "if “Base model” is a head, or other"


def test_a_flag_in_a_message_is_the_label_of_its_field():
    assert on_page("leave out --image; see --guidance-rescale") == (
        "leave out “Image to start from”; see “Guidance rescale”"
    )
    assert on_page("use another --class, or --nosuch-flag") == "use another “Class word”, or “nosuch flag”"
    assert on_page("a well-known text, 3--4 times") == "a well-known text, 3--4 times"


@pytest.mark.parametrize("place", ["/create", "/create/pets", "/queue", "/runs/"])
def test_a_notice_of_unknown_words_is_worded_for_the_page_and_leads_to_the_words(site, place):
    site.studio.enqueue(GenerateRequest(prompt="a birthday card"), tags={"species": "dog"})
    queue = Queue(site.studio.store)
    ((run, lease),) = queue.claim("w")
    site.studio.store.add_event(run.id, Notice(text=UNKNOWN, level="warning"), lease)
    queue.finish(lease, Status.DONE)
    page = site.page(f"/runs/{run.id}" if place == "/runs/" else place)
    assert not COMMANDS.search(text_of(page.xpath("//main")[0]))
    if place.startswith("/create"):
        (notice,) = page.xpath("//article//p[@class='notice']")
        assert text_of(notice) == (
            "the prompt has words that 'starter' does not know, unless your subject learned them: 'birthday', 'card' "
            "(nearest: 'car')"
        )
        (link,) = page.xpath("//article//p[@class='remedy']/a/@href")
        words = text_of(site.page(link).xpath("//main")[0])
        assert "corgi" in words and "beach" in words


def test_the_words_of_other_models_are_not_listed(site):
    assert "more words than can be listed" in text_of(site.page("/create/words/sd15").xpath("//main")[0])
    assert site.client.get("/create/words/nosuch").status_code == 404
