"""Pools of worker processes, on this machine (loky) or by Ray, that process items in order."""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from limner.core.errors import LimnerError

Item = TypeVar("Item")
Done = TypeVar("Done")
CHUNK = 8
"""Items that a process is sent at once."""
AHEAD = 3
"""Chunks per process that are being processed or wait to be taken."""
IDLE = 20
"""Seconds after which idle processes end; another dataset may follow."""


class WorkerDied(Exception):
    """A process died while it processed a chunk."""


class PendingChunk(Protocol):
    def result(self) -> list[Any]:
        """The results of the chunk. Raises WorkerDied if its process died."""
        ...


class WorkerPool(AbstractContextManager["WorkerPool"], Protocol):
    def submit(self, function: Callable[[Any], Any], items: Sequence[Any]) -> PendingChunk: ...

    def renew(self) -> None:
        """Start new processes after some died."""
        ...


def open_pool(executor: Literal["processes", "ray"], workers: int) -> WorkerPool:
    """Processes on this machine, or tasks of a Ray cluster (RAY_ADDRESS) or a local Ray."""
    return RayPool(workers) if executor == "ray" else LocalPool(workers)


def _weightless(item: Any) -> int:
    return 0


def map_in_order(
    function: Callable[[Item], Done],
    items: Iterable[Item],
    pool: WorkerPool,
    workers: int,
    on_crash: Callable[[Item], Done],
    weight: Callable[[Item], int] = _weightless,
    max_weight: int = 1,
) -> Iterator[Done]:
    """The results of a function for each item, in order. At most some dozens of items are in memory at a time.

    on_crash: the result for an item that kills its process, as a hostile file may. weight: the bytes of an item; no
    more items wait once `max_weight` is reached.
    """
    rest, waiting, total = iter(items), deque[tuple[list[Item], PendingChunk]](), 0
    while True:
        while (
            len(waiting) < AHEAD * workers
            and total < max_weight
            and (chunk := _next_chunk(rest, weight, max_weight - total))
        ):
            waiting.append((chunk, pool.submit(function, chunk)))
            total += sum(map(weight, chunk))
        if not waiting:
            return
        chunk, pending = waiting.popleft()
        total -= sum(map(weight, chunk))
        try:
            done = pending.result()
        except WorkerDied:
            done = _one_by_one(function, chunk, pool, on_crash)
            waiting = deque((part, pool.submit(function, part)) for part, _ in waiting)
        yield from done


def _next_chunk(items: Iterator[Item], weight: Callable[[Item], int], max_weight: int) -> list[Item]:
    """The next items, until the chunk is full or reaches the weight."""
    chunk: list[Item] = []
    for item in islice(items, CHUNK):
        chunk.append(item)
        max_weight -= weight(item)
        if max_weight <= 0:
            break
    return chunk


def _one_by_one(
    function: Callable[[Item], Done], items: list[Item], pool: WorkerPool, on_crash: Callable[[Item], Done]
) -> list[Done]:
    """Process a chunk again, each item alone, to find the one that kills its process."""
    pool.renew()
    done: list[Done] = []
    for item in items:
        try:
            done += pool.submit(function, [item]).result()
        except WorkerDied:
            pool.renew()
            done.append(on_crash(item))
    return done


def _run_chunk(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """What a process runs."""
    return [function(item) for item in items]


def _ignore_interrupts() -> None:
    """Ctrl-C in a terminal reaches all processes; only the one that submits work decides what to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _interrupts_later() -> Generator[None]:
    """A context in which Ctrl-C waits. Processes that are started in it never see one, not even while they import what
    they need, where an interrupt would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class LocalPool:
    """Processes on this machine."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor = self._start()

    def _start(self) -> Any:
        try:
            from loky import get_reusable_executor
        except ImportError as error:
            raise LimnerError(
                "reading images in several processes needs the package loky", "pip install 'limner[prepare]'"
            ) from error
        with _interrupts_later():
            return get_reusable_executor(
                self.workers, timeout=IDLE, env={"OMP_NUM_THREADS": "1"}, initializer=_ignore_interrupts
            )

    def submit(self, function: Callable[[Any], Any], items: Sequence[Any]) -> PendingChunk:
        return _LocalChunk(self._executor, function, items)

    def renew(self) -> None:
        self._executor.shutdown(kill_workers=True)
        self._executor = self._start()

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:  # running chunks must not write anything more
            self._executor.shutdown(wait=True, kill_workers=True)


class _LocalChunk:
    def __init__(self, executor: Any, function: Callable[[Any], Any], items: Sequence[Any]) -> None:
        try:
            with _interrupts_later():  # the first chunk starts the processes
                self._future = executor.submit(_run_chunk, function, items)
        except BrokenExecutor:
            self._future = None

    def result(self) -> list[Any]:
        if self._future is None:
            raise WorkerDied
        try:
            return self._future.result()
        except BrokenExecutor as error:
            raise WorkerDied from error


class RayPool:
    """Tasks of Ray, as many at a time as there are workers.

    With a cluster (RAY_ADDRESS), the staging folder must be on a disk that all its machines share.
    """

    def __init__(self, workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise LimnerError("Ray is not installed", "pip install 'limner[ray]', or --executor processes") from error
        self.ray = ray
        self.started = not ray.is_initialized()
        if self.started:
            cores = None if os.environ.get("RAY_ADDRESS") else workers
            ray.init(num_cpus=cores, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        self._task = ray.remote(max_retries=0)(_run_chunk)

    def submit(self, function: Callable[[Any], Any], items: Sequence[Any]) -> PendingChunk:
        return _RayChunk(self.ray, self._task.remote(function, items))

    def renew(self) -> None:
        """Nothing to do: Ray replaces a process that died."""

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *error: object) -> None:
        if self.started:
            self.ray.shutdown()


class _RayChunk:
    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray, self._reference = ray, reference

    def result(self) -> list[Any]:
        try:
            return self.ray.get(self._reference)
        except self.ray.exceptions.WorkerCrashedError as error:
            raise WorkerDied from error
