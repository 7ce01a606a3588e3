"""Values with their intervals as a plot: one line each, zero marked (a forest plot)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.core.text import shorten

INK, FAINT, ACCENT = "#1c1e24", "#787c86", "#0f8f88"


@dataclass(frozen=True, slots=True)
class Line:
    """A value with its interval; bounds that are infinite are not drawn. strong: whether it stands out."""

    name: str
    mean: float
    low: float
    high: float
    strong: bool = False


def forest(lines: Sequence[Line], across: str, zero: bool = True) -> str:
    """The plot as SVG, to be put into a page. across: what the values are. zero: whether none is marked."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "limner", "font.size": 11, "text.parse_math": False}):
        figure = Figure(figsize=(8, 0.9 + 0.36 * len(lines)), layout="constrained")
        axes = figure.add_subplot()
        for row, line in enumerate(reversed(lines)):
            colour = ACCENT if line.strong else FAINT
            if np.isfinite(line.low) and np.isfinite(line.high):
                axes.plot((line.low, line.high), (row, row), color=colour, linewidth=2, solid_capstyle="round")
            axes.plot(line.mean, row, "o", color=colour, markersize=6)
        if zero:
            axes.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yticks(range(len(lines)), [shorten(line.name, 44) for line in reversed(lines)], color=INK)
        axes.set_ylim(-0.6, len(lines) - 0.4)
        axes.set_xlabel(across, color=INK)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", colors=FAINT)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        return as_svg(figure, across)


def as_svg(figure: object, label: str) -> str:
    """A figure of matplotlib as SVG for a page. label: what it shows, for those who do not see it."""
    kept = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks
        figure.savefig(kept, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    text = kept.getvalue()
    before, _, rest = text[text.index("<svg") :].partition("<metadata>")
    text = before + (rest.partition("</metadata>")[2] if rest else "")
    told = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{told}"', 1)
