"""Runs and the artifacts they leave."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from .requests import AnyRequest, Frozen


class Status(StrEnum):
    """Where a run stands. `interrupted` runs can be resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


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
    """One request being carried out. Times are UTC; `out` is the folder that the user chose for the results."""

    id: str
    request: AnyRequest
    status: Status = Status.QUEUED
    parent: str | None = None
    out: str | None = None
    error: str | None = None
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
