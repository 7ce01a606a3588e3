"""How pictures were received, counted by model, adapter, industry or style."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from math import sqrt
from typing import Any

from sqlalchemy import ColumnElement, Float, cast, func, select

from limner.core.feedback import STARS, ByWhat, Reason, Standing
from limner.store.images import Viewer, reasons_of
from limner.store.runs import Store
from limner.store.tables import ComparisonRow, ImageAdapterRow, ImageRow, RatingRow

_NORMAL = 1.96
"""Standard deviations on both sides of the mean that hold 95% of a normal distribution."""


def rating_summary(store: Store, view: Viewer, by: ByWhat, industry: str | None = None) -> list[Standing]:
    """One standing for each model, adapter, industry or style that was rated or compared, best mean first.

    industry: count only what was made for this one.
    """

    def grouped(query: Any) -> Any:
        """The query by name, over the pictures in view."""
        if by == "adapter":
            query = query.outerjoin(ImageAdapterRow, ImageAdapterRow.picture == ImageRow.id)
        theirs = view.sees() if industry is None else view.sees() & (ImageRow.industry == industry)
        return query.where(theirs).group_by(_column(by))

    name, squared = _column(by), cast(RatingRow.stars * RatingRow.stars, Float)
    rated = select(name, func.count(), func.avg(RatingRow.stars), func.sum(squared)).join(
        ImageRow, ImageRow.id == RatingRow.picture
    )
    why = select(name, RatingRow.reasons, func.count()).join(ImageRow, ImageRow.id == RatingRow.picture)
    compared = select(name, func.count(), ComparisonRow.tie)
    with store.session() as opened:
        session: Any = opened
        figures = {row[0]: (int(row[1]), float(row[2]), float(row[3])) for row in session.execute(grouped(rated))}
        reasons = _reasons(session.execute(grouped(why).group_by(RatingRow.reasons)).all())
        outcomes: dict[str | None, Counter[str]] = defaultdict(Counter)
        for side, column in (("wins", ComparisonRow.better), ("losses", ComparisonRow.worse)):
            query = grouped(compared.join(ImageRow, ImageRow.id == column)).group_by(ComparisonRow.tie)
            for key, count, tie in session.execute(query):
                outcomes[key]["ties" if tie else side] += count
    found = [_standing(key, figures.get(key), outcomes[key], reasons[key]) for key in {**figures, **outcomes}]
    return sorted(found, key=lambda each: (-(each.mean or 0), -each.ratings, each.name or ""))


def _column(by: ByWhat) -> ColumnElement[Any]:
    columns: dict[ByWhat, Any] = {
        "model": ImageRow.model,
        "adapter": ImageAdapterRow.reference,
        "industry": ImageRow.industry,
        "style": ImageRow.style,
    }
    return columns[by]


def _reasons(rows: Iterable[Any]) -> dict[str | None, Counter[Reason]]:
    found: dict[str | None, Counter[Reason]] = defaultdict(Counter)
    for key, text, count in rows:
        for reason in reasons_of(text):
            found[key][reason] += count
    return found


def _standing(
    name: str | None, figures: tuple[int, float, float] | None, outcomes: Counter[str], reasons: Counter[Reason]
) -> Standing:
    count, mean, squares = figures or (0, None, 0.0)
    error, low, high = None, None, None
    if mean is not None and count > 1:
        error = sqrt(max(0.0, squares - count * mean**2) / (count - 1) / count)
        low, high = max(1.0, mean - _NORMAL * error), min(float(STARS), mean + _NORMAL * error)
    return Standing(
        name=name,
        ratings=count,
        mean=mean,
        standard_error=error,
        low=low,
        high=high,
        wins=outcomes["wins"],
        losses=outcomes["losses"],
        ties=outcomes["ties"],
        reasons=dict(reasons),
    )
