"""Commands whose flags are the fields of a request: generate and train."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limner.cli.commands.shared import Out, Recipe, one_recipe, stopping
from limner.cli.flags import command_for, typed
from limner.cli.recipes import read_recipe
from limner.core.execution import Execution, body_model
from limner.core.requests import GenerateRequest, TrainRequest


def generate(
    request: GenerateRequest, execution: Execution, *, recipe: Recipe = None, out: Out = Path("pictures")
) -> None:
    _carry_out(request, execution, out, resume=False)


def train(
    request: TrainRequest,
    execution: Execution,
    *,
    recipe: Recipe = None,
    out: Out = None,
    resume: Annotated[bool, Parameter(help="Go on with the interrupted run of the same request.", negative=())] = False,
) -> None:
    if out is None and not resume:
        out = Path(request.name)
    _carry_out(request, execution, out, resume)


def _carry_out(request: GenerateRequest | TrainRequest, execution: Execution, out: Path | None, resume: bool) -> None:
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    if int(os.environ.get("RANK", "0")):  # launched beside the process that tells and writes
        if isinstance(request, TrainRequest):
            with stopping(lambda text: None) as stop:
                Studio().assist(request, stop=stop, execution=execution)
        return
    with Screen() as screen, stopping(screen.note) as stop:
        run = Studio().run(request, out, resume=resume, listener=screen.show, stop=stop, execution=execution)
        screen.finish(run)


def generate_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner generate` for what was typed after it."""
    path = typed(arguments, "--recipe")
    return command_for(body_model("generate"), None, generate, [{}] if path is None else read_recipe(path, "generate"))


def train_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner train` for what was typed after it: a way to learn brings its own options."""
    from limner.studio.studio import method_options

    recipe = one_recipe(arguments, "train", "trainings")
    extra = method_options(str(typed(arguments, "--method") or recipe.get("method", "lora")))
    return command_for(body_model("train"), extra, train, [recipe])
