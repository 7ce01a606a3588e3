"""Maps and histograms: all are there, and no name is markup."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from limner.reports import plots, dots, interval_plots, histogram, scatter, tradeoff
from limner.reports.plots import Curve
from limner.reports.dots import Panel
from limner.reports.interval_plots import Line
from limner.reports.tradeoff import Point

HOSTILE = '</svg><script>alert("$x^2$")</script>--><b>'


def tags(svg):
    return [str(element.tag).rsplit("}", 1)[-1] for element in ElementTree.fromstring(svg).iter()]


def dots_of(svg):
    """How many dots each collection has, in the order in which they were drawn."""
    groups = [each for each in ElementTree.fromstring(svg).iter() if "PathCollection" in each.attrib.get("id", "")]
    return [sum(str(inner.tag).endswith("use") for inner in group.iter()) for group in groups]


def test_a_map_has_a_dot_for_each_picture():
    places, labels = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 12
    svg = scatter.scatter(places, labels, HOSTILE, [3], HOSTILE)
    assert dots_of(svg)[:9] == [*np.bincount(labels)[:8].tolist(), 16], "clusters and the others"
    assert len(dots_of(svg)) == len(dots_of(scatter.scatter(places, labels, "x"))) + 2, (
        "the ring, and its sign in the legend"
    )
    assert "script" not in tags(svg) and svg == scatter.scatter(places, labels, HOSTILE, [3], HOSTILE)
    assert (
        not dots_of(scatter.scatter(np.empty((0, 2)), [], "x"))
        and len(dots_of(scatter.scatter(places[:1], [0], "x"))) == 2
    )


def test_a_histogram_leaves_out_what_is_no_number():
    svg = histogram.histogram([1.0, 2.0, float("nan"), float("inf")], HOSTILE, 1.5)
    assert "script" not in tags(svg) and svg == histogram.histogram([1.0, 2.0], HOSTILE, 1.5)
    assert tags(histogram.histogram([], "x")) and tags(histogram.histogram([5.0], "x"))


# What is drawn where


@pytest.fixture
def drawn(monkeypatch):
    """The axes that a chart draws on."""
    shown = []
    for module in (dots, interval_plots, histogram, scatter, tradeoff):
        monkeypatch.setattr(module, "as_svg", lambda figure, label: shown.append(figure) or "")

    def of(draw, *given, **named):
        draw(*given, **named)
        return shown[-1].axes[0]

    return of


LINES = (
    Line("first", 1.0, 0.5, 2.0, strong=True),
    Line("second", -1.0, -2.0, -0.5),
    Line("third", 3.0, -np.inf, np.inf),
)


@pytest.mark.parametrize("chart", ["forest", "dots"])
def test_each_name_stands_beside_its_own_mean_and_interval(drawn, chart):
    """From the top in their order; what stands out has a colour of its own, and an interval without ends has no bar."""
    axes = drawn(interval_plots.forest, LINES, "x") if chart == "forest" else drawn(dots.dots, [Panel("x", LINES)], "x")
    strong = interval_plots.ACCENT if chart == "forest" else dots.WARNING
    names = {int(place): text.get_text() for place, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert [names[row] for row in (2, 1, 0)] == ["first", "second", "third"]
    marks = {names[int(line.get_ydata()[0])]: line for line in axes.lines if line.get_marker() == "o"}
    assert {name: line.get_xdata()[0] for name, line in marks.items()} == {"first": 1, "second": -1, "third": 3}
    assert {name: to_hex(line.get_color()) for name, line in marks.items()} == {
        "first": strong,
        "second": interval_plots.FAINT,
        "third": interval_plots.FAINT,
    }
    bars = {
        names[int(y[0])]: tuple(x)
        for x, y in (line.get_data() for line in axes.lines)
        if len(x) == 2 and y[0] == y[1] in names
    }
    assert bars == {"first": (0.5, 2.0), "second": (-2.0, -0.5)}


def test_a_curve_goes_along_its_places_with_an_interval_at_each():
    axes = Figure().add_subplot()
    values = [(30.0, 29.0, 33.0), (10.0, 6.0, 11.0), (20.0, np.nan, np.nan)]
    plots._draw(axes, Curve("guidance", "fidelity", [3.0, 1.0, 2.0], values, marked=0.0))
    assert [each.tolist() for each in axes.lines[0].get_data()] == [[1, 2, 3], [10, 20, 30]]
    bars = [segment[:, 1].tolist() for each in axes.collections for segment in each.get_segments()]
    assert bars == [[6, 11], [20, 20], [29, 33]]
    assert [0, 0] in [list(line.get_xdata()) for line in axes.lines], "a place that stands out, be it zero"


def test_a_map_shows_each_at_its_place_with_its_number_and_its_cluster(drawn):
    places = np.random.default_rng(0).normal(size=(30, 2))
    labels = np.arange(30) % 10
    axes = drawn(scatter.scatter, places, labels, "x", marked=[4, 17])
    assert {text.get_text(): tuple(text.xy) for text in axes.texts} == {
        str(number + 1): tuple(place) for number, place in enumerate(places)
    }
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == [*(f"cluster {number} (3)" for number in range(1, 9)), "others (6)", "unlike the others"]
    assert np.array_equal(axes.collections[3].get_offsets(), places[labels == 3])
    assert np.array_equal(axes.collections[8].get_offsets(), places[labels >= 8])
    assert np.array_equal(axes.collections[9].get_offsets(), places[[4, 17]])


def test_of_many_pictures_all_are_counted_and_some_are_drawn(drawn):
    labels = np.repeat([0, 9], [4_000, 1_000])
    axes = drawn(scatter.scatter, np.zeros((5_000, 2)), labels, "x")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["cluster 1 (4,000)", "others (1,000)"]
    assert sum(len(each.get_offsets()) for each in axes.collections) == scatter.MOST


def test_a_path_has_its_beginning_hollow_and_its_best_a_star(drawn):
    points = [Point("base", 0.1, 0.9, start=True), Point("50", 0.4, 0.8), Point("100", 0.5, 0.7, best=True)]
    axes = drawn(tradeoff.tradeoff_svg, points, "x", "y")
    path, *marks = axes.lines
    assert [each.tolist() for each in map(np.asarray, path.get_data())] == [[0.1, 0.4, 0.5], [0.9, 0.8, 0.7]]
    assert [mark.get_marker() for mark in marks] == ["o", "o", "*"]
    assert [mark.get_markerfacecolor() for mark in marks] == ["white", interval_plots.ACCENT, plots.MARK]
    assert {text.get_text(): text.xy for text in axes.texts} == {
        "base": (0.1, 0.9),
        "50": (0.4, 0.8),
        "100": (0.5, 0.7),
    }


def test_a_histogram_counts_all_that_are_numbers_and_marks_the_limit(drawn):
    axes = drawn(histogram.histogram, [0.0, 0.15, 2.95, 3.0, np.nan], "x", limit=1.5)
    heights = [bar.get_height() for bar in axes.patches]
    assert (len(heights), sum(heights), heights[0], heights[1], heights[-1]) == (30, 4, 1, 1, 2)
    assert [list(line.get_xdata()) for line in axes.lines] == [[1.5, 1.5]]
