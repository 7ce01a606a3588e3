"""Measure how good a model, an adapter or a folder of pictures is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limner.cli.commands.shared import Place, Recipe, one_recipe, report
from limner.cli.flags import command_for, typed
from limner.cli.recipes import read_lines
from limner.core.errors import LimnerError
from limner.core.execution import Execution, body_model
from limner.core.requests import EvaluateRequest

Prompts = Annotated[Path | None, Parameter(help="Text file with a prompt in each line, with {} for the subject.")]
Suite = Annotated[
    str | None,
    Parameter(help="Prompts by name: pets, marketing, exam (the starter's), dreambench (beside --dataset)."),
]


def evaluate(
    request: EvaluateRequest,
    execution: Execution,
    *,
    prompts: Prompts = None,
    suite: Suite = None,
    recipe: Recipe = None,
    out: Place = Path("evaluation"),
) -> None:
    made = report(request, execution, out)
    if not made.details["passed"]:
        sys.exit(1)


def evaluate_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner evaluate` for what was typed after it: prompts may come from a file of lines, or from a suite."""
    lines, suite = typed(arguments, "--prompts"), typed(arguments, "--suite")
    told = dict(one_recipe(arguments, "evaluate", "evaluations"))
    given = [flag for flag in ("--prompts", "--suite", "--prompt") if typed(arguments, flag) is not None]
    if len(given) > 1:
        raise LimnerError(f"prompts come from {' and from '.join(given)}", "choose one of them")
    if lines is not None:
        told["prompt"] = read_lines(lines)
    if suite is not None:
        from limner.starter.exam.suites import suite as prompts_of

        told["prompt"], class_word = prompts_of(suite, typed(arguments, "--dataset") or told.get("dataset"))
        told |= {"class_word": class_word} if class_word is not None and "class_word" not in told else {}
    return command_for(body_model("evaluate"), None, evaluate, [told])
