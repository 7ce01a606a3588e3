"""Work by several processes: in order, a little at a time, whatever becomes of a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from limner import LimnerError
from limner.core.datasets import Entry, Fault, Skipped
from limner.data.entries.places import BytesPlace, FilePlace, held_bytes
from limner.engine.prepare.pool import AHEAD, CHUNK, mapped
from limner.engine.prepare.prepare import crew_of


def doubled(number: int) -> int:
    if number == 5:
        os._exit(3)  # as a decoder does that crashes
    return 2 * number


def crashed(number: int) -> int:
    return -number


def test_order_and_what_kills_a_process():
    with crew_of("processes", 2) as crew:
        found = list(mapped(doubled, iter(range(40)), crew, 2, crashed))
    assert found == [-5 if number == 5 else 2 * number for number in range(40)]


def test_little_is_taken_ahead():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number + 100

    with crew_of("processes", 1) as crew:
        done = mapped(doubled, items(), crew, 1, crashed)
        assert next(done) == 200
        assert len(taken) <= (AHEAD + 1) * CHUNK
        done.close()


def test_no_more_bytes_wait_than_there_is_room_for() -> None:
    taken, done, most = 0, 0, 0

    class Lazy:
        """Does a chunk only when its result is asked for."""

        def submit(self, work: Any, items: Any) -> Any:
            return Later(lambda: [work(item) for item in items])

    def items() -> Iterator[int]:
        nonlocal taken, most
        for number in range(200):
            taken += 1
            most = max(most, taken - done)
            yield number

    for number in mapped(lambda item: item, items(), cast(Any, Lazy()), 4, lambda item: item, lambda item: 10, 55):
        assert number == done
        done += 1
    assert done == 200 and most <= 7, "five whole ones, the one that is too much, and the one that is handed on"
    taken = done = most = 0
    for _ in mapped(lambda item: item, items(), cast(Any, Lazy()), 4, lambda item: item, lambda item: 1000, 55):
        done += 1
    assert done == 200 and most <= 2, "what is too large by itself goes alone"


class Later:
    def __init__(self, act: Any) -> None:
        self.result = act


def test_an_entry_weighs_what_it_holds() -> None:
    inside, outside = BytesPlace("a", bytes(7)), FilePlace(Path("b"))
    assert held_bytes(Entry("a", inside, mask=inside)) == 14
    assert held_bytes(Entry("a", outside, mask=inside)) == 7
    assert held_bytes(Entry("a", outside)) == held_bytes(Skipped("a", Fault("stray", "x"))) == 0


class Ray:
    """Stands for the package `ray`: tasks run here and now, and number 5 kills its worker."""

    class exceptions:
        class WorkerCrashedError(Exception):
            pass

    def __init__(self, initialised):
        self.initialised, self.told, self.over = initialised, {}, False

    def is_initialized(self):
        return self.initialised

    def init(self, **told):
        self.told = told

    def remote(self, max_retries):
        assert max_retries == 0, "a picture that kills a process must not be tried for ever"
        return lambda task: SimpleNamespace(remote=lambda work, items: lambda: task(work, items))

    def get(self, task):
        try:
            return task()
        except ZeroDivisionError as error:
            raise self.exceptions.WorkerCrashedError from error

    def shutdown(self):
        self.over = True


def killing(number: int) -> int:
    return 2 * number if number != 5 else 1 // 0


@pytest.mark.parametrize(("initialised", "address", "cores"), [(False, None, 2), (False, "a:1", None), (True, None, 0)])
def test_a_crew_of_rays(monkeypatch, initialised, address, cores):
    """Here `ray` is stood for; test_prepare.py has it for real."""
    ray = Ray(initialised)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    with crew_of("ray", 2) as crew:
        found = list(mapped(killing, iter(range(40)), crew, 2, crashed))
    assert found == [-5 if number == 5 else 2 * number for number in range(40)]
    assert ray.told.get("num_cpus", 0) == cores and ray.over == (not initialised), "only what was begun is ended"


def test_ray_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        LimnerError, match=r"Ray is not installed; pip install 'limner\[ray\]', or --executor processes"
    ):
        crew_of("ray", 2)
