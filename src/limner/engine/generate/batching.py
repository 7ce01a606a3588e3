"""Batches: images of several requests that go through the model together, each request with its own failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from limner.core.events import Emit, Event, Progress
from limner.core.requests import GenerateRequest
from limner.core.workspace import Workspace

SampleImages = Callable[[Mapping[str, Any], Sequence[int], Callable[[int], None]], Iterator[np.ndarray]]
"""Conditioning, seeds, and a function that is called with the number of steps done -> images (h, w, 3) uint8."""


class AllJobsFailed(Exception):
    """Every job of a batch has failed or was cancelled."""


@dataclass(eq=False)
class Job:
    """A request, the folder for its results, and the receiver of its events.

    conditioning: the pipeline's arguments for its prompt, one row. done: steps done, summed over its images. failure:
    why it ended early. checked: whether the words of its prompt were checked together with those of other requests.
    """

    request: GenerateRequest
    workspace: Workspace
    emit: Emit
    conditioning: Mapping[str, Any] = field(default_factory=dict[str, Any])
    done: int = 0
    failure: Exception | None = None
    checked: bool = False

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Open a context in which an exception fails this job and no other."""
        try:
            yield
        except Exception as error:
            self.failure = self.failure or error

    def step_counter(self) -> Callable[[int], None]:
        """Return a function that takes the steps done in one pass; it raises Interrupted if the job was stopped."""
        before = self.done

        def on_step(done: int) -> None:
            self.done = before + done
            self.emit(Progress(done=self.done))
            self.workspace.check()

        return on_step


def emit_to_all(jobs: Sequence[Job], event: Event) -> None:
    """Emit an event for every active job; raise AllJobsFailed if there is none."""
    for job in active(jobs):
        with job.isolated():
            job.emit(event)
    if not active(jobs):
        raise AllJobsFailed


def active(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that have not failed."""
    return [job for job in jobs if job.failure is None]


@dataclass(frozen=True)
class ImageRow:
    """One image of a job."""

    job: Job
    index: int

    @property
    def seed(self) -> int:
        return self.job.request.seed + self.index


@dataclass(frozen=True)
class ModelPass:
    """Images that go through the model in one batch.

    size: of the batch, which is filled up with copies of the last image. The bits of an image depend on the size, since
    processors add numbers in another order in larger batches, but not on the other images.
    """

    rows: tuple[ImageRow, ...]
    size: int

    @property
    def jobs(self) -> list[Job]:
        return list(dict.fromkeys(row.job for row in self.rows))

    def conditioning(self) -> Mapping[str, Any]:
        """Return a row for each image, or a single one if all images belong to one job."""
        if len(self.jobs) == 1:
            return self.jobs[0].conditioning
        rows = [row.job.conditioning for row in (*self.rows, *[self.rows[-1]] * (self.size - len(self.rows)))]
        return {name: _concatenated([row[name] for row in rows]) for name in rows[0]}

    def seeds(self) -> list[int]:
        seeds = [row.seed for row in self.rows]
        return seeds + seeds[-1:] * (self.size - len(seeds))


def model_passes(jobs: Sequence[Job], batch: int, padded: bool = False) -> Iterator[ModelPass]:
    """Split the images of jobs into passes of at most `batch` images, each of one shape of conditioning.

    padded: fill up each pass to that size.
    """
    shapes: dict[Any, list[ImageRow]] = {}
    for job in active(jobs):
        rows = [ImageRow(job, index) for index in range(job.request.count)]
        shapes.setdefault(_shape(job.conditioning), []).extend(rows)
    for rows in shapes.values():
        for start in range(0, len(rows), batch):
            part = tuple(rows[start : start + batch])
            yield ModelPass(part, batch if padded else len(part))


def run_pass(each: ModelPass, sample: SampleImages) -> Iterator[tuple[ImageRow, np.ndarray, int]]:
    """Yield the images of a pass, each with the size of its batch.

    Jobs that fail meanwhile stay in the batch, and their images are discarded. If the batch fails, each job is run by
    itself.
    """
    jobs = active(each.jobs)
    counters = {job: (job.done, sum(row.job is job for row in each.rows), job.step_counter()) for job in jobs}

    def on_step(done: int) -> None:
        for job in active(jobs):
            _, rows, count = counters[job]
            with job.isolated():
                count(done * rows // each.size)
        if not active(jobs):
            raise AllJobsFailed

    try:
        images = list(sample(each.conditioning(), each.seeds(), on_step)) if jobs else []
    except AllJobsFailed:
        return
    except Exception as error:
        if len(each.jobs) == 1:
            jobs[0].failure = error
            return
        for job in active(jobs):
            job.done = counters[job][0]
            rows = tuple(row for row in each.rows if row.job is job)
            yield from run_pass(ModelPass(rows, len(rows)), sample)
        return
    for row, pixels in zip(each.rows, images, strict=False):  # copies come last
        if row.job.failure is None:
            yield row, pixels, each.size


def _shape(conditioning: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the conditioning of all images of a pass must share."""
    return tuple(
        (name, tuple(tuple(row.shape) if isinstance(row, torch.Tensor) else None for row in value))
        for name, value in conditioning.items()
    )


def _concatenated(rows: Sequence[Any]) -> Any:
    return torch.cat(list(rows)) if isinstance(rows[0], torch.Tensor) else [value for row in rows for value in row]
