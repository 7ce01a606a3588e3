"""Erasures that can be taken back: until when, and how many at once."""

from __future__ import annotations

import threading
import time

from limner.studio.maintenance import EraseSelection
from limner.web.gallery_erasures import Erasures
from waiting import until


def added(erasures: Erasures, number: int = 0, account: str = "ann"):
    return erasures.add(account, EraseSelection(), derived=False, runs=[f"run-{number}"], what="1 image was")


def test_an_erasure_that_has_begun_cannot_be_taken_back():
    begun, go_on = threading.Event(), threading.Event()

    def erase(selection, *, derived):
        begun.set()
        assert go_on.wait(60)

    erasures = Erasures(erase, seconds=0.01)
    made = added(erasures)
    assert begun.wait(60)
    assert erasures.undo("ann", made.id) is None and erasures.of("ann") == []
    assert erasures.hidden() == {"run-0"}, "what goes is not shown again"
    go_on.set()
    until("the erasure", lambda: not erasures.hidden())


def test_thousands_of_erasures_wait_without_a_thread_each():
    erased = []
    erasures = Erasures(lambda selection, *, derived: erased.append(selection), seconds=2.0)
    before = threading.active_count()
    made = [added(erasures, number) for number in range(2000)]
    assert threading.active_count() <= before + 1
    assert erasures.undo("bob", made[7].id) is None
    assert erasures.undo("ann", made[7].id) == made[7]
    assert "run-7" not in erasures.hidden() and len(erasures.hidden()) == 1999
    until("the erasure", lambda: not erasures.hidden())
    assert len(erased) == 1999


def test_an_erasure_after_the_others_were_carried_out_is_carried_out_too():
    erased = []
    erasures = Erasures(lambda selection, *, derived: erased.append(selection), seconds=0.01)
    for count in (1, 2):
        added(erasures, count)
        until("the erasure", lambda: not erasures.hidden())
        assert len(erased) == count


def test_the_end_of_the_server_waits_for_an_erasure_that_has_begun():
    begun, done = threading.Event(), []

    def erase(selection, *, derived):
        begun.set()
        time.sleep(0.3)
        done.append(selection)

    erasures = Erasures(erase, seconds=0.01)
    added(erasures)
    assert begun.wait(60)
    added(erasures, 1)
    erasures.finish()
    assert len(done) == 2
