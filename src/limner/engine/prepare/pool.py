"""Work on many things by several processes, in order, a few at a time, whatever becomes of a process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")
CHUNK = 8
"""Things that a process is sent at once."""
AHEAD = 3
"""Chunks for each process that are under way or wait to be taken."""


def _nothing(item: Any) -> int:
    return 0


class Dead(Exception):
    """A process died at its work."""


class Answer(Protocol):
    def result(self) -> list[Any]:
        """What came of a chunk; Dead where its process died."""
        ...


class Crew(AbstractContextManager["Crew"], Protocol):
    """Processes at work."""

    def submit(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Answer: ...

    def renew(self) -> None:
        """Begin with new processes, where some died."""
        ...


def mapped(
    work: Callable[[Item], Done],
    items: Iterable[Item],
    crew: Crew,
    workers: int,
    crashed: Callable[[Item], Done],
    weight: Callable[[Item], int] = _nothing,
    most: int = 1,
) -> Iterator[Done]:
    """What `work` makes of each item, in their order. At most some dozens of items are held at a time.

    crashed: what stands for an item at whose work a process died, as decoders may on hostile files. weight: how many
    bytes an item holds; of so many as `most` bytes, and those of one item more, the items wait at a time.
    """
    rest, waiting, heavy = iter(items), deque[tuple[list[Item], Answer]](), 0
    while True:
        while len(waiting) < AHEAD * workers and heavy < most and (chunk := _chunk(rest, weight, most - heavy)):
            waiting.append((chunk, crew.submit(work, chunk)))
            heavy += sum(map(weight, chunk))
        if not waiting:
            return
        chunk, answer = waiting.popleft()
        heavy -= sum(map(weight, chunk))
        try:
            done = answer.result()
        except Dead:
            done = _one_by_one(work, chunk, crew, crashed)
            waiting = deque((part, crew.submit(work, part)) for part, _ in waiting)
        yield from done


def _chunk(items: Iterator[Item], weight: Callable[[Item], int], most: int) -> list[Item]:
    """The next items, until one more would be too many, or they weigh `most`."""
    chunk: list[Item] = []
    for item in islice(items, CHUNK):
        chunk.append(item)
        most -= weight(item)
        if most <= 0:
            break
    return chunk


def _one_by_one(
    work: Callable[[Item], Done], items: list[Item], crew: Crew, crashed: Callable[[Item], Done]
) -> list[Done]:
    """A chunk again, each item by itself, to find the one that kills."""
    crew.renew()
    done: list[Done] = []
    for item in items:
        try:
            done += crew.submit(work, [item]).result()
        except Dead:
            crew.renew()
            done.append(crashed(item))
    return done


def each(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """What a process does with a chunk."""
    return [work(item) for item in items]
