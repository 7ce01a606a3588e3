"""Two scores against each other, step by step, as one path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limner.reports.plots import MARK
from limner.reports.interval_plots import ACCENT, FAINT, INK, as_svg

BESIDE = (7, 6), (7, -13), (-20, 6), (-20, -13)
"""Where names stand, in turn, so that those of neighbours do not lie on each other; in points."""


@dataclass(frozen=True)
class Point:
    """A place on the path. start: where it begins. best: the one that was chosen."""

    name: str
    across: float
    up: float
    start: bool = False
    best: bool = False


def tradeoff_svg(points: Sequence[Point], across: str, up: str) -> str:
    """The path as SVG, to be put into a page; better is to the right and above."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "limner", "font.size": 10, "text.parse_math": False}):
        figure = Figure(figsize=(6.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([p.across for p in points], [p.up for p in points], "-", color=ACCENT, linewidth=1.2, alpha=0.5)
        for number, point in enumerate(points):
            colour = MARK if point.best else ACCENT
            axes.plot(
                [point.across],
                [point.up],
                marker="*" if point.best else "o",
                markersize=15 if point.best else 7,
                color=colour,
                markerfacecolor="white" if point.start else colour,
            )
            axes.annotate(
                point.name,
                (point.across, point.up),
                BESIDE[number % len(BESIDE)],
                textcoords="offset points",
                color=INK,
                fontsize=9,
            )
        axes.margins(0.14)
        axes.set_xlabel(across, color=FAINT)
        axes.set_ylabel(up, color=FAINT)
        axes.tick_params(colors=FAINT)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("bottom", "left"):
            axes.spines[side].set_color(FAINT)
        return as_svg(figure, f"{up} against {across}, step by step")
