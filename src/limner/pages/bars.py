"""Counts of groups as horizontal bars, each with its number and share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .forest import ACCENT, FAINT, INK, as_svg

MOST = 24
"""Bars that are drawn; the rest are one line together, without a bar, which would dwarf the others."""
SHORT = 32
"""Characters of a group's name that are shown."""
WARNING = "#e4572e"


def bars(rows: Sequence[tuple[str, int]], label: str, strong: Collection[str] = (), even: bool = True) -> str:
    """The bars as SVG, to be put into a page. rows: name and count, as they shall stand. label: what is counted.
    strong: names of those that stand out. even: whether an equal share is marked.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    total, groups = sum(count for _, count in rows), len(rows)
    shown = list(rows if groups <= MOST + 1 else rows[:MOST])
    left = rows[len(shown) :]
    colours = [WARNING if name in strong else ACCENT for name, _ in shown]
    names = [_short(name) for name, _ in shown] + [f"{len(left):,} others"] * bool(left)
    counts = [count for _, count in shown] + [sum(count for _, count in left)] * bool(left)
    with rc_context({"svg.hashsalt": "limner", "font.size": 11, "text.parse_math": False}):
        figure = Figure(figsize=(7, 0.5 + 0.32 * max(1, len(counts))), layout="constrained")
        axes = figure.add_subplot()
        places = range(len(counts))[::-1]
        axes.barh(places[: len(shown)], counts[: len(shown)], height=0.68, color=colours)
        for place, count in zip(places, counts, strict=True):
            told = f"{count:,}  ({count / total:.0%})" if total else "0"
            at, paper = count if place or not left else 0, {"facecolor": "white", "linewidth": 0, "pad": 1}
            beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(told, (at, place), color=INK, fontsize=10, bbox=paper, **beside)
        if even and groups > 1:
            axes.axvline(total / groups, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            axes.set_xlabel("dashed: an equal share", color=FAINT, fontsize=9)
        axes.set_yticks(places, names, color=INK)
        axes.set_ylim(-0.6, len(counts) - 0.4)
        axes.set_xlim(0, max([*counts[: len(shown)], 1]) * 1.22)  # room for the numbers beside the bars
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        for side in ("top", "right", "bottom"):
            axes.spines[side].set_visible(False)
        axes.spines["left"].set_color(FAINT)
        return as_svg(figure, label)


def _short(text: str) -> str:
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"
