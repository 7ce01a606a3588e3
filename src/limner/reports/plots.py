"""Plots of reports as SVG: curves, histograms, maps of clusters, and trade-offs."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

INK, FAINT, ACCENT = "#1c1e24", "#787c86", "#0f8f88"
MARK, WARNING = "#e4572e", "#c0392b"
CLUSTERS = ("#0f8f88", "#e4572e", "#3b6fb5", "#e0a100", "#8a4fae", "#5d8c2e", "#c2417c", "#6b5344")
"""Colours of the largest clusters; the others share `REST`."""
REST = "#b4b8c0"
PAGE_COLOURS = {INK: "var(--ink)", FAINT: "var(--faint)", ACCENT: "var(--accent)", WARNING: "var(--warning)"} | {
    "#ffffff": "var(--card)"
}
"""Colours of a plot -> those of the page (base.html), which differ in dark mode."""
CURVES = 3
"""Curves in a row."""
ROW_GAP = 0.14
"""Space above and below each plot in inches, so that a label below one does not look like the next one's title."""
BINS = 30
MAX_DOTS = 2_000
"""Dots that a map shows, evenly chosen, so that a page stays small."""
OFFSETS = (7, 6), (7, -13), (-20, 6), (-20, -13)
"""Where labels of a trade-off stand, in turn, so that neighbours do not overlap; in points."""


@contextmanager
def new_figure(width: float, height: float, font: int = 10) -> Iterator[Any]:
    """A matplotlib figure of a width and height in inches, with the settings that all plots share."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "limner", "font.size": font, "text.parse_math": False}):
        yield Figure(figsize=(width, height), layout="constrained")


def as_svg(figure: Any, label: str) -> str:
    """A matplotlib figure as SVG for a page, with the page's colours. label: what it shows, for screen readers."""
    buffer = io.StringIO()
    for part in (figure, *figure.axes):
        part.patch.set_visible(False)  # the page's background shows through
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    before, _, rest = text[text.index("<svg") :].partition("<metadata>")
    text = before + (rest.partition("</metadata>")[2] if rest else "")
    text = re.sub("|".join(PAGE_COLOURS), lambda found: PAGE_COLOURS[found[0]], text)
    escaped = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{escaped}"', 1)


def show_spines(axes: Any, *shown: str) -> None:
    """Draw only these sides of a plot's frame ("bottom", "left")."""
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(side in shown)
        axes.spines[side].set_color(FAINT)


@dataclass(frozen=True)
class Curve:
    """A score along a setting. values: mean, low and high at each x, NaN where unknown. marked: an x to mark."""

    x_label: str
    title: str
    x: Sequence[float]
    values: Sequence[tuple[float, float, float]]
    marked: float | None = None


def curves_svg(curves: Sequence[Curve]) -> str:
    """The curves beside each other."""
    with _curves_figure(curves) as figure:
        return as_svg(figure, "scores along the settings")


def write_curves_png(curves: Sequence[Curve], path: Path) -> None:
    """Write the curves as a PNG for a paper, at 200 dots per inch."""
    with _curves_figure(curves) as figure, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200)
        path.write_bytes(buffer.getvalue())


