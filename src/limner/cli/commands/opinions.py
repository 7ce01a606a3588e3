"""What people think of an evaluation's pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limner.core.errors import LimnerError


def opinions(
    *scores: Annotated[Path, Parameter(help="Files that score.html saved, one of each person.")],
    evaluation: Annotated[Path, Parameter(help="Folder of the evaluation.")] = Path("evaluation"),
) -> None:
    from limner.engine.evaluate.opinions_report import report_opinions

    if not scores:
        raise LimnerError("no file of scores is named", "limner opinions scores.json --evaluation FOLDER")
    found, page = report_opinions(scores, evaluation)
    print(found.verdict)
    print(page)
