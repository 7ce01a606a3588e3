"""Runs and their artifacts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from limner.core.events import Progress
from limner.core.execution import Execution
from limner.core.requests import AnyRequest, Frozen

INTERNAL_ERROR = "an internal error of Limner"
"""Start of the error of a run that failed because of a bug or a crash in Limner."""


WORKERS_DIED = "workers died while they executed it"
"""How the error of a run ends whose workers were killed, each time it was tried."""
CHECKPOINTS = "checkpoints"
"""Name of the folder in a training's result that holds the adapters of its checkpoints."""
CHECKPOINT = "checkpoint"
"""The detail of an adapter artifact with the step of the checkpoint that somebody chose; the newest one is in use."""
SEEN_TAG = "seen"
"""Tag of a failed run whose owner has seen that it failed."""
STORAGE_ERROR = "the database, the disk or the file storage of the server does not work"
"""Error of a run or a call that failed because of them."""


class Status(StrEnum):
    """The status of a run. `interrupted` runs can be resumed; `cancelled` ones were cancelled by their user."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it ended, in whatever way."""
        return self not in (Status.QUEUED, Status.RUNNING)


class Artifact(Frozen):
    """A file or folder that a run produced.

    sha256: of the file's bytes; for an adapter folder, of its weights file. path: absolute. details: facts to show and
    to search (seed of an image, trigger words of an adapter ...).
    """

    id: int | None = None
    run: str
    kind: str
    path: str
    sha256: str
    details: dict[str, Any] = Field(default_factory=dict)
    created: datetime


class Run(Frozen):
    """One execution of a request. Times are UTC. out: the folder that the user chose for the results.

    queue: the queue from which workers claim it; None if the program that submitted it executes it. priority: higher
    ones first. attempt: how often a worker claimed it. tags: by which history is filtered and counted. owner, key: the
    account and API key that submitted it; empty without accounts. policy: the digest of the moderation policy; None on
    the command line.
    internal_error: whether it failed because of a bug or a crash in Limner, not because of the request.
    deleted: whether it waits for its erasure and is in no list.
    """

    id: str
    request: AnyRequest
    execution: Execution = Field(default_factory=Execution)
    status: Status = Status.QUEUED
    parent: str | None = None
    out: str | None = None
    queue: str | None = None
    priority: int = 0
    attempt: int = 0
    progress: Progress | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    owner: str = ""
    key: str = ""
    policy: str | None = None
    error: str | None = None
    internal_error: bool = False
    deleted: bool = False
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
