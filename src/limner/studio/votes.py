"""What people saved on blind pages: votes on a comparison, scores of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def rank(votes: Sequence[Path], comparison: Path) -> Any:
    """The ranking of a comparison's contestants by files of votes: `ranks`, best first, and `verdict`."""
    from limner.engine.compare.ranking import rank

    return rank(votes, comparison)


def summarise_opinions(scores: Sequence[Path], evaluation: Path) -> tuple[Any, Path]:
    """What people scored and which metrics agree with them, with its `verdict`; and the page that shows it."""
    from limner.engine.evaluate.opinions_report import tell_opinions

    return tell_opinions(scores, evaluation)
