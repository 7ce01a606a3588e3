"""Make a clean dataset of a pile of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from limner.cli.commands.shared import Place, Recipe, one_recipe, report
from limner.cli.flags import command_for
from limner.core.execution import Execution, body_model
from limner.core.requests import PrepareRequest


def prepare(
    request: PrepareRequest, execution: Execution, *, recipe: Recipe = None, out: Place = Path("dataset")
) -> None:
    report(request, execution, out)


def prepare_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner prepare` for what was typed after it."""
    return command_for(body_model("prepare"), None, prepare, [one_recipe(arguments, "prepare", "datasets")])
