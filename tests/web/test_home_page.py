"""The home page, and the first minute on it."""

from __future__ import annotations

import pytest

from limner.core.requests import GenerateRequest
from limner.starter.demo import CLASS, IDENTIFIER, TRAINING_STEPS
from pages import PART, teach, text_of, tree
from working import execute_queue


def test_an_empty_home_offers_an_image_and_a_character(site):
    forms = site.page("/").xpath("//div[@id='first']//form/@action")
    assert forms == ["/first-image", "/first-subject"]


@pytest.mark.parametrize("headers", [{}, PART])
def test_one_click_makes_an_image_on_the_starter(site, headers):
    response = site.client.post("/first-image", headers=headers)
    (run,) = site.studio.runs.list()
    assert (run.request.kind, run.request.model) == ("generate", "starter") and run.execution.preview_every
    if not headers:
        assert (response.status_code, response.headers["location"]) == (303, f"/runs/{run.id}")
    else:
        page = tree(response)
        assert page.xpath("//hx-partial[@hx-target='#jobs-place']//article/@data-status") == ["queued"]
        assert run.id in page.xpath("//hx-partial[@hx-target='#live']//@*[name()='hx-sse:connect']")[0]
    assert site.page("/").xpath("//div[@id='first']//form/@action") == ["/first-subject"]


def test_one_click_teaches_the_character_of_the_demo(site):
    assert site.client.post("/first-subject").status_code == 303
    (run,) = site.studio.runs.list()
    request = run.request
    assert (request.class_word, request.identifier, request.steps) == (CLASS, IDENTIFIER, TRAINING_STEPS)
    assert not request.flip and run.execution.preview_every
    names = sorted(site.studio.files.folder(request.data.removeprefix("folder:")))
    assert len([name for name in names if name.endswith(".png")]) == 8 and "01.txt" in names
    page = site.page("/")
    assert page.xpath("//div[@id='first']//form/@action") == ["/first-image"]
    assert "Learn sks cat" in text_of(page.xpath("//article")[0])


def test_the_first_image_stays_in_its_card(site, starter):
    site.client.post("/first-image")
    execute_queue(site.studio)
    (card,) = site.page("/").xpath("//article")
    assert card.get("data-status") == "done" and card.xpath(".//img")
    assert text_of(card.xpath(".//a[contains(@class, 'button')]")[0]) == "Change it"


@pytest.mark.parametrize("headers", [{}, PART])
def test_one_click_makes_an_image_of_the_subject(site, headers):
    reference = teach(site)
    (run,) = site.studio.runs.list()
    card = site.client.get("/jobs/events", params={"run": run.id, "card": "home"}).text
    assert 'action="/first-portrait"' in card and f'value="{reference}"' in card
    response = site.client.post("/first-portrait", data={"adapter": reference}, headers=headers)
    assert response.status_code == (200 if headers else 303)
    request = site.studio.runs.list(1)[0].request
    assert [use.path for use in request.adapter] == [reference] and "sks cat" in request.prompt
    assert site.client.post("/first-portrait", data={"adapter": "../x"}, headers=headers).status_code == 422


def test_the_account_of_another_sees_none_of_it(guarded):
    guarded.studio.enqueue(GenerateRequest(prompt="a secret cat"))
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.post("/sign-in", data={"key": secret})
    assert "secret" not in guarded.client.get("/").text
    guarded.client.post("/first-subject")
    (run,) = guarded.studio.runs.list(owner="ann")
    assert guarded.studio.files.grants.owns("ann", run.request.data)
