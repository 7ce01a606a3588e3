"""Maps and histograms: all are there, and no name is markup."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from limner.pages.histogram import histogram
from limner.pages.scatter import scatter

HOSTILE = '</svg><script>alert("$x^2$")</script>--><b>'


def tags(svg):
    return [str(element.tag).rsplit("}", 1)[-1] for element in ElementTree.fromstring(svg).iter()]


def dots(svg):
    """How many dots each collection has, in the order in which they were drawn."""
    groups = [each for each in ElementTree.fromstring(svg).iter() if "PathCollection" in each.attrib.get("id", "")]
    return [sum(str(inner.tag).endswith("use") for inner in group.iter()) for group in groups]


def test_a_map_has_a_dot_for_each_picture():
    places, labels = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 12
    svg = scatter(places, labels, HOSTILE, [3], HOSTILE)
    assert dots(svg)[:9] == [*np.bincount(labels)[:8].tolist(), 16], "clusters and the others"
    assert len(dots(svg)) == len(dots(scatter(places, labels, "x"))) + 2, "the ring, and its sign in the legend"
    assert "script" not in tags(svg) and svg == scatter(places, labels, HOSTILE, [3], HOSTILE)
    assert not dots(scatter(np.empty((0, 2)), [], "x")) and len(dots(scatter(places[:1], [0], "x"))) == 2


def test_a_histogram_leaves_out_what_is_no_number():
    svg = histogram([1.0, 2.0, float("nan"), float("inf")], HOSTILE, 1.5)
    assert "script" not in tags(svg) and svg == histogram([1.0, 2.0], HOSTILE, 1.5)
    assert tags(histogram([], "x")) and tags(histogram([5.0], "x"))
