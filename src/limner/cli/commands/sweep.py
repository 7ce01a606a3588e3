"""Show and measure what a setting does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from limner.cli.commands.shared import Place, Recipe, one_recipe, report
from limner.cli.flags import command_for
from limner.cli.recipes import read_lines
from limner.core.execution import Execution, body_model
from limner.core.requests import SweepRequest


def sweep(request: SweepRequest, execution: Execution, *, recipe: Recipe = None, out: Place = Path("sweep")) -> None:
    report(with_prompts(request), execution, out)


def with_prompts(request: SweepRequest) -> SweepRequest:
    """The request with the lines of a file in place of its name, where an axis of prompts names one."""
    changed = [
        {"field": "prompt", "values": read_lines(axis.values[0])}
        if axis.field == "prompt" and len(axis.values) == 1
        else axis
        for axis in request.axis
    ]
    return SweepRequest.model_validate({**request.model_dump(), "axis": changed})


def sweep_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner sweep` for what was typed after it."""
    return command_for(body_model("sweep"), None, sweep, [one_recipe(arguments, "sweep", "sweeps")])
