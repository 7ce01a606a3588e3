"""Plots of means with their intervals: one plot (forest plot), or a small plot for each score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.core.text import shorten
from limner.reports.plots import ACCENT, FAINT, INK, WARNING, as_svg, new_figure, show_spines

COLUMNS = 2
"""Small plots in a row."""


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean with its interval; infinite bounds are not drawn. highlighted: whether it has a colour of its own."""

    name: str
    mean: float
    low: float
    high: float
    highlighted: bool = False


@dataclass(frozen=True)
class Panel:
    """One of several small plots. title: what the values are."""

    title: str
    intervals: Sequence[MeanInterval]


def forest_svg(intervals: Sequence[MeanInterval], label: str) -> str:
    """A forest plot: one line for each interval, zero marked. label: what the values are."""
    with new_figure(8, 0.9 + 0.36 * len(intervals), font=11) as figure:
        axes = figure.add_subplot()
        _draw_intervals(axes, intervals, ACCENT, 44)
        axes.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xlabel(label, color=INK)
        return as_svg(figure, label)


def panels_svg(panels: Sequence[Panel], label: str) -> str:
    """Small plots beside each other. label: what they show, for screen readers."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    height = 0.9 + 0.3 * max(len(panel.intervals) for panel in panels)
    with new_figure(9, height * rows) as figure:
        figure.set_layout_engine("constrained", h_pad=0.12)  # inches
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(rows, columns, number)
            _draw_intervals(axes, panel.intervals, WARNING, 24)
            axes.set_title(panel.title, color=INK, fontsize=11, loc="left")
            axes.locator_params(axis="x", nbins=4)
        return as_svg(figure, label)


def _draw_intervals(axes: Any, intervals: Sequence[MeanInterval], highlight: str, length: int) -> None:
    """Draw the intervals from the top down. highlight: colour of those highlighted. length: of names, in characters."""
    for row, each in enumerate(reversed(intervals)):
        colour = highlight if each.highlighted else FAINT
        if np.isfinite(each.low) and np.isfinite(each.high):
            axes.plot((each.low, each.high), (row, row), color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(each.mean, row, "o", color=colour, markersize=6)
    names = [shorten(each.name, length) for each in reversed(intervals)]
    axes.set_yticks(range(len(intervals)), names, color=INK)
    axes.set_ylim(-0.6, len(intervals) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=FAINT)
    show_spines(axes, "bottom")
