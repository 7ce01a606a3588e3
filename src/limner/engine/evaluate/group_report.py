"""What the page tells of groups: a sentence for each score, a plot and tables."""

from __future__ import annotations

from typing import Any

from limner.engine.evaluate.group_errors import Mistaken
from limner.engine.evaluate.group_scores import Served, gap_told
from limner.reports.dots import Panel, dots
from limner.reports.interval_plots import Line
from limner.stats.group_fairness import Fairness

TAKEN = "share taken for another group"


def served_page(found: Served) -> dict[str, Any]:
    """What reports/served.html shows."""
    judged = found.mistaken
    parted = [(found.titles[name], each) for name, each in found.metrics.items()]
    parted += [(TAKEN, judged.groups)] if judged else []
    return {
        "groups": list(found.grouped.rows),
        "count": len(next(iter(found.grouped.rows.values()))),
        "sentences": [(_capital(gap_told(title, each)), _bad(each)) for title, each in parted],
        "plot": dots([Panel(title, _lines(each)) for title, each in parted], "scores by group") if parted else None,
        "rows": [_row(found.titles[name], each) for name, each in found.metrics.items()],
        "mistaken": judged and _mistaken(judged),
    }


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _bad(each: Fairness) -> bool:
    """Whether a group is served worse, and chance hardly explains it."""
    return each.shown and each.better is not None


def _lines(each: Fairness) -> list[Line]:
    """The groups as they are asked for; the worst stands out where chance hardly explains that."""
    return [
        Line(group.value, group.mean, group.low, group.high, _bad(each) and group.value == each.worst)
        for group in each.groups
    ]


def _row(title: str, each: Fairness) -> dict[str, Any]:
    return {
        "title": title,
        "means": [f"{group.mean:.3g} [{group.low:.3g}, {group.high:.3g}]" for group in each.groups],
        "gap": f"{each.gap:.2g} [{each.low:.2g}, {each.high:.2g}]",
        "worst": each.worst if each.better and each.gap else "",
        "chance": _chance(each.chance),
        "bad": _bad(each),
    }


def _chance(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _mistaken(found: Mistaken) -> dict[str, Any]:
    return {
        "encoder": found.encoder,
        "share": _percent(found.share),
        "guessing": _percent(found.by_guessing),
        "gap": _percent(found.groups.gap),
        "chance": _chance(found.groups.chance),
        "rows": [
            {
                "group": group.value,
                "share": _percent(group.mean),
                "interval": f"[{_percent(group.low)}, {_percent(group.high)}]",
                "wrong": f"{sum(found.taken[group.value].values())} of {group.count}",
                "mostly": found.mostly(group.value) or "",
            }
            for group in found.groups.groups
        ],
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
