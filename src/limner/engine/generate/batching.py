"""Requests that go through the model together: what each of them is told, and how it fails by itself."""

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
"""Conditioning, seeds, and whom to tell the picture-steps done -> pictures (h, w, 3) uint8."""


class AllJobsFailed(Exception):
    """Nobody is left for whom to go on."""


@dataclass(eq=False)
class Job:
    """A request, where its results go, and who hears of it.

    told: the pipeline's arguments for its prompt, one row. done: its picture-steps. failure: why it ended early.
    """

    request: GenerateRequest
    workspace: Workspace
    emit: Emit
    told: Mapping[str, Any] = field(default_factory=dict[str, Any])
    done: int = 0
    failure: Exception | None = None

    @contextmanager
    def own(self) -> Iterator[None]:
        """What goes wrong in here ends this request, and no other."""
        try:
            yield
        except Exception as error:
            self.failure = self.failure or error

    def counter(self) -> Callable[[int], None]:
        """What one painting tells its picture-steps to; between them the request may be stopped."""
        before = self.done

        def on_step(done: int) -> None:
            self.done = before + done
            self.emit(Progress(done=self.done))
            self.workspace.check()

        return on_step


def emit_to_all(orders: Sequence[Job], event: Event) -> None:
    """Let all hear of an event that are still there."""
    for order in active(orders):
        with order.own():
            order.emit(event)
    if not active(orders):
        raise AllJobsFailed


def active(orders: Sequence[Job]) -> list[Job]:
    """Those that have not failed."""
    return [order for order in orders if order.failure is None]


@dataclass(frozen=True)
class ImageRow:
    """One picture of a request."""

    order: Job
    index: int

    @property
    def seed(self) -> int:
        return self.order.request.seed + self.index


@dataclass(frozen=True)
class ModelPass:
    """Pictures that go through the model together.

    size: how many do, copies of the last one among them. The bits of a picture depend on it, though on nothing else of
    its company, since processors add numbers up in another order when there are more of them.
    """

    rows: tuple[ImageRow, ...]
    size: int

    @property
    def orders(self) -> list[Job]:
        return list(dict.fromkeys(row.order for row in self.rows))

    def conditioning(self) -> Mapping[str, Any]:
        """A row for each picture, or a single one where all are of one request."""
        if len(self.orders) == 1:
            return self.orders[0].told
        told = [row.order.told for row in (*self.rows, *[self.rows[-1]] * (self.size - len(self.rows)))]
        return {name: _joined([each[name] for each in told]) for name in told[0]}

    def seeds(self) -> list[int]:
        seeds = [row.seed for row in self.rows]
        return seeds + seeds[-1:] * (self.size - len(seeds))


def model_passes(orders: Sequence[Job], batch: int, padded: bool = False) -> Iterator[ModelPass]:
    """The pictures of requests in passes of at most `batch`, those of one shape of conditioning together.

    padded: whether each pass is made that large.
    """
    shapes: dict[Any, list[ImageRow]] = {}
    for order in active(orders):
        rows = [ImageRow(order, index) for index in range(order.request.count)]
        shapes.setdefault(_shape(order.told), []).extend(rows)
    for rows in shapes.values():
        for start in range(0, len(rows), batch):
            part = tuple(rows[start : start + batch])
            yield ModelPass(part, batch if padded else len(part))


def run_pass(each: ModelPass, paint: SampleImages) -> Iterator[tuple[ImageRow, np.ndarray, int]]:
    """The pictures of a pass, each with how many were painted together.

    Requests that end early are painted on in vain; where the pass fails, each of them is painted by itself.
    """
    orders = active(each.orders)
    counted = {order: (order.done, sum(row.order is order for row in each.rows), order.counter()) for order in orders}

    def on_step(done: int) -> None:
        for order in active(orders):
            _, rows, count = counted[order]
            with order.own():
                count(done * rows // each.size)
        if not active(orders):
            raise AllJobsFailed

    try:
        pictures = list(paint(each.conditioning(), each.seeds(), on_step)) if orders else []
    except AllJobsFailed:
        return
    except Exception as error:
        if len(each.orders) == 1:
            orders[0].failure = error
            return
        for order in active(orders):
            order.done = counted[order][0]
            rows = tuple(row for row in each.rows if row.order is order)
            yield from run_pass(ModelPass(rows, len(rows)), paint)
        return
    for row, pixels in zip(each.rows, pictures, strict=False):  # copies come last
        if row.order.failure is None:
            yield row, pixels, each.size


def _shape(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """What must be alike of prompts that one pass is told."""
    return tuple(
        (name, tuple(tuple(row.shape) if isinstance(row, torch.Tensor) else None for row in value))
        for name, value in told.items()
    )


def _joined(rows: Sequence[Any]) -> Any:
    return torch.cat(list(rows)) if isinstance(rows[0], torch.Tensor) else [value for row in rows for value in row]
