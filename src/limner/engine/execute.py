"""One table: request type -> function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from limner.core.events import Emit
from limner.core.requests import (
    CompareRequest,
    EvaluateRequest,
    GenerateRequest,
    InfluenceRequest,
    PrepareRequest,
    Request,
    SweepRequest,
    TrainRequest,
)
from limner.core.workspace import Workspace
from limner.engine.compare.compare import compare
from limner.engine.evaluate.evaluate import evaluate
from limner.engine.generate.batching import Order
from limner.engine.generate.generate import generate, generate_together
from limner.engine.influence.influence import influence
from limner.engine.prepare.prepare import prepare
from limner.engine.sweep.sweep import sweep
from limner.engine.train.train import train
from limner.models.logging import hush
from limner.provenance import credentials
from limner.store.locks import output_lock

EXECUTORS: dict[type[Request], Callable[[Any, Workspace, Emit], None]] = {
    CompareRequest: compare,
    EvaluateRequest: evaluate,
    GenerateRequest: generate,
    TrainRequest: train,
    SweepRequest: sweep,
    InfluenceRequest: influence,
    PrepareRequest: prepare,
}


def execute(request: Request, workspace: Workspace, emit: Emit) -> None:
    """Carry out a request: artifacts go to `workspace.out`, events to `emit`.

    Credentials that cannot sign raise first. Raises Held where another program fills that folder.
    """
    hush()
    credentials.check(workspace.home)
    with nullcontext() if request.shares_folder else output_lock(workspace.out):
        EXECUTORS[type(request)](request, workspace, emit)


def execute_together(orders: Sequence[Order]) -> Iterator[tuple[Order, Exception | None]]:
    """Carry out generate requests of one batch key; yields each as it ends, with why where it ended early."""
    hush()
    credentials.check(orders[0].workspace.home)
    yield from generate_together(orders)
