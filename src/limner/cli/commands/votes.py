"""Commands that read what people saved on blind pages: votes on a comparison, scores of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limner.cli.output import print_line
from limner.core.errors import LimnerError


def rank(
    *votes: Annotated[Path, Parameter(help="Files saved by blind.html, one for each person.")],
    comparison: Annotated[Path, Parameter(help="Folder of the comparison.")] = Path("comparison"),
) -> None:
    from limner.cli.terminal import print_ranking
    from limner.studio.feedback import rank

    if not votes:
        raise LimnerError("no file of votes is given", "limner rank votes.json --comparison FOLDER")
    ranking = rank(votes, comparison)
    print_ranking(ranking.ranks)
    print_line(ranking.verdict)


def opinions(
    *scores: Annotated[Path, Parameter(help="Files saved by score.html, one for each person.")],
    evaluation: Annotated[Path, Parameter(help="Folder of the evaluation.")] = Path("evaluation"),
) -> None:
    from limner.studio.feedback import summarise_opinions

    if not scores:
        raise LimnerError("no file of scores is given", "limner opinions scores.json --evaluation FOLDER")
    found, page = summarise_opinions(scores, evaluation)
    print_line(found.verdict)
    print_line(page)
