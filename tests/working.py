"""Runs of the queue, carried out in this process."""

from __future__ import annotations

from limner.core.execution import Execution
from limner.core.requests import Request
from limner.core.runs import Run
from limner.store.queue import Queue
from limner.studio.studio import Studio
from limner.workers.worker import Worker


def work_off(studio: Studio) -> None:
    """Let one worker carry out all runs that wait now."""
    queue = Queue(studio.store)
    worker = Worker(studio, queue)
    while found := queue.claim(worker.name):
        worker.execute(found, lambda: False)


def carried_out(studio: Studio, request: Request, execution: Execution | None = None) -> Run:
    """Queue a request and return its run as it ended."""
    run = studio.enqueue(request, execution=execution)
    work_off(studio)
    return studio.store.get(run.id)
