"""Executes queued runs in the process of a test."""

from __future__ import annotations

from limner.core.execution import Execution
from limner.core.requests import Request
from limner.core.runs import Run
from limner.store.queue import Queue
from limner.studio.studio import Studio
from limner.workers.worker import Worker


def execute_queue(studio: Studio) -> None:
    """Let one worker execute all queued runs."""
    queue = Queue(studio.store)
    worker = Worker(studio, queue)
    while found := queue.claim(worker.name, 1):
        worker.execute(found, lambda: False)


def enqueue_and_execute(studio: Studio, request: Request, execution: Execution | None = None) -> Run:
    """Queue a request, execute it and return the ended run."""
    run = studio.enqueue(request, execution=execution)
    execute_queue(studio)
    return studio.store.get(run.id)