@contextmanager
def _curves_figure(curves: Sequence[Curve]) -> Iterator[Any]:
    columns = min(CURVES, len(curves))
    rows = -(-len(curves) // columns)
    with new_figure(3.4 * columns, 2.6 * rows) as figure:
        figure.get_layout_engine().set(h_pad=ROW_GAP)
        for number, curve in enumerate(curves, 1):
            _draw_curve(figure.add_subplot(rows, columns, number), curve)
        yield figure


def _draw_curve(axes: Any, curve: Curve) -> None:
    order = np.argsort(curve.x)
    x = np.asarray(curve.x)[order]
    means, lows, highs = np.asarray(curve.values, dtype=np.float64)[order].T
    axes.plot(x, means, "o-", color=ACCENT, linewidth=2, markersize=5)
    if np.isfinite(lows).any():
        spread = np.vstack([means - lows, highs - means])
        spread[~np.isfinite(spread)] = 0
        axes.errorbar(x, means, yerr=spread, fmt="none", ecolor=ACCENT, elinewidth=1.5, capsize=3)
    if curve.marked is not None:
        axes.axvline(curve.marked, color=MARK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_title(curve.title, color=INK, fontsize=11)
    axes.set_xlabel(curve.x_label, color=FAINT)
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.tick_params(colors=FAINT)
    show_spines(axes, "bottom", "left")


def histogram_svg(values: Sequence[float] | np.ndarray, label: str, limit: float | None = None) -> str:
    """A histogram of the finite values. label: what they are. limit: a value to mark."""
    numbers = np.asarray(values, dtype=np.float64)
    counts, edges = np.histogram(numbers[np.isfinite(numbers)], BINS)
    with new_figure(4.6, 2.4) as figure:
        axes = figure.add_subplot()
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=ACCENT, edgecolor="white", linewidth=0.5)
        if limit is not None:
            axes.axvline(limit, color=MARK, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set_xlabel(label, color=INK)
        axes.set_ylabel("pictures", color=FAINT)
        axes.locator_params(axis="y", nbins=4, integer=True)
        axes.tick_params(colors=FAINT)
        show_spines(axes, "bottom", "left")
        return as_svg(figure, label)


def clusters_svg(points: np.ndarray, labels: Sequence[int] | np.ndarray, label: str) -> str:
    """A map of images, coloured by cluster. points: (n, 2). labels: (n,) cluster numbers, 0 the largest."""
    positions = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    clusters = np.asarray(labels, dtype=np.int64)
    count = len(positions)
    shown = np.arange(count) if count <= MAX_DOTS else np.linspace(0, count - 1, MAX_DOTS).astype(np.int64)
    size = 46 if count <= 40 else 18 if count <= 500 else 6
    with new_figure(7, 4.6) as figure:
        axes = figure.add_subplot()
        for cluster in range(len(CLUSTERS) + 1):
            rest = cluster == len(CLUSTERS)
            members = shown[clusters[shown] >= cluster if rest else clusters[shown] == cluster]
            if len(members):
                total = int((clusters >= cluster).sum() if rest else (clusters == cluster).sum())
                name = "others" if rest else f"cluster {cluster + 1}"
                colour = REST if rest else CLUSTERS[cluster]
                axes.scatter(
                    *positions[members].T, s=size, c=colour, linewidths=0, label=f"{name} ({total:,})", alpha=0.85
                )
        axes.margins(0.08)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(FAINT)
        if count:
            scale = (46 / size) ** 0.5
            axes.legend(
                loc="center left",
                bbox_to_anchor=(1, 0.5),
                frameon=False,
                labelcolor=INK,
                fontsize=9,
                markerscale=scale,
            )
        return as_svg(figure, label)


@dataclass(frozen=True)
class Point:
    """A point of a trade-off. start: the first one. best: the chosen one."""

    name: str
    x: float
    y: float
    start: bool = False
    best: bool = False


def tradeoff_svg(points: Sequence[Point], x_label: str, y_label: str) -> str:
    """Two scores against each other, step by step, as one path; better is to the right and above."""
    with new_figure(6.2, 4.2) as figure:
        axes = figure.add_subplot()
        axes.plot([p.x for p in points], [p.y for p in points], "-", color=ACCENT, linewidth=1.2, alpha=0.5)
        for number, point in enumerate(points):
            colour = MARK if point.best else ACCENT
            axes.plot(
                [point.x],
                [point.y],
                marker="*" if point.best else "o",
                markersize=15 if point.best else 7,
                color=colour,
                markerfacecolor="white" if point.start else colour,
            )
            offset = OFFSETS[number % len(OFFSETS)]
            axes.annotate(point.name, (point.x, point.y), offset, textcoords="offset points", color=INK, fontsize=9)
        axes.margins(0.14)
        axes.set_xlabel(x_label, color=FAINT)
        axes.set_ylabel(y_label, color=FAINT)
        axes.tick_params(colors=FAINT)
        show_spines(axes, "bottom", "left")
        return as_svg(figure, f"{y_label} against {x_label}, step by step")
