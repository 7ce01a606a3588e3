"""Make a clean dataset of a pile of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.errors import LimnerError
from ..core.requests import PrepareRequest
from ..flags import command_for, typed
from ..recipes import read_recipe
from .shared import Place, Recipe, stopping


def prepare(request: PrepareRequest, *, recipe: Recipe = None, out: Place = Path("dataset")) -> None:
    from ..studio import Studio
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        Studio().run(request, out, listener=screen.show, stop=stop)
        screen.end()
    report = next(made for made in screen.made if made.what == "report")
    print(report.details["verdict"])
    print(report.path)


def prepare_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner prepare` for what was typed after it."""
    path = typed(arguments, "--recipe")
    recipe = [{}] if path is None else read_recipe(path, "prepare")
    if len(recipe) > 1:
        raise LimnerError(f"the recipe holds {len(recipe)} datasets", "keep one document in the file")
    return command_for(PrepareRequest, None, prepare, recipe)
