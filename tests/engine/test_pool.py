"""Work by several processes: in order, a little at a time, whatever becomes of a process."""

from __future__ import annotations

import os

from limner.engine.preparing.pool import AHEAD, CHUNK, crew_of, mapped


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
