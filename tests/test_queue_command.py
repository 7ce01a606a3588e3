"""The commands of the queue: its jobs in order, stopped, moved, resumed, with the words of the page Queue."""

from __future__ import annotations

import pytest

from gallery import add_image
from limner.core.accounts import Caller
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.studio.studio import Studio


@pytest.fixture
def studio(home):
    made = Studio(home)
    yield made
    made.close()


def enqueue(studio, *prompts: str, owner: str = "") -> list[str]:
    return [studio.enqueue(GenerateRequest(prompt=each), caller=Caller(account=owner)).id for each in prompts]


def order(limner) -> list[str]:
    """The prompts as `limner queue` lists them."""
    lines = limner("queue").out.splitlines()[1:]
    return [line.split()[-1] for line in lines]


def test_the_queue_is_listed_in_its_order_with_states(limner, studio):
    assert "the queue is empty" in limner("queue").out
    ids = enqueue(studio, "first", "second", "third")
    Queue(studio.store).claim("w")
    studio.store.create(GenerateRequest(prompt="of the command line"))
    lines = limner("queue").out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["-", ids[0], "generate", "running"],
        ["1", ids[1], "generate", "queued"],
        ["2", ids[2], "generate", "queued"],
    ]
    studio.runs.cancel(ids[0])
    assert "stopping" in limner("queue").out


def test_jobs_are_moved_by_one_place_or_to_an_end(limner, studio):
    ids = enqueue(studio, "a", "b", "c", "d")
    assert limner("queue", "up", ids[2]).out == f"{ids[2]} is number 2 of the queue.\n"
    assert order(limner) == ["a", "c", "b", "d"]
    assert limner("queue", "up", ids[3], "--first").out == f"{ids[3]} is number 1 of the queue.\n"
    assert limner("queue", "down", ids[0]).out == f"{ids[0]} is number 3 of the queue.\n"
    assert order(limner) == ["d", "c", "a", "b"]
    assert limner("queue", "down", ids[3], "--last").out == f"{ids[3]} is number 4 of the queue.\n"
    assert limner("queue", "up", ids[2]).out == f"{ids[2]} is number 1 of the queue.\n", "it is the first one already"
    studio.runs.cancel(ids[0])
    assert "does not wait any more" in limner("queue", "up", ids[0]).error


def test_jobs_are_stopped_and_resumed(limner, studio):
    ids = enqueue(studio, "a", "b", "c")
    Queue(studio.store).claim("w")
    assert limner("queue", "stop", *ids[:2]).out.splitlines() == [
        f"{ids[0]} stops after its current step.",
        f"{ids[1]} is stopped.",
    ]
    assert limner("queue", "resume", ids[1]).out == f"{ids[1]} waits again.\n"
    assert studio.runs.get(ids[1]).status is Status.QUEUED
    assert "only failed, interrupted and cancelled runs" in limner("queue", "resume", ids[2]).error


def test_those_behind_a_job_are_stopped_of_the_same_account_only(limner, studio):
    before, job, mine = enqueue(studio, "a", "b", "c", owner="ann")
    (other,) = enqueue(studio, "d", owner="ben")
    assert limner("queue", "stop-after", job).out == f"{mine} is stopped.\n"
    assert [studio.runs.get(each).status for each in (before, job, other)] == [Status.QUEUED] * 3
    assert limner("queue", "stop-after", job).out == "no job waits behind it\n"


@pytest.mark.parametrize("command", ["stop", "up", "down", "stop-after", "resume"])
def test_a_run_outside_of_the_queue_is_refused_before_anything_is_done(limner, studio, command):
    (job,) = enqueue(studio, "a")
    local = studio.store.create(GenerateRequest(prompt="b")).id
    given = [job, local] if command in ("stop", "resume") else [local]
    assert "is not in the queue" in limner("queue", command, *given).error
    assert "unknown run" in limner("queue", command, "nosuch").error
    assert studio.runs.get(job).status is Status.QUEUED
    if command in ("stop", "resume"):
        assert f"no job is given; write: limner queue {command} RUN" in limner("queue", command).error


def test_one_image_is_erased_and_the_others_of_its_run_stay(limner, studio):
    one = add_image(studio)
    run = studio.runs.get(studio.store.artifacts()[0].run)
    other = add_image(studio, run=run)
    assert "image " in limner("erase", f"image:{one}", "--dry-run").out and len(studio.store.artifacts()) == 2
    said = limner("erase", f"image:{one}").out.splitlines()
    assert said[0] == f"image {one}" and said[1].startswith("erased: 0 runs, 1 image, 1 files")
    assert [each.id for each in studio.store.artifacts()] == [other]
    assert "there is no image" in limner("erase", f"image:{one}").error
    assert limner("erase", f"image:{other}").out.startswith(f"run {run.id}"), "its run has no other image"
