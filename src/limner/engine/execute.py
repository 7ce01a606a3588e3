"""One table: request type -> function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from ..core.events import Emit
from ..core.requests import (
    CompareRequest,
    EvaluateRequest,
    GenerateRequest,
    InfluenceRequest,
    PrepareRequest,
    Request,
    SweepRequest,
    TrainRequest,
)
from ..core.workspace import Workspace
from ..diffusion.quiet import hush
from ..store.locks import filling
from .influence.influence import influence
from .painting.generate import generate, generate_together
from .painting.together import Order
from .preparing.prepare import prepare
from .provenance import credentials
from .training.train import train
from .trials.compare import compare
from .trials.evaluate import evaluate
from .trials.sweep import sweep

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
    with nullcontext() if request.shares_folder else filling(workspace.out):
        EXECUTORS[type(request)](request, workspace, emit)


def execute_together(orders: Sequence[Order]) -> Iterator[tuple[Order, Exception | None]]:
    """Carry out generate requests of one batch key; yields each as it ends, with why where it ended early."""
    hush()
    credentials.check(orders[0].workspace.home)
    yield from generate_together(orders)
