"""Processing items in several processes: in order, a few at a time, and when a process dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from limner import LimnerError
from limner.core.datasets import Entry, Fault, Skipped
from limner.data.entries.byte_sources import BytesInMemory, FileBytes, held_bytes
from limner.engine.prepare.pool import AHEAD, CHUNK, map_in_order, open_pool


def doubled(number: int) -> int:
    if number == 5:
        os._exit(3)  # as a decoder does that crashes
    return 2 * number


def crashed(number: int) -> int:
    return -number


def test_results_are_in_order_even_if_a_process_dies():
    with open_pool("processes", 2) as pool:
        found = list(map_in_order(doubled, iter(range(40)), pool, 2, crashed))
    assert found == [-5 if number == 5 else 2 * number for number in range(40)]


def held_signals(_: int) -> set[signal.Signals]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_processes_are_started_with_interrupts_held_back():
    """Ctrl-C reaches a whole process group; a process that still imports would print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with open_pool("processes", 1) as pool:
        for _ in range(2):
            assert signal.SIGINT in pool.submit(held_signals, [0]).result()[0]
            pool.renew()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before and signal.SIGINT not in before


def test_few_items_are_taken_ahead():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number + 100

    with open_pool("processes", 1) as pool:
        done = map_in_order(doubled, items(), pool, 1, crashed)
        assert next(done) == 200
        assert len(taken) <= (AHEAD + 1) * CHUNK
        done.close()


def test_waiting_items_have_a_limited_weight() -> None:
    taken, done, most = 0, 0, 0

    class Lazy:
        """Processes a chunk only when its result is requested."""

        def submit(self, work: Any, items: Any) -> Any:
            return Later(lambda: [work(item) for item in items])

    def items() -> Iterator[int]:
        nonlocal taken, most
        for number in range(200):
            taken += 1
            most = max(most, taken - done)
            yield number

    for number in map_in_order(
        lambda item: item, items(), cast(Any, Lazy()), 4, lambda item: item, lambda item: 10, 55
    ):
        assert number == done
        done += 1
    assert done == 200 and most <= 7, "five whole ones, the one that is too much, and the one that is handed on"
    taken = done = most = 0
    for _ in map_in_order(lambda item: item, items(), cast(Any, Lazy()), 4, lambda item: item, lambda item: 1000, 55):
        done += 1
    assert done == 200 and most <= 2, "what is too large by itself goes alone"


class Later:
    def __init__(self, act: Any) -> None:
        self.result = act


def test_an_entry_weighs_the_bytes_it_holds() -> None:
    inside, outside = BytesInMemory("a", bytes(7)), FileBytes(Path("b"))
    assert held_bytes(Entry("a", inside, mask=inside)) == 14
    assert held_bytes(Entry("a", outside, mask=inside)) == 7
    assert held_bytes(Entry("a", outside)) == held_bytes(Skipped("a", Fault("stray", "x"))) == 0


class Ray:
    """Replaces the package `ray`: tasks run immediately, and number 5 kills its worker."""

    class exceptions:
        class WorkerCrashedError(Exception):
            pass

    def __init__(self, initialised):
        self.initialised, self.options, self.over = initialised, {}, False

    def is_initialized(self):
        return self.initialised

    def init(self, **options):
        self.options = options

    def remote(self, max_retries):
        assert max_retries == 0, "an image that kills a process must not be retried for ever"
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
def test_a_pool_of_ray_tasks(monkeypatch, initialised, address, cores):
    """Here `ray` is replaced; test_prepare.py uses the real one."""
    ray = Ray(initialised)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    with open_pool("ray", 2) as pool:
        found = list(map_in_order(killing, iter(range(40)), pool, 2, crashed))
    assert found == [-5 if number == 5 else 2 * number for number in range(40)]
    assert ray.options.get("num_cpus", 0) == cores and ray.over == (not initialised), "only what was begun is ended"


def test_missing_ray_is_a_one_line_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        LimnerError, match=r"Ray is not installed; pip install 'limner\[ray\]', or --executor processes"
    ):
        open_pool("ray", 2)
