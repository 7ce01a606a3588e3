"""Improvements that learnt from feedback which is erased: they are found, marked and queued again."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from limner.core.accounts import Caller, Role
from limner.core.improve import ERASED_TAG
from limner.core.requests import ImproveRequest
from limner.core.runs import Run, Status
from limner.store.accounts import shared_secret
from limner.store.erase import EraseSelection
from limner.store.improvements import LOW_PRIORITY
from limner.store.preferences import pseudonym
from limner.studio.studio import Studio

ANN, BOB = EraseSelection(owner="ann"), Caller(account="bob", role=Role.MAKER)


@pytest.fixture
def studio(home) -> Studio:
    return Studio()


def request(**fields) -> ImproveRequest:
    return ImproveRequest.model_validate({"target": "starter", **fields})


def improved(studio: Studio, *accounts: str, queue: bool = True, **fields) -> Run:
    """A finished improvement of the model starter by the feedback of accounts."""
    run = studio.enqueue(request(**fields), caller=BOB) if queue else studio.store.create(request(**fields))
    place = studio.home / f"{run.id}.json"
    secret = shared_secret(studio.store, "raters")
    place.write_text(json.dumps({"raters": [{"rater": pseudonym(secret, each)} for each in accounts]}))
    details = {"reference": studio.files.save(place)} if queue else {}
    studio.store.add_artifact(run.id, "scores", place, "a" * 64, details)
    if queue:
        place.unlink()
    return studio.store.update(run.id, status=Status.DONE)


def test_an_improvement_is_marked_and_queued_again_without_the_erased_feedback(studio):
    learnt, other = improved(studio, "ann", "cleo"), improved(studio, "cleo", seed=1)
    done = studio.maintenance.erase(ANN)
    assert done.learnt == [learnt.id] and list(done.again) == [learnt.id]
    assert ERASED_TAG in studio.runs.get(learnt.id).tags and ERASED_TAG not in studio.runs.get(other.id).tags
    again = studio.runs.get(done.again[learnt.id])
    assert (again.request, again.owner, again.queue) == (learnt.request, "bob", learnt.queue)
    assert again.status is Status.QUEUED and again.priority == LOW_PRIORITY < learnt.priority


def test_a_dry_run_marks_and_queues_nothing(studio):
    run = improved(studio, "ann")
    done = studio.maintenance.erase(ANN, dry=True)
    assert done.learnt == [run.id] and not done.again
    assert not studio.runs.get(run.id).tags and len(studio.runs.list()) == 1


def test_equal_improvements_are_queued_again_once(studio):
    both = {improved(studio, "ann").id, improved(studio, "ann").id}
    again = studio.maintenance.erase(ANN).again
    assert set(again) == both and len(set(again.values())) == 1
    assert len(studio.runs.list()) == 3


def test_a_deleted_improvement_is_not_queued_again(studio):
    run = improved(studio, "ann")
    selection = EraseSelection(runs=(run.id,), scope="bob")
    studio.maintenance.erasures.add("bob", selection, derived=False, after=timedelta(days=7))
    done = studio.maintenance.erase(ANN)
    assert done.learnt == [run.id] and not done.again


def test_improvements_of_the_erased_account_go_with_it(studio):
    improved(studio, "ann", "bob")
    done = studio.maintenance.erase(EraseSelection(owner="bob"))
    assert not done.learnt and not done.again and not studio.runs.list()


@pytest.mark.parametrize("fields", [{"account": "ann"}, {"queue": False}, {"queue": False, "source": "a.jsonl"}])
def test_what_would_not_improve_without_it_is_marked_only(studio, fields):
    run = improved(studio, "ann", **fields)
    done = studio.maintenance.erase(ANN)
    assert done.learnt == [run.id] and not done.again and len(studio.runs.list()) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"raters": 1}', '{"raters": [1, {"rater": []}]}', "[" * 100_000])
def test_a_damaged_record_stops_no_erasure(studio, text):
    run = improved(studio, "ann", queue=False)
    (studio.home / f"{run.id}.json").write_text(text)
    assert not studio.maintenance.erase(ANN).learnt


def test_the_command_line_names_what_improves_again(studio, capsys, tmp_path):
    from limner.cli import main

    queued, typed = improved(studio, "ann"), improved(studio, "ann", queue=False, steps=30, lesson="kto")
    file = improved(studio, "ann", queue=False, source=str(tmp_path / "a.jsonl"))
    with pytest.raises(SystemExit) as ended:
        main(["erase", "owner:ann"])
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    again = next(run.id for run in studio.runs.list() if run.status is Status.QUEUED)
    what = "starter, improved (run {}) learnt from feedback that was erased; "
    assert what.format(queued.id) + f"run {again} improves it again" in lines
    command = "limner improve starter --lesson kto --steps 30 --out NEW"
    assert what.format(typed.id) + f"improve again: {command}" in lines
    place = "remove it from 'a.jsonl', and improve again: limner improve starter --from "
    assert what.format(file.id) + place + f"{tmp_path / 'a.jsonl'} --out NEW" in lines
