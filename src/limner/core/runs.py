"""Runs and the artifacts they leave."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from limner.core.events import Progress
from limner.core.requests import AnyRequest, Frozen

INTERNAL_ERROR = "a fault of Limner's own"
"""How the error of a run begins that nobody who asked for it can mend."""


class Status(StrEnum):
    """Where a run stands. `interrupted` runs can be resumed; `cancelled` ones were given up by their user."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (Status.QUEUED, Status.RUNNING)


class Artifact(Frozen):
    """A file or folder that a run made.

    sha256: of the file's bytes; for an adapter folder, of its weights file. path: where it lies, absolute.
    details: facts to show and to search (seed of a picture, trigger words of an adapter ...).
    """

    id: int | None = None
    run: str
    kind: str
    path: str
    sha256: str
    details: dict[str, Any] = Field(default_factory=dict)
    created: datetime


class Run(Frozen):
    """One request being carried out. Times are UTC; `out` is the folder that the user chose for the results.

    queue: from which workers take it; None where whoever submitted it carries it out. priority: higher ones go first.
    attempt: how often a worker took it up. tags: what it was made for, by which history is filtered and counted.
    owner: the account whose it is; key: the one it was asked by. Both are empty where there are no accounts.
    policy: the digest of the policy that it is moderated by; None for one of the command line.
    """

    id: str
    request: AnyRequest
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
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def faulty(self) -> bool:
        """Whether it failed by a fault of Limner's own, and not by what was asked."""
        return self.status is Status.FAILED and (self.error or "").startswith(INTERNAL_ERROR)
