"""Rules that all report pages share."""

from __future__ import annotations

import re
from pathlib import Path

import limner

REPORTS = Path(limner.__file__).parent / "reports"
BASE = (REPORTS / "base.html").read_text(encoding="utf-8")


def rule(selector: str) -> str:
    """The declarations of a selector."""
    found = re.search(rf"(?:^|[}}\s]){re.escape(selector)} {{([^}}]*)}}", BASE)
    assert found is not None, selector
    return " ".join(found[1].split())


def test_figures_and_plots_are_not_stretched() -> None:
    assert "max-width: 100%" in rule(".wide") and not re.search(r"(?<!-)width: 100%", rule(".wide"))
    assert "width: auto" in rule(".plot svg")


def test_plots_are_dark_in_dark_mode_and_scroll_on_a_phone() -> None:
    assert re.search(r"prefers-color-scheme: dark\) { \.plot { filter: invert", BASE)
    assert "overflow-x: auto" in rule(".plot")


def test_a_table_that_is_cut_has_a_shadow_at_its_edge() -> None:
    """The cover scrolls with the table (local) and uncovers the shadow, which does not."""
    assert rule(".scroll").count("100% local") == rule(".scroll").count("100% scroll") == 2


def test_every_table_that_may_be_wide_scrolls() -> None:
    for page in REPORTS.glob("*.html"):
        for before, table in re.findall(r"(.{0,20})(<table[^>]*>)", page.read_text(encoding="utf-8")):
            assert before.endswith('<div class="scroll">') or "bars" in table, (page.name, table)
