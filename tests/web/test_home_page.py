"""The home page, and the first minute on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from gallery import add_image, add_run
from limner.core.accounts import Caller, Role
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.starter.demo import CLASS, IDENTIFIER
from limner.store.queue import Queue
from pages import PART, finish_teaching, picture, streamed, teach, text_of, tree
from working import execute_queue


def test_an_empty_home_offers_an_image_and_a_character(site):
    forms = site.page("/").xpath("//section[@id='first']//form/@action")
    assert forms == ["/first-image", "/first-subject"]
    assert len(site.page("/").xpath("//section[@id='first']//form/p[@class='busy'][@role='status']")) == 2


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


def prepared(site) -> None:
    """The images of the example's draft are prepared, and its training is queued."""
    execute_queue(site.studio)
    site.page("/")


@pytest.mark.parametrize("headers", [{}, PART])
def test_one_click_teaches_the_character_as_the_example_of_teach_does(site, headers):
    response = site.client.post("/first-subject", headers=headers)
    (draft,) = site.studio.drafts.list("")
    at = f"/teach/{draft.id}"
    if not headers:
        assert (response.status_code, response.headers["location"]) == (303, f"{at}/train#step")
    (other,) = {site.client.post("/teach", data={"example": "true"}).headers["location"].removesuffix("/images")} - {at}
    mine, theirs = (site.studio.drafts.get("", each.rpartition("/")[2]) for each in (at, other))
    assert mine.images == theirs.images and mine.choices.fields == theirs.choices.fields and len(mine.images) == 8
    (card,) = site.page("/").xpath("//article")
    assert "Teach sks cat" in text_of(card), "the preparation of its images is part of it"
    prepared(site)
    (card,) = site.page("/").xpath("//article")
    (run,) = site.studio.runs.list(kind="train")
    assert card.get("id") == f"run-{run.id}" and card.xpath("header/a/@href") == [f"{at}/train"]
    request = run.request
    assert (request.class_word, request.identifier) == (CLASS, IDENTIFIER) and not request.flip
    assert run.execution.preview_every and request.keep_checkpoints
    assert site.page("/").xpath("//section[@id='first']//form/@action") == ["/first-image"]


def test_clicking_again_starts_no_second_training(site):
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda _: site.client.post("/first-subject", headers=PART).status_code, range(4))]
    assert answers == [200] * 4 and len(site.studio.drafts.list("")) == 1
    assert site.client.post("/first-subject").status_code == 303
    prepared(site)
    site.client.post("/first-subject")
    assert [run.request.kind for run in site.studio.runs.list()] == ["train", "prepare"]


def test_an_example_that_failed_starts_again_in_its_draft(site):
    site.client.post("/first-subject")
    ((_, lease),) = Queue(site.studio.store).claim("worker", 1)
    Queue(site.studio.store).finish(lease, Status.FAILED, "no memory; close other programs")
    (card,) = site.page("/").xpath("//section[@aria-labelledby='failed']//article")
    (draft,) = site.studio.drafts.list("")
    assert card.xpath(".//a[contains(@class, 'button')]/@href") == [f"/teach/{draft.id}/train"]
    assert not card.xpath(".//button[text()='Try again']"), "no training would follow"
    site.client.post("/first-subject")
    assert len(site.studio.drafts.list("")) == 1
    assert site.page("/").xpath("//section[@aria-labelledby='working']//article")


def test_the_first_image_stays_in_its_card(site, starter):
    site.client.post("/first-image")
    execute_queue(site.studio)
    (card,) = site.page("/").xpath("//article")
    assert card.get("data-status") == "done" and card.xpath(".//img")
    assert text_of(card.xpath(".//a[contains(@class, 'button')]")[0]) == "Change it"


@pytest.mark.parametrize("headers", [{}, PART])
def test_one_click_makes_an_image_of_the_subject(site, headers):
    site.client.post("/first-subject")
    prepared(site)
    ((run, lease),) = Queue(site.studio.store).claim("worker", 1)
    reference = finish_teaching(site, run, lease)
    (card,) = site.page("/").xpath(f"//article[@id='run-{run.id}']//form[@action='/first-portrait']")
    (draft,) = site.studio.drafts.list("")
    choose, use = card.xpath("a")
    assert (text_of(choose), choose.get("href")) == (
        "Choose the best checkpoint",
        f"/teach/{draft.id}/train#checkpoints",
    )
    assert use.get("href") == f"/create?adapter={reference.replace(':', '%3A')}"
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
    assert "close other programs" in text_of(page.xpath("//article//p[@class='error']")[0])
    assert page.xpath("//article//button/@formaction") == [f"/runs/{run.id}/retry", f"/runs/{run.id}/seen"]
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
    assert guarded.studio.files.grants.owns("ann", run.request.sources[0])


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


def settled(site) -> None:
    """A home after ten images of four jobs and two subjects."""
    add_image(site.studio, prompt="a corgi", tags={"example": "image"})
    for prompt, tags in (("sks cat in the city", {"example": "portrait"}), ("kelzo cat on the beach", {})):
        run = add_run(site.studio, GenerateRequest(prompt=prompt), None, tags)
        for _ in range(4):
            add_image(site.studio, run=run)
    add_image(site.studio, prompt="a mug")
    teach(site)


