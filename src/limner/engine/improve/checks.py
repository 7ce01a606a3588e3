"""Checks of an ImproveRequest that need no torch."""

from __future__ import annotations

from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.execution import Execution
from limner.core.files import expand_home
from limner.core.requests import ImproveRequest
from limner.core.requests.feedback_selection import FEEDBACK_KINDS
from limner.data.sets.folder import check_images
from limner.engine.compare.contestants import find_target
from limner.engine.generate.checks import checked
from limner.engine.train.checks import check_out_folder
from limner.engine.train.continuation import training_of
from limner.models.adapters import open_adapter
from limner.plugins import registry


def check(request: ImproveRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    target = find_target(request.target, request.model)
    for use in target.adapters:
        check_adapter(use.path)
    trial = request.trial(request.prompt or (str(request.target),))
    checked(target.request(trial, trial.prompt[0]))
    check_source(request.source)
    if request.references is not None:
        check_images(request.references)
    if out is not None:
        check_out_folder(out)


def check_adapter(path: str) -> None:
    """Raise LimnerError for an adapter whose training cannot be continued."""
    training, _ = training_of(open_adapter(path))
    if registry.methods.get(training.method).makes != "adapter":
        raise LimnerError(
            f"{path!r} was trained by the method {training.method}, which makes a whole model",
            "improve an adapter, or give the model itself",
        )


def check_source(source: str | None) -> None:
    """Raise LimnerError for feedback that is neither a kind of recorded feedback nor a file."""
    if source is not None and source not in FEEDBACK_KINDS and not expand_home(source).is_file():
        raise LimnerError(
            f"there is no file {source!r}",
            f"give --from {', '.join(FEEDBACK_KINDS)}, or a .jsonl or .parquet file of feedback",
        )
