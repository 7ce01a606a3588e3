"""Recorded erasures: carried out when they are due, undone until then, and never half, also after a crash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

import waiting
from gallery import add_image, add_run
from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store import erase as erasing
from limner.store.tables import GrantRow, RunRow
from limner.studio.images import Viewer
from limner.studio.maintenance import EraseSelection
from limner.studio.studio import Studio
from pages import adapter_file, site_of, teach

SOON = timedelta(0)
VIEW = Viewer()


def record(studio: Studio, *images: int, after: timedelta = SOON, derived: bool = False):
    return studio.maintenance.erasures.add("", EraseSelection(images=images), derived=derived, after=after)


def shown(studio: Studio) -> list[int]:
    return [image.id for image in studio.images.some(VIEW, range(1, 100))]


def stored(studio: Studio) -> list[int]:
    return sorted(artifact.id for artifact in studio.store.artifacts(kind="picture"))


def test_a_server_that_was_killed_carries_out_what_waits_when_it_starts_again(home):
    first = site_of(home)
    one, other = add_image(first.studio), add_image(first.studio)
    reference = first.studio.images.get(VIEW, one).sha256
    record(first.studio, one)
    first.studio.close()  # without its end, which would carry it out
    second = site_of(home)
    assert shown(second.studio) == [other] and stored(second.studio) == [one, other], "it does not come back"
    with second.client:
        waiting.until("the erasure", lambda: stored(second.studio) == [other])
        waiting.until("the end of the file", lambda: reference not in second.studio.files)
    second.studio.close()


@pytest.mark.parametrize("dies_in", ["finish_erasure", "remove_files"])
def test_a_crash_after_the_rows_are_gone_leaves_no_file(site, monkeypatch, dies_in):
    one = add_image(site.studio)
    sha256 = site.studio.images.get(VIEW, one).sha256
    record(site.studio, one)

    def dies(*given: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(erasing, dies_in, dies)
        site.client.app.state.erasures.work()
    assert not stored(site.studio) and sha256 in site.studio.files
    site.client.app.state.erasures.work()
    assert sha256 not in site.studio.files


def test_an_undone_erasure_is_not_carried_out_by_one_that_has_read_it(site):
    one, erasures = add_image(site.studio), site.studio.maintenance.erasures
    made = record(site.studio, one)
    assert [each.id for each in erasures.due()] == [made.id]
    assert erasures.undo("", made.id) and not erasures.undo("", made.id)
    assert not erasures.carry_out(made.id) and shown(site.studio) == [one]


def test_what_is_carried_out_cannot_be_undone(site, monkeypatch):
    one, erasures = add_image(site.studio), site.studio.maintenance.erasures
    made = record(site.studio, one)
    remove, undone = erasing.remove_files, []

    def undo_meanwhile(*given: Any, **more: Any) -> None:
        undone.append(erasures.undo("", made.id))
        remove(*given, **more)

    monkeypatch.setattr(erasing, "remove_files", undo_meanwhile)
    assert erasures.carry_out(made.id) and undone == [False] and not stored(site.studio)
    assert not erasures.carry_out(made.id)


def test_what_was_erased_meanwhile_is_left_out(site):
    one, two = add_image(site.studio), add_image(site.studio)
    record(site.studio, one, two)
    site.studio.maintenance.erase(EraseSelection(images=(one,)))
    site.client.app.state.erasures.work()
    assert not stored(site.studio) and not site.client.app.state.erasures.problem("")


def test_a_new_image_with_the_id_of_an_erased_one_stays(site):
    one = add_image(site.studio)
    record(site.studio, one)
    site.studio.maintenance.erase(EraseSelection(images=(one,)))
    assert add_image(site.studio) == one, "SQLite gives the id again"
    site.client.app.state.erasures.work()
    assert shown(site.studio) == [one]


def test_a_running_job_puts_an_erasure_off(site):
    one = add_image(site.studio)
    run = add_run(site.studio, GenerateRequest(prompt="a", image=site.studio.images.get(VIEW, one).reference))
    made = record(site.studio, one, derived=True)
    site.studio.store.update(run.id, status=Status.RUNNING)
    site.client.app.state.erasures.work()
    (waits,) = site.studio.maintenance.erasures.list("", adapters=False)
    assert waits.id == made.id and waits.due > made.due and not shown(site.studio)
    site.studio.store.update(run.id, status=Status.DONE)
    assert site.studio.maintenance.erasures.carry_out(made.id) and not stored(site.studio)


def test_what_was_made_after_the_erasure_was_recorded_is_not_erased_with_it(site):
    one = add_image(site.studio)
    reference = site.studio.images.get(VIEW, one).reference
    add_run(site.studio, GenerateRequest(prompt="a", image=reference))
    record(site.studio, one, derived=True)
    later = add_run(site.studio, GenerateRequest(prompt="b", image=reference))
    site.client.app.state.erasures.work()
    assert "1 job was made with" in site.client.app.state.erasures.problem("")
    assert shown(site.studio) == [one] and site.studio.runs.get(later.id)


def test_nothing_new_is_made_with_what_waits(site):
    one = add_image(site.studio)
    reference = site.studio.images.get(VIEW, one).reference
    made = record(site.studio, one)
    with pytest.raises(LimnerError, match="is deleted; put it back first"):
        site.studio.enqueue(GenerateRequest(prompt="a", image=reference))
    site.studio.maintenance.erasures.undo("", made.id)
    assert site.studio.enqueue(GenerateRequest(prompt="a", image=reference))


@pytest.mark.parametrize("uploaded", [False, True])
def test_retention_leaves_a_deleted_subject_its_days(site, uploaded):
    reference = site.studio.files.upload(adapter_place(site)) if uploaded else teach(site)
    runs = () if uploaded else (site.studio.runs.list(kind="train")[0].id,)
    selection = EraseSelection(runs=runs, references=(reference,) if uploaded else ())
    erasures, long_ago = site.studio.maintenance.erasures, datetime.now(UTC) - timedelta(days=60)
    made = erasures.add("", selection, derived=True, after=timedelta(days=7), name="sks cat")
    with site.studio.store.writing() as session:
        session.execute(update(RunRow).values(created=long_ago, finished=long_ago))
        session.execute(update(GrantRow).values(created=long_ago))
    site.studio.maintenance.prune(timedelta(days=1))
    assert [each.id for each in erasures.list("", adapters=True)] == [made.id] and erasures.undo("", made.id)
    assert site.studio.files.may_use(Caller(), reference) and reference.partition(":")[2] in site.studio.files
    assert [run.id for run in site.studio.runs.list(kind="train")] == [*runs]
    site.studio.maintenance.prune(timedelta(days=1))
    assert reference.partition(":")[2] not in site.studio.files, "what was put back is as old as before"


def adapter_place(site):
    place = site.studio.home / "own.safetensors"
    place.write_bytes(adapter_file())
    return place
