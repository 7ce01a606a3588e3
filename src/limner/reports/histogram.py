"""How values are spread, as a histogram, with a limit marked where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.reports.plots import MARK
from limner.reports.interval_plots import ACCENT, FAINT, INK, as_svg

BINS = 30


def histogram(values: Sequence[float] | np.ndarray, label: str, limit: float | None = None) -> str:
    """The histogram of finite values as SVG, to be put into a page. label: what they are. limit: marked."""
    numbers = np.asarray(values, dtype=np.float64)
    counts, edges = np.histogram(numbers[np.isfinite(numbers)], BINS)
    return drawn(counts, edges, label, limit)


def drawn(counts: np.ndarray, edges: np.ndarray, label: str, limit: float | None = None) -> str:
    """The same of counts (k,) between edges (k + 1,), as a stream of values leaves them."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "limner", "font.size": 10, "text.parse_math": False}):
        figure = Figure(figsize=(4.6, 2.4), layout="constrained")
        axes = figure.add_subplot()
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=ACCENT, edgecolor="white", linewidth=0.5)
        if limit is not None:
            axes.axvline(limit, color=MARK, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set_xlabel(label, color=INK)
        axes.set_ylabel("pictures", color=FAINT)
        axes.locator_params(axis="y", nbins=4, integer=True)
        axes.tick_params(colors=FAINT)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("bottom", "left"):
            axes.spines[side].set_color(FAINT)
        return as_svg(figure, label)
