"""Scores along a setting, with their intervals, as small plots beside each other."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limner.reports.interval_plots import ACCENT, FAINT, INK, as_svg

ACROSS = 3
"""Plots in a row."""
MARK = "#e4572e"


@dataclass(frozen=True)
class Curve:
    """values: for each place across, mean, low and high, NaN where nothing is known. marked: one that stands out."""

    across: str
    title: str
    places: Sequence[float]
    values: Sequence[tuple[float, float, float]]
    marked: float | None = None


def curves_svg(curves: Sequence[Curve]) -> str:
    """The plots as SVG, to be put into a page."""
    with _drawn(curves) as figure:
        return as_svg(figure, "scores along the settings")


def curves_picture(curves: Sequence[Curve], path: Path) -> None:
    """The plots as a PNG for a paper, at 200 dots per inch."""
    with _drawn(curves) as figure, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks
        kept = io.BytesIO()
        figure.savefig(kept, format="png", dpi=200)
        path.write_bytes(kept.getvalue())


@contextmanager
def _drawn(curves: Sequence[Curve]) -> Iterator[Any]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    wide = min(ACROSS, len(curves))
    tall = -(-len(curves) // wide)
    with rc_context({"svg.hashsalt": "limner", "font.size": 10, "text.parse_math": False}):
        figure = Figure(figsize=(3.4 * wide, 2.6 * tall), layout="constrained")
        for number, curve in enumerate(curves):
            _draw(figure.add_subplot(tall, wide, number + 1), curve)
        yield figure


def _draw(axes: Any, curve: Curve) -> None:
    order = np.argsort(curve.places)
    places = np.asarray(curve.places)[order]
    means, lows, highs = np.asarray(curve.values, dtype=np.float64)[order].T
    axes.plot(places, means, "o-", color=ACCENT, linewidth=2, markersize=5)
    if np.isfinite(lows).any():
        spread = np.vstack([means - lows, highs - means])
        spread[~np.isfinite(spread)] = 0
        axes.errorbar(places, means, yerr=spread, fmt="none", ecolor=ACCENT, elinewidth=1.5, capsize=3)
    if curve.marked is not None:
        axes.axvline(curve.marked, color=MARK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_title(curve.title, color=INK, fontsize=11)
    axes.set_xlabel(curve.across, color=FAINT)
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.tick_params(colors=FAINT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(FAINT)
