"""Show and measure what a setting does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import LimnerError
from ..core.requests import SweepRequest
from ..flags import command_for, typed
from ..recipes import read_lines, read_recipe
from .shared import Place, Recipe, stopping


def sweep(request: SweepRequest, *, recipe: Recipe = None, out: Place = Path("sweep")) -> None:
    from ..studio import Studio
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        Studio().run(with_prompts(request), out, listener=screen.show, stop=stop)
        screen.end()
    report = next(made for made in screen.made if made.what == "report")
    print(report.details["verdict"])
    print(report.path)


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
    path = typed(arguments, "--recipe")
    recipe: Sequence[Mapping[str, Any]] = [{}] if path is None else read_recipe(path, "sweep")
    if len(recipe) > 1:
        raise LimnerError(f"the recipe holds {len(recipe)} sweeps", "keep one document in the file")
    return command_for(SweepRequest, None, sweep, recipe)
