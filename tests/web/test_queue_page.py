"""The queue: every state of a job, every action, and the page of a job with what it made."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from lxml import html
from sqlalchemy import update

import serving
from browsing import PHONE, opened, overflow, serious_findings
from limner.core.accounts import Caller, Role
from limner.core.events import ArtifactCreated, ArtifactKind, Notice, Progress, Restarted, Stage
from limner.core.requests import GenerateRequest, PrepareRequest, SweepRequest, TrainRequest
from limner.core.runs import INTERNAL_ERROR, WORKERS_DIED, Status
from limner.store.queue import LEASE, SILENCE, Queue
from limner.store.tables import RunRow
from limner.studio.studio import Studio
from limner.web import live
from limner.web.jobs import advice_of, duration, event_view, state_of, times_of
from limner.web.own_adapters import RunTexts
from pages import PART, streamed, text_of, tree

HOSTILE = "<script>alert(1)</script>\"' onerror=alert(1) {{ 7*7 }} <img src=x>"


def generate(site, prompt: str = "a cat", **options):
    return site.studio.enqueue(GenerateRequest(prompt=prompt), **options)


def claim(site, worker: str = "w"):
    return Queue(site.studio.store).claim(worker)[0]


def finish(site, status: Status, error: str | None = None, internal: bool = False):
    run, lease = claim(site)
    return Queue(site.studio.store).finish(lease, status, error, internal) and run


def die(site, run_id: str) -> None:
    """Let the lease expire, as after `kill -9` of the worker."""
    with site.studio.store.writing() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(RunRow).where(RunRow.id == run_id).values(lease=past))


def entry(site, run_id: str, **query: str):
    (found,) = site.page("/queue", params=query).xpath(f"//article[@id='job-{run_id}']")
    return found


def order(site, **query: str) -> list[str]:
    page = site.page("/queue", params=query)
    return [each.removeprefix("job-") for each in page.xpath("//article/@id")]


def buttons(element) -> list[str]:
    return [text_of(each) for each in element.xpath(".//button[not(@disabled)]")]


def sign_in(guarded, account: str, role: Role = Role.MAKER):
    guarded.client.cookies.clear()
    _, secret = guarded.studio.accounts.add_key(account, role)
    assert guarded.client.post("/sign-in", data={"key": secret}).status_code == 303


def test_an_empty_queue_says_what_to_do_first(site):
    page = site.page("/queue")
    assert page.xpath("//div[@class='empty']//a/@href") == ["/create"] and not page.xpath("//*[@hx-get]")
    filtered = site.page("/queue", params={"status": "failed"})
    assert filtered.xpath("//div[@class='empty']//a/@href") == ["/queue"]


def test_waiting_jobs_have_their_place(site):
    first, second = generate(site, "one"), generate(site, "two")
    assert order(site) == [first.id, second.id]
    job = entry(site, second.id)
    assert job.get("data-state") == "queued" and job.xpath(".//span[@class='place']/text()") == ["2"]
    assert "waiting for" in text_of(job) and "Images" in text_of(job)


def test_a_running_job_shows_its_progress(site):
    run = generate(site)
    _, lease = claim(site)
    Queue(site.studio.store).renew([(lease, Progress(done=3, total=10))])
    job = entry(site, run.id)
    assert job.get("data-state") == "running" and "running for" in text_of(job)
    (bar,) = job.xpath(".//progress")
    assert (bar.get("value"), bar.get("max")) == ("3", "10") and buttons(job) == ["Stop"]


def test_a_running_job_shows_its_stage_the_time_left_and_a_preview(site, tmp_path):
    run = generate(site)
    _, lease = claim(site)
    site.studio.store.add_event(run.id, Stage(name="generating", total=40), lease)
    preview = made(site, run, lease, ArtifactKind.PREVIEW, "p.png", b"\x89PNG preview", tmp_path)
    time.sleep(1.1)
    Queue(site.studio.store).renew([(lease, Progress(done=10))])
    address = f"/v1/files/{preview.removeprefix('sha256:')}"
    for job in (entry(site, run.id), site.page(f"/runs/{run.id}").xpath("//article")[0]):
        assert re.search(r"generating 10 of 40, about \d+ s left", text_of(job))
        assert job.xpath(".//img/@src") == [address]
    die(site, run.id)
    assert not entry(site, run.id).xpath(".//progress | .//img"), "nobody works on it"


@pytest.mark.parametrize("query", [{}, {"kind": "generate"}, {"status": "queued"}])
def test_a_stream_begins_with_the_jobs_as_they_are_now(site, query):
    run = generate(site)
    place = site.page("/queue", params=query).xpath("//*[@id='live']/@*[name()='hx-sse:connect']")[0]
    (sent,) = streamed(site, place)
    assert sent.get("hx-target") == "#jobs" and sent.xpath("//article/@id") == [f"job-{run.id}"]
    site.studio.runs.cancel(run.id)
    (sent,) = streamed(site, place)
    assert sent.xpath("//article/@data-state") == ([] if "status" in query else ["cancelled"])


@pytest.mark.slow
def test_a_stream_of_the_queue_sends_what_changes_and_new_jobs(site, monkeypatch):
    monkeypatch.setattr(live, "TIMES", 60.0)
    run = generate(site)
    sent = streamed(site, "/queue/events", 4.5, lambda: (claim(site), generate(site, "new")))
    assert [each.xpath("//article/@data-state") for each in (sent[0], sent[-1])] == [["queued"], ["running", "queued"]]
    assert len(sent) <= 3, "it sends nothing while nothing changes"
    assert sent[-1].xpath("//article/@id")[0] == f"job-{run.id}"


def test_a_stream_of_a_job_ends_with_its_results(site):
    run = generate(site)
    _, lease = claim(site)
    assert site.page(f"/runs/{run.id}").xpath("//*[@id='live']/@*[name()='hx-sse:close']") == ["end"]

    def end():
        site.studio.store.add_event(run.id, Notice(text="the seed is 3"), lease)
        Queue(site.studio.store).finish(lease, Status.FAILED, "no memory; choose a smaller size")

    sent = streamed(site, f"/runs/{run.id}/live", 3, end)
    first, last = (next(each for each in part if each.xpath(".//article")) for part in (sent, sent[::-1]))
    assert first.xpath(".//article/@data-state") == ["running"] and first.xpath(".//progress")
    assert last.xpath(".//article/@data-state") == ["failed"] and "the seed is 3" in text_of(last)
    assert buttons(last) == ["Try again"]
    assert sent[-1].get("hx-target") == "#live" and not sent[-1].xpath("//@*[name()='hx-sse:connect']")
    assert not site.page(f"/runs/{run.id}").xpath("//@*[name()='hx-sse:connect']"), "it has ended"


def test_pages_without_javascript_lead_to_what_is_now(site):
    run = generate(site)
    for path in ("/queue", f"/runs/{run.id}"):
        assert site.page(path).xpath("//noscript//a/@href") == [path]


def test_an_action_goes_back_to_where_it_was_sent_from(site):
    run = generate(site)

    def target(header: str, place: str) -> str:
        answer = site.client.post(f"/runs/{run.id}/cancel", headers={header: f"http://127.0.0.1{place}"})
        return answer.headers["location"]

    for header in ("Referer", "HX-Current-URL"):
        assert target(header, "/queue?kind=generate&stopped=x&a=b") == "/queue?kind=generate&stopped=x"
        assert target(header, f"/runs/{run.id}") == f"/runs/{run.id}" and target(header, "/") == "/"
        for other in ("/queue", "/gallery", "//evil.example/queue/", "/runs/a/b", ""):
            assert target(header, other) == "/queue", other


def test_actions_of_an_open_page_change_only_its_jobs(site):
    a, b = generate(site, "a"), generate(site, "b")
    answer = site.client.post(f"/runs/{b.id}/up", headers=PART, follow_redirects=True)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert [each.removeprefix("job-") for each in tree(answer).xpath("//article/@id")] == [b.id, a.id]
    here = {**PART, "HX-Current-URL": f"http://127.0.0.1/runs/{a.id}"}
    site.client.post(f"/runs/{a.id}/cancel", headers=here)
    answer = site.client.post(f"/runs/{a.id}/retry", headers=here, follow_redirects=True)
    page = html.fragments_fromstring(answer.text)
    assert page[0].xpath(".//article/@data-state") == ["queued"], "a job that runs again has a stream again"
    assert page[1].xpath(".//@*[name()='hx-sse:connect']") == [f"/runs/{a.id}/live"]


@pytest.mark.parametrize(
    ("status", "error", "internal", "state", "advice"),
    [
        (Status.DONE, None, False, "done", ""),
        (Status.FAILED, "the model 'x' is unknown; choose another one", False, "failed", "choose another one"),
        (Status.FAILED, f"{INTERNAL_ERROR}: KeyError", True, "failed", "a fault of Limner"),
        (Status.FAILED, f"{INTERNAL_ERROR}: 3 {WORKERS_DIED}", True, "failed", "memory ran out"),
        (Status.FAILED, "no memory", False, "failed", "or change the request"),
        (Status.INTERRUPTED, "the program that executed it ended", False, "interrupted", "starts it anew"),
        (Status.CANCELLED, None, False, "cancelled", ""),
    ],
)
def test_an_ended_job_says_how_and_what_to_do(site, status, error, internal, state, advice):
    generate(site)
    run = finish(site, status, error, internal)
    for job in (entry(site, run.id), site.page(f"/runs/{run.id}").xpath("//article")[0]):
        assert job.get("data-state") == state
        assert [text_of(each) for each in job.xpath(".//p[@class='error']")] == ([error] if error else [])
        assert advice in text_of(job)
        assert buttons(job) == ([] if status is Status.DONE else ["Try again"])
        changes = job.xpath(".//a[text()='Change it']/@href")
        assert changes == ([f"/create?seed=42&prompt=a+cat&failed={run.id}"] if status is Status.FAILED else [])
    assert "took 0 s" in text_of(entry(site, run.id))


def test_change_it_says_above_the_form_why_the_job_failed(site):
    generate(site)
    run = finish(site, Status.FAILED, "no memory for --width 4096; choose a smaller size")
    (place,) = entry(site, run.id).xpath(".//a[text()='Change it']/@href")
    page = site.page(place)
    (line,) = page.xpath("//form[@id='create']/p[@class='error']")
    assert text_of(line) == "The job failed: no memory for \u201cWidth\u201d 4096; choose a smaller size"
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a cat"
    for other in ("x", "../x", "%00", ""):
        assert not site.page(f"/create?prompt=a&failed={other}").xpath("//form[@id='create']/p[@class='error']")


def test_why_the_job_of_another_failed_is_not_shown(guarded):
    run = guarded.studio.enqueue(GenerateRequest(prompt="a cat"), caller=Caller(account="ann", role=Role.MAKER))
    finish(guarded, Status.FAILED, "a secret reason")
    for account, told in (("bob", False), ("ann", True)):
        sign_in(guarded, account)
        assert ("a secret reason" in text_of(guarded.page(f"/create?prompt=a&failed={run.id}"))) is told


def test_a_training_that_was_stopped_resumes(site):
    site.studio.enqueue(TrainRequest(data=f"folder:{'b' * 64}", class_word="dog", identifier="sks"))
    run = finish(site, Status.CANCELLED)
    job = entry(site, run.id)
    assert buttons(job) == ["Resume"] and "continues from its last checkpoint" in text_of(job)
    waiting = site.studio.enqueue(TrainRequest(data=f"folder:{'b' * 64}", class_word="cat", identifier="sks"))
    site.studio.runs.cancel(waiting.id)
    job = entry(site, waiting.id)
    assert buttons(job) == ["Try again"] and "stopped just now, before it began" in text_of(job)


def test_the_title_of_a_preparation_has_no_hash(site):
    run = site.studio.enqueue(PrepareRequest(sources=(f"folder:{'b' * 64}",), class_word="dog"))
    assert text_of(entry(site, run.id).xpath(".//a")[0]) == "Prepare images of dog"


def test_a_job_whose_worker_was_killed_waits_in_the_first_place(site):
    run, other = generate(site, "one"), generate(site, "two")
    claim(site)
    die(site, run.id)
    page = site.page("/queue")
    assert not page.xpath("//section[@aria-labelledby='running']")
    assert order(site) == [run.id, other.id]
    job = entry(site, run.id)
    assert job.get("data-state") == "lost" and "waiting again" in text_of(job) and "running for" not in text_of(job)
    assert job.xpath(".//span[@class='place']/text()") == ["1"] and "next free worker" in text_of(job)
    assert "next free worker" in text_of(site.page(f"/runs/{run.id}"))
    claim(site, "another")
    assert "Attempt 2" in text_of(entry(site, run.id))


def test_a_killed_job_that_nobody_takes_up_can_be_stopped(site):
    run = generate(site)
    claim(site)
    die(site, run.id)
    assert site.client.post(f"/runs/{run.id}/cancel").status_code == 303
    assert entry(site, run.id).get("data-state") == "cancelled"


def test_a_running_job_that_was_cancelled_is_stopping(site):
    run = generate(site)
    claim(site)
    site.client.post(f"/runs/{run.id}/cancel")
    job = entry(site, run.id)
    assert job.get("data-state") == "stopping" and buttons(job) == [] and "current step" in text_of(job)


def test_a_worker_that_does_not_answer_is_said_before_its_lease_ends(site):
    run = generate(site)
    Queue(site.studio.store).claim("worker", 1)
    assert entry(site, run.id).get("data-state") == "running"
    with site.studio.store.session() as session:
        session.execute(update(RunRow).values(lease=datetime.now(UTC) + LEASE - SILENCE - timedelta(seconds=1)))
    job = entry(site, run.id)
    assert job.get("data-state") == "silent" and "does not answer" in text_of(job) and "Stop" in buttons(job)
    site.client.post(f"/runs/{run.id}/cancel")
    assert entry(site, run.id).get("data-state") == "stopping"


def test_a_training_is_told_in_plain_words_and_its_newest_preview_once(site, tmp_path):
    site.studio.enqueue(TrainRequest(data=f"folder:{'b' * 64}", class_word="dog", identifier="sks"))
    run, lease = claim(site)
    line = "8 images, 1 of them held out; 400 steps of 4 at 128 px, learning rate 0.001"
    for text in (line, "12 images, 3 with a caption; 50 steps of 1 at 64 px", "few images"):
        site.studio.store.add_event(run.id, Notice(text=text), lease)
    first = made(site, run, lease, ArtifactKind.PREVIEW, "1.png", b"\x89PNG first", tmp_path, step=20)
    newest = made(site, run, lease, ArtifactKind.PREVIEW, "2.png", b"\x89PNG newest", tmp_path, step=40)
    page = site.page(f"/runs/{run.id}")
    assert [text_of(each) for each in page.xpath("//article/p[@class='notice']")] == [
        "It learns from 7 images in 400 small steps. 1 more is kept aside, to see what it has learned.",
        "It learns from 12 images in 50 small steps.",
        "few images",
    ]
    assert line in text_of(page.xpath("//article/details")[0])
    for reference, times in ((first, 1), (newest, 1)):
        assert len(page.xpath(f"//img[contains(@src, '{reference.removeprefix('sha256:')}')]")) == times
    Queue(site.studio.store).finish(lease, Status.DONE)
    assert len(site.page(f"/runs/{run.id}").xpath("//section[h2='Previews']//img")) == 2


@pytest.mark.slow
def test_a_job_that_was_put_back_waits_again(site):
    run = generate(site)
    _, lease = claim(site)
    die(site, run.id)
    _, lease = claim(site)
    Queue(site.studio.store).release(lease)
    assert "continues when a worker is free" in text_of(entry(site, run.id))


def test_jobs_change_places(site):
    a, b, c = (generate(site, name) for name in "abc")
    assert buttons(entry(site, a.id))[-1] == "↓ Down" and buttons(entry(site, c.id))[-1] == "↑ Up"
    assert site.client.post(f"/runs/{c.id}/up").status_code == 303
    assert order(site) == [a.id, c.id, b.id]
    site.client.post(f"/runs/{a.id}/down")
    assert order(site) == [c.id, a.id, b.id] and claim(site)[0].id == c.id
    late = site.client.post(f"/runs/{c.id}/up")
    assert late.status_code == 409 and "does not wait any more" in text_of(tree(late))
    assert "↑ Up" not in buttons(entry(site, b.id, kind="generate")), "places are of the whole queue"


def test_stop_after_this_can_be_undone(site):
    a, b, c = (generate(site, name) for name in "abc")
    claim(site)
    assert "Stop all after this" in buttons(entry(site, a.id)) and "Stop all after this" not in buttons(
        entry(site, c.id)
    )
    response = site.client.post(f"/runs/{a.id}/stop-after")
    states = {run.id: run.status for run in site.studio.runs.list()}
    assert states == {a.id: Status.RUNNING, b.id: Status.CANCELLED, c.id: Status.CANCELLED}
    page = site.page(response.headers["location"])
    (undo,) = page.xpath("//form[@class='undo']")
    assert "2 waiting jobs were stopped" in text_of(undo)
    later = site.client.post(
        f"/runs/{a.id}/cancel", headers={"Referer": f"http://127.0.0.1{response.headers['location']}"}
    )
    assert "2 waiting jobs were stopped" in text_of(site.page(later.headers["location"])), "other actions leave it"
    back = site.client.post(undo.get("action"), data={"run": undo.xpath(".//input/@value")})
    assert back.status_code == 303
    assert not site.page(response.headers["location"]).xpath("//form[@class='undo']"), "they are back"
    assert {run.status for run in site.studio.runs.list()} == {Status.RUNNING, Status.QUEUED}


def test_stop_after_a_waiting_job_spares_it_and_those_before(site):
    a, b, c = (generate(site, name) for name in "abc")
    site.client.post(f"/runs/{b.id}/stop-after")
    assert [site.studio.runs.get(run.id).status for run in (a, b, c)] == ["queued", "queued", "cancelled"]


def counts_of(part) -> list[str]:
    return [text_of(each) for each in part.xpath(".//div[@aria-label='State']/a")]


@pytest.mark.slow
def test_the_counts_of_the_filters_follow_the_jobs(site):
    kept, other = generate(site, "one"), generate(site, "two")
    stopped = generate(site, "three")
    site.studio.runs.cancel(stopped.id)
    page = site.page("/queue", params={"stopped": stopped.id})
    assert counts_of(page) == ["all 3", "waiting 2", "stopped 1"]
    (place,) = page.xpath("//*[@id='live']/@*[name()='hx-sse:connect']")
    sent = streamed(site, place, 4, lambda: site.studio.runs.cancel(other.id))
    assert counts_of(sent[0]) == ["all 3", "waiting 2", "stopped 1"]
    assert counts_of(sent[-1]) == ["all 3", "waiting 1", "stopped 2"]
    links = sent[-1].xpath(".//div[@aria-label='State']/a/@href")
    assert links and all(f"stopped={stopped.id}" in link for link in links), "they can still be put back"
    part = tree(site.client.get("/queue", headers=PART))
    assert counts_of(part) == ["all 3", "waiting 1", "stopped 2"], "the answer to a button"
    site.studio.runs.cancel(kept.id)
    assert not counts_of(streamed(site, "/queue/events")[0]), "one state is no choice"


@pytest.mark.slow
def test_the_counts_follow_jobs_that_the_list_does_not_show(site):
    generate(site, "one")
    other = generate(site, "two")
    sent = streamed(site, "/queue/events?status=failed", 4, lambda: site.studio.runs.cancel(other.id))
    assert [text_of(each) for each in sent[-1].xpath(".//a[@id='state-cancelled']")] == ["stopped 1"]


def test_filters_by_state_and_kind(site):
    failed = generate(site)
    finish(site, Status.FAILED, "no memory")
    waiting = generate(site)
    sweep = site.studio.enqueue(SweepRequest(prompt=("a cat",), axis=("steps=1,2",)))
    assert order(site, status="failed") == [failed.id] and order(site, status="queued") == [waiting.id, sweep.id]
    assert order(site, kind="sweep") == [sweep.id] and order(site, status="running") == []
    page = site.page("/queue", params={"kind": "sweep"})
    chips = {
        group: [text_of(each) for each in page.xpath(f"//div[@aria-label='{group}']/a")] for group in ("State", "Kind")
    }
    assert chips == {"State": [], "Kind": ["all 3", "Images 2", "Series 1"]}, "one state is no choice"
    assert [text_of(each) for each in page.xpath("//div[@aria-label='Kind']/a[@aria-current]")] == ["Series 1"]
    assert "one setting changed" in text_of(page)
    both = site.page("/queue", params={"kind": "generate"})
    assert [text_of(each) for each in both.xpath("//div[@aria-label='State']/a")] == ["all 2", "waiting 1", "failed 1"]
    assert "/queue?kind=generate&status=failed" in both.xpath("//div[@aria-label='State']/a/@href")
    assert "/queue" in page.xpath("//div[@aria-label='Kind']/a/@href")
    for wrong in ({"kind": "<b>"}, {"status": "<b>"}, {"before": "nosuch"}):
        response = site.client.get("/queue", params=wrong)
        assert response.status_code in (404, 422) and "<b>" not in response.text


def test_older_jobs_are_on_the_next_page(site):
    runs = [generate(site, str(number)) for number in range(32)]
    for run in runs:
        site.studio.runs.cancel(run.id)
    assert order(site) == [run.id for run in runs[:1:-1]]
    (older,) = site.page("/queue", params={"kind": "generate"}).xpath("//a[text()='Older jobs']/@href")
    assert "kind=generate" in older
    assert site.page(older).xpath("//article/@id") == [f"job-{run.id}" for run in (runs[1], runs[0])]


def test_hostile_texts_are_shown_as_text(site):
    generate(site, HOSTILE)
    run, lease = claim(site)
    site.studio.store.add_event(run.id, Notice(text=HOSTILE), lease)
    site.studio.store.add_artifact(
        run.id, "report", f"/out/{HOSTILE}.html", "a" * 64, {"reference": f"sha256:{'a' * 64}"}
    )
    Queue(site.studio.store).finish(lease, Status.FAILED, HOSTILE)
    for path in ("/queue", f"/runs/{run.id}"):
        page = site.page(path)
        assert not page.xpath("//script[not(@src)] | //img[@src='x'] | //*[@onerror]"), path
        assert HOSTILE in page.text_content(), path


def test_accounts_see_and_change_their_own_jobs_only(guarded):
    theirs = generate(guarded, "the cat of ann", caller=Caller(account="ann", role=Role.MAKER))
    sign_in(guarded, "bob")
    mine = generate(guarded, "mine", caller=Caller(account="bob", role=Role.MAKER))
    late = generate(guarded, "late", caller=Caller(account="bob", role=Role.MAKER))
    page = guarded.page("/queue")
    assert "ann" not in text_of(page) and page.xpath("//span[@class='place']/text()") == ["2", "3"]
    for action in ("cancel", "retry", "up", "down", "stop-after"):
        assert guarded.client.post(f"/runs/{theirs.id}/{action}").status_code == 404
    assert guarded.client.post("/queue/restore", data={"run": theirs.id}).status_code == 404
    assert guarded.client.get(f"/runs/{theirs.id}").status_code == 404
    assert guarded.client.get(f"/runs/{theirs.id}/pages/{'a' * 64}").status_code == 404
    guarded.client.post(f"/runs/{late.id}/up")
    ids = [run.id for run in guarded.studio.runs.waiting(9)]
    assert ids == [theirs.id, late.id, mine.id], "the place of another account's job stays"
    guarded.client.post(f"/runs/{late.id}/stop-after")
    assert guarded.studio.runs.get(theirs.id).status is Status.QUEUED
    sign_in(guarded, "root", Role.ADMIN)
    assert {"by ann", "by bob"} <= {part for part in ("by ann", "by bob") if part in text_of(guarded.page("/queue"))}


def test_a_viewer_may_look_and_not_change(guarded):
    run = generate(guarded, caller=Caller(account="vic", role=Role.MAKER))
    sign_in(guarded, "vic", Role.VIEWER)
    assert guarded.client.get(f"/runs/{run.id}").status_code == 200
    for action in ("cancel", "up", "stop-after"):
        assert guarded.client.post(f"/runs/{run.id}/{action}").status_code == 403


def made(site, run, lease, kind: ArtifactKind, name: str, content: bytes, tmp_path, **details):
    file = tmp_path / name
    file.write_bytes(content)
    reference = site.studio.files.save(file)
    site.studio.store.add_artifact(
        run.id, kind, file, reference.removeprefix("sha256:"), {"reference": reference, **details}, lease
    )
    return reference


def test_the_page_of_a_job_has_all_that_it_made(site, tmp_path):
    site.studio.enqueue(TrainRequest(data=f"folder:{'b' * 64}", class_word="dog", identifier="sks", steps=7))
    run, lease = claim(site)
    adapter = {"reference": f"folder:{'c' * 64}", "trigger_words": ["sks"], "say": "a photo of sks dog"}
    site.studio.store.add_artifact(run.id, "adapter", "/out/sks-dog", "d" * 64, adapter, lease)
    preview = made(site, run, lease, ArtifactKind.PREVIEW, "p.png", b"\x89PNG preview", tmp_path, step=20)
    report = made(site, run, lease, ArtifactKind.REPORT, "best.html", b"<h1>Report</h1><script>1</script>", tmp_path)
    plot = made(site, run, lease, ArtifactKind.PLOT, "curves.png", b"\x89PNG plot", tmp_path)
    for event in (Stage(name="training", total=7), Notice(text="few images", level="warning"), Restarted(attempt=2)):
        site.studio.store.add_event(run.id, event, lease)
    Queue(site.studio.store).finish(lease, Status.DONE)
    page = site.page(f"/runs/{run.id}")
    assert text_of(page.xpath("//h1")[0]) == "Teach sks dog"
    (trial,) = page.xpath("//a[text()='Try it']/@href")
    form = site.page(trial)
    assert form.xpath("//input[@name='subject'][@checked]/@value") == [adapter["reference"]]
    assert form.xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a photo of sks dog"
    assert "Write “sks” in a prompt." in text_of(page)
    assert page.xpath(f"//a[@href='/v1/folders/{'c' * 64}']/@download") == ["sks-dog.zip"]
    images = page.xpath("//section[h2='Previews']//img/@src") + page.xpath("//section[h2='Plots']//img/@src")
    assert images == [f"/v1/files/{each.removeprefix('sha256:')}" for each in (preview, plot)]
    events = [text_of(each) for each in page.xpath("//ol[@class='events']/li")]
    assert [each.partition(" ")[2] for each in events] == [
        "Stage: training, 7 steps",
        "few images",
        "Started again, attempt 2",
    ]
    assert page.xpath("//li[@class='warning']") and "few images" in text_of(page.xpath("//article")[0])
    (opened,) = page.xpath("//a[text()='Open']/@href")
    shown = site.client.get(opened)
    assert shown.status_code == 200 and shown.content == b"<h1>Report</h1><script>1</script>"
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox ") and "allow-same-origin" not in policy and "default-src 'none'" in policy
    assert shown.headers["content-type"].startswith("text/html") and opened.endswith(report.removeprefix("sha256:"))
    other = preview.removeprefix("sha256:")
    assert site.client.get(f"/runs/{run.id}/pages/{other}").status_code == 404, "only reports open as pages"


def test_the_request_as_command_json_and_python(site):
    run = site.studio.enqueue(
        TrainRequest(data=f"folder:{'b' * 64}", class_word="dog", identifier="comet", prior=False, options={"rank": 4})
    )
    texts = {
        text_of(each.xpath("summary")[0]): each.xpath(".//code")[0].text_content()
        for each in site.page(f"/runs/{run.id}").xpath("//details")
    }
    assert texts["Command"] == (f"limner train folder:{'b' * 64} --class dog --identifier comet --no-prior --rank 4")
    body = json.loads(texts["JSON"])
    assert body["kind"] == "train" and body["options"] == {"rank": 4} and "steps" not in body
    assert "TrainRequest(" in texts["Python"]
    again = site.client.post("/v1/runs", json=body)
    assert again.status_code == 202 and site.studio.runs.get(again.json()["id"]).request == run.request


def test_a_sweep_as_a_command(site):
    run = site.studio.enqueue(SweepRequest(prompt=("a cat",), axis=("steps=1,2",)))
    assert "--axis steps=1,2" in text_of(site.page(f"/runs/{run.id}"))
    values = [{"field": "prompt", "values": ["a cat, sitting", "a dog"]}]
    commas = site.studio.enqueue(SweepRequest(prompt=("a cat",), axis=values))
    page = site.page(f"/runs/{commas.id}")
    assert [text_of(each) for each in page.xpath("//div[@class='copied']//summary")] == ["JSON", "Python"], (
        "no command can say it"
    )


def test_a_run_of_the_command_line_has_no_paths_and_no_buttons(site):
    run = site.studio.store.create(GenerateRequest(prompt="a cat", image="/home/ann/secret/cat.png"))
    site.studio.store.update(run.id, status=Status.FAILED, error="'/home/ann/secret/cat.png' does not exist")
    page = site.page(f"/runs/{run.id}")
    assert "/home/ann" not in text_of(page) and "cat.png" in text_of(page)
    assert not page.xpath("//main//button") and "the command line" in text_of(page)
    assert site.client.post(f"/runs/{run.id}/retry").status_code == 409


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (3900, "1 h 5 min"), (90000, "1 day 1 h"), (-5, "0 s")],
)
def test_lengths_of_time_in_words(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text


def test_what_the_events_of_a_run_made_has_no_path(site):
    run = generate(site)
    event = ArtifactCreated(what=ArtifactKind.IMAGE, path="/srv/a/0001.png", sha256="a" * 64)
    assert event_view(run, 1, run.created, event, RunTexts(site.studio)).text == "Made: image 0001.png"
    assert state_of(run, site.studio.runs.states([run.id])[run.id])[0] == "queued"
    assert advice_of(run) == "" and times_of(run).startswith("waiting for")


def every_state(site) -> list[str]:
    """A job in every state; the ids of those that wait, in their order."""
    for status in (Status.DONE, Status.FAILED, Status.INTERRUPTED):
        generate(site, f"{status} cat")
        finish(site, status, None if status is Status.DONE else "no memory; choose a smaller size")
    lost, running = generate(site, "lost cat"), generate(site, "running cat")
    claim(site)
    claim(site, "v")
    die(site, lost.id)
    site.studio.runs.cancel(generate(site, "stopped cat").id)
    assert site.studio.runs.get(running.id).status is Status.RUNNING
    return [generate(site, "a cat " + "with a long prompt " * number).id for number in (1, 9, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_the_queue_fits_and_has_no_serious_finding(home, browser, device, scheme):
    with serving.service(home, workers=0) as running, closing(Studio(home)) as studio:
        every_state(SimpleNamespace(studio=studio))
        with opened(browser, running.call.address, color_scheme=scheme, **device) as page:
            for place in ("/queue", *(f"/runs/{run.id}" for run in studio.runs.list(20))):
                page.goto(place)
                assert overflow(page) == 0, place
                assert serious_findings(page) == [], place


@pytest.mark.slow
def test_a_script_that_comes_late_does_not_keep_the_page_from_its_stream(home, browser):
    with serving.service(home, workers=0) as running, opened(browser, running.call.address) as page:

        def late(route) -> None:
            time.sleep(0.5)
            route.continue_()

        page.route("**/hx-sse.min.js", late)
        with page.expect_request("**/queue/events"):
            page.goto("/queue")


@pytest.mark.slow
def test_an_open_queue_follows_what_happens(home, browser):
    with serving.service(home, workers=0) as running, closing(Studio(home)) as studio:
        site = SimpleNamespace(studio=studio)
        first, second, third = every_state(site)
        with opened(browser, running.call.address) as page:
            page.goto("/queue")
            page.locator(f"#job-{third}").get_by_role("button", name="Move up").focus()
            page.keyboard.press("Enter")
            page.locator(f"#job-{first} + #job-{third} + #job-{second}").wait_for()
            assert page.evaluate("document.activeElement.id") == f"up-{third}", "the keyboard stays where it was"
            late = generate(site, "late").id
            page.locator(f"#job-{second} + #job-{late}").wait_for()
            assert page.evaluate("document.activeElement.id") == f"up-{third}"
            studio.runs.cancel(late)
            studio.runs.cancel(third)
            page.locator(f"section[aria-labelledby=ended] #job-{third}").wait_for()
            for run in (first, second):
                studio.runs.cancel(run)
            page.locator(f"section[aria-labelledby=ended] #job-{second}").wait_for()
