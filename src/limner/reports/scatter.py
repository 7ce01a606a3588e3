"""Pictures as dots on a map where those alike lie together, coloured by cluster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.reports.interval_plots import FAINT, INK, as_svg

COLOURS = ("#0f8f88", "#e4572e", "#3b6fb5", "#e0a100", "#8a4fae", "#5d8c2e", "#c2417c", "#6b5344")
"""Of the largest clusters in turn; the others share `REST`."""
REST = "#b4b8c0"
MOST = 2_000
"""Dots that are drawn, evenly taken, so that a page stays small."""
NUMBERED = 40
"""Pictures up to which each dot has its number beside it."""


def scatter(
    places: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    label: str,
    marked: Sequence[int] = (),
    named: str = "cluster",
    numbered: bool = True,
) -> str:
    """The map as SVG, to be put into a page. places: (n, 2). labels: of each its cluster, 0 the largest. marked: the
    numbers of those that are ringed, such as outliers. label: what it shows. named: what a cluster is called. numbered:
    whether each has its number, where they are few.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    where, clusters = np.asarray(places, dtype=np.float64).reshape(-1, 2), np.asarray(labels, dtype=np.int64)
    count = len(where)
    shown = np.arange(count) if count <= MOST else np.linspace(0, count - 1, MOST).astype(np.int64)
    size = 46 if count <= NUMBERED else 18 if count <= 500 else 6
    with rc_context({"svg.hashsalt": "limner", "font.size": 10, "text.parse_math": False}):
        figure = Figure(figsize=(7, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for cluster in range(len(COLOURS) + 1):
            rest = cluster == len(COLOURS)
            among = shown[clusters[shown] >= cluster if rest else clusters[shown] == cluster]
            if len(among):
                total = int((clusters >= cluster).sum() if rest else (clusters == cluster).sum())
                told = "others" if rest else f"{named} {cluster + 1}"
                colour = REST if rest else COLOURS[cluster]
                axes.scatter(*where[among].T, s=size, c=colour, linewidths=0, label=f"{told} ({total:,})", alpha=0.85)
        if len(marked):
            rings = where[list(marked)]
            axes.scatter(
                *rings.T, s=size * 3, facecolors="none", edgecolors=INK, linewidths=1, label="unlike the others"
            )
        if numbered and count <= NUMBERED:
            for number, place in enumerate(where):
                axes.annotate(str(number + 1), tuple(place), (5, 4), textcoords="offset points", color=INK, fontsize=8)
        axes.margins(0.08)
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_color(FAINT)
        if count:
            axes.legend(
                loc="center left",
                bbox_to_anchor=(1, 0.5),
                frameon=False,
                labelcolor=INK,
                fontsize=9,
                markerscale=(46 / size) ** 0.5,
            )
        return as_svg(figure, label)
