"""Executes requests: looks up the function of their kind, and holds the folder of the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from limner.core.events import Emit
from limner.core.kinds import KINDS
from limner.core.requests import Request
from limner.core.workspace import Workspace
from limner.engine.generate.batching import Job
from limner.engine.generate.generate import generate_batch
from limner.models.logging import quiet_libraries
from limner.provenance import credentials
from limner.store.locks import output_lock


def execute(request: Request, workspace: Workspace, emit: Emit) -> None:
    """Execute a request: artifacts go to `workspace.out`, events to `emit`.

    Raises LimnerError first if images could not be signed, and Locked if another program writes to that folder.
    """
    quiet_libraries()
    credentials.check_signing(workspace.home)
    with nullcontext() if request.shares_folder else output_lock(workspace.out):
        KINDS[request.kind].load_executor()(request, workspace, emit)


def execute_together(orders: Sequence[Job]) -> Iterator[tuple[Job, Exception | None]]:
    """Execute generate requests of one batch key; yields each as it ends, with the error where it failed."""
    quiet_libraries()
    credentials.check_signing(orders[0].workspace.home)
    yield from generate_batch(orders)
