"""Small plots of groups: all are there, and no name is markup."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from limner.reports.dots import Panel, dots
from limner.reports.interval_plots import Line

HOSTILE = '</svg><script>alert("$x^2$")</script>--><b>'


def test_a_plot_of_hostile_names_is_one_drawing():
    lines = (Line(HOSTILE, 1.0, 0.5, 1.5), Line("b" * 500, 2.0, -math.inf, math.inf, strong=True))
    svg = dots([Panel(HOSTILE, lines)] * 3, HOSTILE)
    root = ElementTree.fromstring(svg)
    names = [element.tag.rsplit("}", 1)[-1] for element in root.iter() if isinstance(element.tag, str)]
    assert root.attrib["aria-label"] == HOSTILE and "script" not in names and "b" not in names
    assert sum(element.attrib.get("id", "").startswith("axes_") for element in root.iter()) == 3
    assert svg == dots([Panel(HOSTILE, lines)] * 3, HOSTILE), "the same again"
