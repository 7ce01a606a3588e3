"""Live progress: one stream for all open jobs of a page."""

from __future__ import annotations

import threading
import time

import pytest
from lxml import html

from limner.core.events import Progress, Stage
from limner.core.requests import GenerateRequest
from limner.store.queue import Queue
from pages import PART, site_of
from serving import parsed

STREAM = {"Accept": "text/html, text/event-stream", "HX-Request": "true"}


def cards(events):
    """The cards of a stream by the id of their element, each as often as it was sent."""
    found: dict[str, list[html.HtmlElement]] = {}
    for event in events:
        if "event" not in event:
            for part in html.fragments_fromstring(event["data"]):
                found.setdefault(part.get("hx-target"), []).append(part)
    return found


def test_a_page_has_one_stream_for_all_its_open_jobs(site):
    ids = [site.studio.enqueue(GenerateRequest(prompt=text)).id for text in ("a cat", "a dog", "a mug")]
    site.studio.runs.cancel(ids[0])
    (stream,) = site.page("/create").xpath("//*[@id='live']")
    address = stream.get("hx-sse:connect")
    assert address.startswith("/jobs/events?card=create&")
    assert all(f"run={run}" in address for run in ids[1:]) and ids[0] not in address
    for path in ("/create", "/", "/queue", f"/runs/{ids[1]}"):
        (stream,) = site.page(path).xpath("//*[@*[name()='hx-sse:connect']]")
        assert stream.get("id") == "live" and stream.get("hx-sse:close") == "end"
        assert stream.get("hx-swap") == "none" and "every" in stream.get("hx-trigger"), "a failed start is tried again"


def test_a_page_without_open_jobs_has_no_stream(site):
    for path in ("/create", "/"):
        (stream,) = site.page(path).xpath("//*[@id='live']")
        assert stream.get("hx-sse:connect") is None


def test_a_connection_begins_with_every_card_as_it_is_now(site):
    runs = [site.studio.enqueue(GenerateRequest(prompt=text)) for text in ("a cat", "a <b>dog</b>\n\ndata: x")]
    for run in runs:
        site.studio.runs.cancel(run.id)
    for card in ("create", "job", "nosuch"):
        query = {"run": [run.id for run in runs], "card": card}
        response = site.client.get("/jobs/events", params=query, headers=STREAM)
        assert response.headers["content-type"].startswith("text/event-stream")
        events = parsed(response.content)
        found = cards(events)
        assert list(found) == [f"#run-{run.id}" for run in runs] + ["#live"]
        assert "stopped" in found[f"#run-{runs[0].id}"][0].text_content()
        assert not found[f"#run-{runs[1].id}"][0].xpath(".//b")
        assert events[-1]["event"] == "end" and [event for event in events if "event" in event] == events[-1:]


def test_the_stage_the_steps_and_the_time_left_are_shown(site):
    run = site.studio.enqueue(GenerateRequest(prompt="a cat"))
    queue = Queue(site.studio.store)
    ((_, lease),) = queue.claim("worker", 1)
    site.studio.store.add_event(run.id, Stage(name="generating", total=40, unit="steps"), lease)
    time.sleep(1.1)
    queue.renew([(lease, Progress(done=10))])
    (job,) = site.page("/create").xpath("//article")
    assert job.xpath(".//progress/@value") == ["10"] and job.xpath(".//progress/@max") == ["40"]
    assert "generating 10 of 40, about 5 s left" in " ".join(job.text_content().split())


@pytest.mark.slow
def test_a_stream_sends_what_changes_and_ends_with_the_last_job(home):
    site = site_of(home)
    run = site.studio.enqueue(GenerateRequest(prompt="a cat"))
    queue = Queue(site.studio.store)
    ((_, lease),) = queue.claim("worker", 1)

    def work():
        time.sleep(0.5)
        site.studio.store.add_event(run.id, Stage(name="generating", total=4), lease)
        queue.renew([(lease, Progress(done=1))])
        time.sleep(1)
        queue.renew([(lease, Progress(done=3))])
        time.sleep(1)
        queue.finish(lease, "done")

    thread = threading.Thread(target=work)
    thread.start()
    response = site.client.get("/jobs/events", params={"run": run.id, "card": "create"}, headers=STREAM)
    thread.join()
    sent = cards(parsed(response.content))[f"#run-{run.id}"]
    steps = [each.xpath(".//progress/@value") for each in sent]
    assert ["1"] in steps and ["3"] in steps and "done" in sent[-1].text_content()
    site.studio.close()


def test_a_stream_shows_no_job_of_another_account(guarded):
    run = guarded.studio.enqueue(GenerateRequest(prompt="a secret cat"))
    assert guarded.client.get("/jobs/events", params={"run": run.id}, headers=STREAM).status_code == 401
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.post("/sign-in", data={"key": secret})
    response = guarded.client.get("/jobs/events", params={"run": [run.id, "nosuch"]}, headers=STREAM)
    assert response.status_code == 200 and "secret" not in response.text
    assert list(cards(parsed(response.content))) == ["#live"]


def test_a_new_job_opens_a_stream_for_all_open_ones(site):
    old = site.studio.enqueue(GenerateRequest(prompt="a dog"))
    response = site.client.post("/create", data={"prompt": "a cat"}, headers=PART)
    (part,) = html.fromstring(response.text).xpath("//hx-partial[@hx-target='#live']/*")
    new = site.studio.runs.list(1)[0]
    assert f"run={old.id}" in part.get("hx-sse:connect") and f"run={new.id}" in part.get("hx-sse:connect")
