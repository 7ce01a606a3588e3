"""Commands that say which is better: compare by scores, rank by votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limner.cli.commands.shared import Place, Recipe, one_recipe, report
from limner.cli.flags import command_for, typed
from limner.cli.recipes import read_lines
from limner.core.errors import LimnerError
from limner.core.execution import Execution, body_model
from limner.core.requests import CompareRequest

Prompts = Annotated[Path | None, Parameter(help="Text file with a prompt in each line.")]


def compare(
    request: CompareRequest,
    execution: Execution,
    *,
    prompts: Prompts = None,
    recipe: Recipe = None,
    out: Place = Path("comparison"),
) -> None:
    report(request, execution, out)


def compare_command(arguments: Sequence[str]) -> Callable[..., None]:
    """`limner compare` for what was typed after it: prompts may come from a file of lines."""
    lines, recipe = typed(arguments, "--prompts"), one_recipe(arguments, "compare", "comparisons")
    if lines is not None:
        if typed(arguments, "--prompt") is not None:
            raise LimnerError("prompts come from --prompts and from --prompt", "put them all into the file")
        recipe = {**recipe, "prompt": read_lines(lines)}
    return command_for(body_model("compare"), None, compare, [recipe])


def rank(
    *votes: Annotated[Path, Parameter(help="Files that blind.html saved, one of each person.")],
    comparison: Annotated[Path, Parameter(help="Folder of the comparison.")] = Path("comparison"),
) -> None:
    from limner.cli.terminal import print_ranking
    from limner.engine.compare.ranking import rank

    if not votes:
        raise LimnerError("no file of votes is named", "limner rank votes.json --comparison FOLDER")
    ranking = rank(votes, comparison)
    print_ranking(ranking.ranks)
    print(ranking.verdict)