def test_newest_images_are_one_tile_for_each_job(site):
    settled(site)
    tiles = site.page("/").xpath("//section[@aria-labelledby='newest']//figure")
    assert [text_of(each.xpath("figcaption")[0]) for each in tiles] == [
        "a mug",
        "kelzo cat on the beach",
        "sks cat in the city",
        "a corgi",
    ]
    assert [text_of(each.xpath("a")[0]) for each in tiles] == ["", "4", "4", ""]
    assert tiles[1].xpath("a/img/@alt") == ["kelzo cat on the beach (4 images)"]
    alone, several, *_ = (each.xpath("a/@href")[0] for each in tiles)
    assert alone.startswith("/gallery/") and "a mug" in text_of(site.page(alone))
    assert several.startswith("/runs/") and len(site.page(several).xpath("//main//img")) == 4


def test_examples_step_back_once_there_are_other_images(site):
    add_image(site.studio, prompt="a corgi", tags={"example": "image"})
    compact = "contains(@class, 'compact')"
    assert not site.page("/").xpath(f"//article[{compact}]"), "the first image is shown large"
    settled(site)
    cards = site.page("/").xpath("//section[@aria-labelledby='examples']//article")
    assert len(cards) == 2 and all(each.xpath(f"self::*[{compact}]") for each in cards)


def test_a_job_that_goes_on_is_never_small(site):
    settled(site)
    site.client.post("/first-image")
    (card,) = site.page("/").xpath("//section[@aria-labelledby='working']//article")
    assert "compact" not in card.get("class")


def test_unfinished_subjects_are_told_apart_by_their_words(site):
    for word in ("kelzo", "sks"):
        draft = site.client.post("/teach").headers["location"].split("/")[2]
        place = picture(site.studio.home, name=f"{word}.png")
        site.client.post(f"/teach/{draft}/images", files={"files": (f"{word}.png", place.read_bytes(), "image/png")})
        site.client.post(f"/teach/{draft}/subject", data={"class_word": "cat", "identifier": word})
    names = [text_of(each) for each in site.page("/").xpath("//ul[@class='drafts']//strong")]
    assert sorted(names) == ["cat “kelzo”", "cat “sks”"]


def failed(site, owner="", prompt="a cat", **changes):
    """A job of the queue that failed."""
    run = add_run(site.studio, GenerateRequest(prompt=prompt), Caller(account=owner))
    values = {"status": Status.FAILED, "error": "no memory; close other programs", "finished": datetime.now(UTC)}
    site.studio.store.update(run.id, **{**values, **changes})
    return run


def shown_failures(site) -> list[str]:
    return site.page("/").xpath("//section[@aria-labelledby='failed']//article/@id")


def test_a_job_that_failed_is_shown_with_its_reason_until_it_was_seen(site):
    run, other = failed(site), failed(site, prompt="a dog")
    (card, _) = site.page("/").xpath("//section[@aria-labelledby='failed']//article")[::-1]
    assert card.xpath("header/a/@href") == [f"/runs/{run.id}"] and "close other programs" in text_of(card)
    assert card.xpath(".//a[text()='Change it']")
    dismissed = site.client.post(f"/runs/{run.id}/seen", headers=PART)
    assert tree(dismissed).xpath("//section[@aria-labelledby='failed']//article/@id") == [f"run-{other.id}"]
    assert site.client.post(f"/runs/{run.id}/seen").headers["location"] == "/"
    site.page(f"/runs/{other.id}")
    assert shown_failures(site) == []


def test_a_job_that_fails_again_is_shown_again(site):
    run = failed(site)
    site.page(f"/runs/{run.id}")
    site.client.post(f"/runs/{run.id}/retry")
    assert shown_failures(site) == []
    ((_, lease),) = Queue(site.studio.store).claim("worker", 1)
    Queue(site.studio.store).finish(lease, Status.FAILED, "no memory; close other programs")
    assert shown_failures(site) == [f"run-{run.id}"]


def test_failures_of_long_ago_are_not_shown_and_of_many_the_newest(site):
    failed(site, finished=datetime.now(UTC) - timedelta(days=8))
    assert shown_failures(site) == []
    runs = [failed(site) for _ in range(5)]
    assert shown_failures(site) == [f"run-{each.id}" for each in runs[:1:-1]]
    assert site.page("/").xpath("//a[text()='And 2 more']/@href") == ["/queue?status=failed"]


def test_what_an_administrator_sees_of_another_is_not_seen_by_that_one(guarded):
    _, ann = guarded.studio.accounts.add_key("ann")
    _, eve = guarded.studio.accounts.add_key("eve", role=Role.ADMIN)
    run = failed(guarded, "ann")
    guarded.client.post("/sign-in", data={"key": eve})
    assert shown_failures(guarded) == []
    guarded.page(f"/runs/{run.id}")
    guarded.client.post(f"/runs/{run.id}/seen")
    guarded.client.post("/sign-in", data={"key": ann})
    assert shown_failures(guarded) == [f"run-{run.id}"]
