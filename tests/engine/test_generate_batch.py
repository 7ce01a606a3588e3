"""Requests that the studio runs in one batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner import GenerateRequest, Studio
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated
from limner.core.runs import Status
from limner.provenance.labels import read_label


@pytest.fixture
def requests(tiny_sd):
    """Two requests of one batch key."""
    fields = {"model": str(tiny_sd), "steps": 2, "seed": 3, "width": 32, "height": 32, "batch": 2}
    return [GenerateRequest(prompt=prompt, **fields) for prompt in ("a cat", "a red mug")]


def test_each_request_has_its_own_run_image_and_events(home, tmp_path, requests):
    studio, made = Studio(), {}

    def listen(number, event):
        if isinstance(event, ArtifactCreated):
            made[number] = event.path

    runs = studio.run_batch(requests, tmp_path / "out", listener=listen)
    assert [run.status for run in runs] == [Status.DONE, Status.DONE]
    for number, (run, request) in enumerate(zip(runs, requests, strict=True)):
        shown, artifacts = studio.runs.show(run.id)
        assert shown.request == request and [artifact.path for artifact in artifacts] == [made[number]]
    assert len(set(made.values())) == 2
    assert [read_label(Path(path)).together for path in made.values()] == [2, 2]


def test_what_is_stopped_is_recorded_as_interrupted(home, tmp_path, requests):
    studio = Studio()
    with pytest.raises(Interrupted):
        studio.run_batch(requests, tmp_path / "out", stop=lambda: True)
    assert [run.status for run in studio.runs.list()] == [Status.INTERRUPTED] * 2


def test_one_that_fails_leaves_the_other(home, tmp_path, requests):
    studio = Studio()

    def listen(number, event):
        if number == 0 and isinstance(event, ArtifactCreated):
            raise OSError("the disk is full")

    with pytest.raises(Exception, match="the disk is full"):
        studio.run_batch(requests, tmp_path / "out", listener=listen)
    status = {run.request.prompt: run.status for run in studio.runs.list()}
    assert status == {"a cat": Status.FAILED, "a red mug": Status.DONE}
