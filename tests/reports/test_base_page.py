"""Rules that all report pages share."""

from __future__ import annotations

import re
from pathlib import Path

import limner
from limner.reports.plots import PAGE_COLOURS

REPORTS = Path(limner.__file__).parent / "reports"
BASE = (REPORTS / "base.html").read_text(encoding="utf-8")


def rule(selector: str) -> str:
    """The declarations of a selector."""
    found = re.search(rf"(?:^|[}}\s]){re.escape(selector)} {{([^}}]*)}}", BASE)
    assert found is not None, selector
    return " ".join(found[1].split())


def test_plots_are_not_stretched() -> None:
    assert "width: auto" in rule(".plot svg")


def test_what_is_cut_has_a_shadow_at_its_edge() -> None:
    """The cover scrolls with the table or plot (local) and uncovers the shadow, which does not."""
    assert rule(".scroll").count("100% local") == rule(".scroll").count("100% scroll") == 2
    assert "overflow-x: auto" in rule(".scroll") and "background" not in rule(".plot")
    for page in REPORTS.glob("*.html"):
        for name in re.findall(r'class="([^"]*\bplot\b[^"]*)"', page.read_text(encoding="utf-8")):
            assert "scroll" in name.split(), (page.name, name)


def test_no_page_has_a_part_that_stays_white_in_dark_mode() -> None:
    """Colours come from the variables of the base page, which dark mode replaces."""
    dark = re.search(r"prefers-color-scheme: dark\) { :root {([^}]*)}", BASE)
    assert dark is not None
    variables = {*re.findall(r"(--[\w]+):", rule(":root"))}
    assert variables == {*re.findall(r"(--\w+):", dark[1])} >= {*re.findall(r"--\w+", " ".join(PAGE_COLOURS.values()))}
    for page in REPORTS.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for selector, block in re.findall(r"([^{}]+){([^{}]*)}", text):
            if ".slide" not in selector:  # lies on images
                assert not re.search(r"background(-color)?: *(#f|white)", block), (page.name, selector)
        assert not re.search(r'<img class="wide"', text), page.name


def test_every_table_that_may_be_wide_scrolls() -> None:
    for page in REPORTS.glob("*.html"):
        for before, table in re.findall(r"(.{0,20})(<table[^>]*>)", page.read_text(encoding="utf-8")):
            assert before.endswith('<div class="scroll">') or "bars" in table, (page.name, table)
