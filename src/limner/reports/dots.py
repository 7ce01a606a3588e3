"""Means of groups with their intervals, a small plot for each score, beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.core.text import shorten
from limner.reports.forest import FAINT, INK, Line, as_svg

WARNING = "#c0392b"
ACROSS = 2
"""Plots in a row."""
SHORT = 24
"""Characters of a group's name that are shown."""


@dataclass(frozen=True)
class Panel:
    """title: what the values are. lines: the groups, that which stands out marked strong."""

    title: str
    lines: Sequence[Line]


def dots(panels: Sequence[Panel], label: str) -> str:
    """The plots as SVG, to be put into a page. label: what they show, for those who do not see them."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    wide = min(ACROSS, len(panels))
    tall = -(-len(panels) // wide)
    height = 0.9 + 0.3 * max(len(panel.lines) for panel in panels)
    with rc_context({"svg.hashsalt": "limner", "font.size": 10, "text.parse_math": False}):
        figure = Figure(figsize=(9, height * tall))
        figure.set_layout_engine("constrained", h_pad=0.12)  # inches
        for number, panel in enumerate(panels):
            _draw(figure.add_subplot(tall, wide, number + 1), panel)
        return as_svg(figure, label)


def _draw(axes: Any, panel: Panel) -> None:
    rows = range(len(panel.lines))
    for row, line in zip(rows, reversed(panel.lines), strict=True):
        colour = WARNING if line.strong else FAINT
        if np.isfinite(line.low) and np.isfinite(line.high):
            axes.plot((line.low, line.high), (row, row), color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(line.mean, row, "o", color=colour, markersize=6)
    axes.set_yticks(rows, [shorten(line.name, SHORT) for line in reversed(panel.lines)], color=INK)
    axes.set_ylim(-0.6, len(panel.lines) - 0.4)
    axes.set_title(panel.title, color=INK, fontsize=11, loc="left")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=FAINT)
    axes.locator_params(axis="x", nbins=6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
