"""The home page, and the first minute on it."""

from __future__ import annotations

import pytest

from gallery import add_image
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.starter.demo import CLASS, IDENTIFIER, TRAINING_STEPS
from limner.store.queue import Queue
from pages import PART, finish_teaching, streamed, text_of, tree
from working import execute_queue


def test_an_empty_home_offers_an_image_and_a_character(site):
    forms = site.page("/").xpath("//section[@id='first']//form/@action")
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
        assert page.xpath("//div[@id='now']//article/@data-status") == ["queued"]
        assert page.xpath("//hx-partial[@hx-target='#live']//@*[name()='hx-sse:connect']") == ["/home/events"]
    assert site.page("/").xpath("//section[@id='first']//form/@action") == ["/first-subject"]


def test_one_click_teaches_the_character_of_the_demo(site):
    assert site.client.post("/first-subject").status_code == 303
    (run,) = site.studio.runs.list()
    request = run.request
    assert (request.class_word, request.identifier, request.steps) == (CLASS, IDENTIFIER, TRAINING_STEPS)
    assert not request.flip and run.execution.preview_every
    names = sorted(site.studio.files.folder(request.data.removeprefix("folder:")))
    assert len([name for name in names if name.endswith(".png")]) == 8 and "01.txt" in names
    page = site.page("/")
    assert page.xpath("//section[@id='first']//form/@action") == ["/first-image"]
    assert "Teach sks cat" in text_of(page.xpath("//article")[0])


def test_the_first_image_stays_in_its_card(site, starter):
    site.client.post("/first-image")
    execute_queue(site.studio)
    (card,) = site.page("/").xpath("//article")
    assert card.get("data-status") == "done" and card.xpath(".//img")
    assert text_of(card.xpath(".//a[contains(@class, 'button')]")[0]) == "Change it"


@pytest.mark.parametrize("headers", [{}, PART])
def test_one_click_makes_an_image_of_the_subject(site, headers):
    site.client.post("/first-subject")
    ((run, lease),) = Queue(site.studio.store).claim("worker", 1)
    reference = finish_teaching(site, run, lease)
    (card,) = site.page("/").xpath(f"//article[@id='run-{run.id}']//form[@action='/first-portrait']")
    assert card.xpath("input/@value") == [reference]
    response = site.client.post("/first-portrait", data={"adapter": reference}, headers=headers)
    assert response.status_code == (200 if headers else 303)
    request = site.studio.runs.list(1)[0].request
    assert [use.path for use in request.adapter] == [reference] and "sks cat" in request.prompt
    assert site.client.post("/first-portrait", data={"adapter": "../x"}, headers=headers).status_code == 422


@pytest.mark.slow
def test_progress_and_result_come_to_the_open_page(site, starter):
    site.client.post("/first-image")
    assert not site.page("/").xpath("//section[@aria-labelledby='newest']"), "no empty list beside what is coming"
    sent = streamed(site, "/home/events", 3, lambda: execute_queue(site.studio))
    states = [each.xpath("//article/@data-status") for each in sent if each.get("hx-target") == "#now"]
    assert (states[0], states[-1]) == (["queued"], ["done"])
    last = next(each for each in sent[::-1] if each.get("hx-target") == "#now")
    assert last.xpath("//article//img") and last.xpath("//section[@aria-labelledby='newest']//img")
    assert sent[-1].get("hx-target") == "#live" and not sent[-1].xpath("//@*[name()='hx-sse:connect']")
    assert [last.xpath(f"//section[@aria-labelledby='{each}']//article") != [] for each in ("working", "examples")] == [
        False,
        True,
    ]


def test_a_click_that_failed_is_explained_and_can_be_repeated(site):
    site.client.post("/first-image")
    (run,) = site.studio.runs.list()
    ((_, lease),) = Queue(site.studio.store).claim("worker", 1)
    assert "starting" in text_of(site.page("/").xpath("//article")[0]), "a running job does not wait for its turn"
    Queue(site.studio.store).finish(lease, Status.FAILED, "no memory; close other programs")
    page = site.page("/")
    assert "close other programs" in text_of(page.xpath("//article//p[@role='alert']")[0])
    assert page.xpath("//article//button/@formaction") == [f"/runs/{run.id}/retry"]
    assert "/first-image" in page.xpath("//section[@id='first']//form/@action")
    here = {**PART, "HX-Current-URL": "http://127.0.0.1/"}
    again = site.client.post(f"/runs/{run.id}/retry", headers=here, follow_redirects=True)
    assert tree(again).xpath("//article/@data-status") == ["queued"] and "/home/events" in again.text


def test_the_account_of_another_sees_none_of_it(guarded):
    guarded.studio.enqueue(GenerateRequest(prompt="a secret cat"))
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.post("/sign-in", data={"key": secret})
    assert "secret" not in guarded.client.get("/").text
    guarded.client.post("/first-subject")
    (run,) = guarded.studio.runs.list(owner="ann")
    assert guarded.studio.files.grants.owns("ann", run.request.data)


def test_of_several_images_of_an_example_the_first_is_shown(site):
    site.client.post("/first-image")
    run = site.studio.runs.list()[0]
    for _ in range(3):
        add_image(site.studio, run=run)
    site.studio.store.update(run.id, status=Status.DONE)
    (card,) = site.page("/").xpath("//article")
    assert len(card.xpath(".//img")) == 1
    assert "/thumbnails/512/" in card.xpath(".//img/@src")[0], "its small copy is as large as shown"
    assert card.xpath(".//a[text()='And 2 more']/@href") == [f"/runs/{run.id}"]
