"""Plots: everything is drawn where it belongs, and names are never markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from limner.reports import interval_plots, plots
from limner.reports.interval_plots import MeanInterval, Panel, forest_svg, panels_svg
from limner.reports.plots import Curve, Point, clusters_svg, histogram_svg, tradeoff_svg

HOSTILE = '</svg><script>alert("$x^2$")</script>--><b>'


def tags(svg: str) -> list[str]:
    return [str(element.tag).rsplit("}", 1)[-1] for element in ElementTree.fromstring(svg).iter()]


def dot_counts(svg: str) -> list[int]:
    """The number of dots in each collection, in drawing order."""
    groups = [each for each in ElementTree.fromstring(svg).iter() if "PathCollection" in each.attrib.get("id", "")]
    return [sum(str(inner.tag).endswith("use") for inner in group.iter()) for group in groups]


def test_a_map_has_a_dot_for_each_image():
    points, labels = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 12
    svg = clusters_svg(points, labels, HOSTILE)
    assert dot_counts(svg)[:9] == [*np.bincount(labels)[:8].tolist(), 16], "clusters and the others"
    assert "script" not in tags(svg) and svg == clusters_svg(points, labels, HOSTILE)
    assert not dot_counts(clusters_svg(np.empty((0, 2)), [], "x"))
    assert len(dot_counts(clusters_svg(points[:1], [0], "x"))) == 2


def test_a_histogram_leaves_out_values_that_are_not_finite():
    svg = histogram_svg([1.0, 2.0, float("nan"), float("inf")], HOSTILE, 1.5)
    assert "script" not in tags(svg) and svg == histogram_svg([1.0, 2.0], HOSTILE, 1.5)
    assert tags(histogram_svg([], "x")) and tags(histogram_svg([5.0], "x"))


def test_plots_take_the_colours_of_the_page():
    curve = plots.Curve("steps", "score", [1.0, 2.0], [(1.0, 0.5, 1.5)] * 2, 1.0)
    intervals = (MeanInterval("a", 1.0, 0.5, 1.5, True),)
    drawn = [
        plots.curves_svg([curve]),
        histogram_svg([1.0, 2.0], "x"),
        clusters_svg(np.zeros((12, 2)), np.arange(12), "x"),
        tradeoff_svg([Point("a", 0, 0, start=True), Point("b", 1, 1, best=True)], "x", "y"),
        forest_svg(intervals, "x"),
        panels_svg([Panel("x", intervals)], "x"),
    ]
    fixed = {plots.MARK, *plots.CLUSTERS, plots.REST} - {plots.ACCENT}
    fixed |= {"#1f77b4"}  # matplotlib's fill of the ends of error bars, which have no area
    for svg in drawn:
        assert "var(--ink)" in svg and {*re.findall("#[0-9a-f]{6}", svg)} <= fixed
        assert 'style="fill: var(--card)"' not in svg, "no background: that of the page shows through"


def test_small_plots_with_hostile_names_are_one_drawing():
    intervals = (MeanInterval(HOSTILE, 1.0, 0.5, 1.5), MeanInterval("b" * 500, 2.0, -np.inf, np.inf, True))
    svg = panels_svg([Panel(HOSTILE, intervals)] * 3, HOSTILE)
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == HOSTILE and not {"script", "b"} & set(tags(svg))
    assert sum(element.attrib.get("id", "").startswith("axes_") for element in root.iter()) == 3
    assert svg == panels_svg([Panel(HOSTILE, intervals)] * 3, HOSTILE)


# What is drawn where


@pytest.fixture
def axes_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a plot function and returns the axes that it drew on."""
    figures: list[Any] = []
    for module in (plots, interval_plots):
        monkeypatch.setattr(module, "as_svg", lambda figure, label: figures.append(figure) or "")

    def draw(plot: Callable[..., str], *arguments: Any, **named: Any) -> Any:
        plot(*arguments, **named)
        return figures[-1].axes[0]

    return draw


INTERVALS = (
    MeanInterval("first", 1.0, 0.5, 2.0, highlighted=True),
    MeanInterval("second", -1.0, -2.0, -0.5),
    MeanInterval("third", 3.0, -np.inf, np.inf),
)


@pytest.mark.parametrize("chart", ["forest", "panels"])
def test_each_name_stands_beside_its_own_mean_and_interval(axes_of, chart):
    """From the top down. A highlighted one has its own colour; an infinite interval has no bar."""
    axes = (
        axes_of(forest_svg, INTERVALS, "x") if chart == "forest" else axes_of(panels_svg, [Panel("x", INTERVALS)], "")
    )
    highlight = plots.ACCENT if chart == "forest" else plots.WARNING
    names = {int(place): text.get_text() for place, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert [names[row] for row in (2, 1, 0)] == ["first", "second", "third"]
    marks = {names[int(line.get_ydata()[0])]: line for line in axes.lines if line.get_marker() == "o"}
    assert {name: line.get_xdata()[0] for name, line in marks.items()} == {"first": 1, "second": -1, "third": 3}
    assert {name: to_hex(line.get_color()) for name, line in marks.items()} == {
        "first": highlight,
        "second": plots.FAINT,
        "third": plots.FAINT,
    }
    bars = {
        names[int(y[0])]: tuple(x)
        for x, y in (line.get_data() for line in axes.lines)
        if len(x) == 2 and y[0] == y[1] in names
    }
    assert bars == {"first": (0.5, 2.0), "second": (-2.0, -0.5)}


def test_a_curve_has_an_interval_at_each_x():
    axes = Figure().add_subplot()
    values = [(30.0, 29.0, 33.0), (10.0, 6.0, 11.0), (20.0, np.nan, np.nan)]
    plots._draw_curve(axes, Curve("guidance", "fidelity", [3.0, 1.0, 2.0], values, marked=0.0))
    assert [each.tolist() for each in axes.lines[0].get_data()] == [[1, 2, 3], [10, 20, 30]]
    bars = [segment[:, 1].tolist() for each in axes.collections for segment in each.get_segments()]
    assert bars == [[6, 11], [20, 20], [29, 33]]
    assert [0, 0] in [list(line.get_xdata()) for line in axes.lines], "the marked x may be zero"


def test_a_map_shows_each_image_at_its_point_in_its_cluster(axes_of):
    points = np.random.default_rng(0).normal(size=(30, 2))
    labels = np.arange(30) % 10
    axes = axes_of(clusters_svg, points, labels, "x")
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == [*(f"cluster {number} (3)" for number in range(1, 9)), "others (6)"]
    assert np.array_equal(axes.collections[3].get_offsets(), points[labels == 3])
    assert np.array_equal(axes.collections[8].get_offsets(), points[labels >= 8])


def test_of_many_images_all_are_counted_and_some_are_drawn(axes_of):
    labels = np.repeat([0, 9], [4_000, 1_000])
    axes = axes_of(clusters_svg, np.zeros((5_000, 2)), labels, "x")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["cluster 1 (4,000)", "others (1,000)"]
    assert sum(len(each.get_offsets()) for each in axes.collections) == plots.MAX_DOTS


def test_a_tradeoff_starts_hollow_and_its_best_point_is_a_star(axes_of):
    points = [Point("base", 0.1, 0.9, start=True), Point("50", 0.4, 0.8), Point("100", 0.5, 0.7, best=True)]
    axes = axes_of(tradeoff_svg, points, "x", "y")
    path, *marks = axes.lines
    assert [each.tolist() for each in map(np.asarray, path.get_data())] == [[0.1, 0.4, 0.5], [0.9, 0.8, 0.7]]
    assert [mark.get_marker() for mark in marks] == ["o", "o", "*"]
    assert [mark.get_markerfacecolor() for mark in marks] == ["white", plots.ACCENT, plots.MARK]
    assert {text.get_text(): text.xy for text in axes.texts} == {
        "base": (0.1, 0.9),
        "50": (0.4, 0.8),
        "100": (0.5, 0.7),
    }


def test_a_histogram_counts_all_finite_values_and_marks_the_limit(axes_of):
    axes = axes_of(histogram_svg, [0.0, 0.15, 2.95, 3.0, np.nan], "x", limit=1.5)
    heights = [bar.get_height() for bar in axes.patches]
    assert (len(heights), sum(heights), heights[0], heights[1], heights[-1]) == (30, 4, 1, 1, 2)
    assert [list(line.get_xdata()) for line in axes.lines] == [[1.5, 1.5]]


def test_curves_stand_three_in_a_row(monkeypatch, tmp_path):
    figures: list[Any] = []
    monkeypatch.setattr(plots, "as_svg", lambda figure, label: figures.append((figure, label)) or "")
    curves = [Curve("guidance", f"score {at}", [1.5, 3.0], [(at, at, at)] * 2) for at in range(4)]
    plots.curves_svg(curves)
    ((figure, label),) = figures
    assert label == "scores along the settings" and figure.get_size_inches().tolist() == pytest.approx([10.2, 5.2])
    assert [axes.get_title() for axes in figure.axes] == [f"score {at}" for at in range(4)]
    assert [axes.get_xlabel() for axes in figure.axes] == ["guidance"] * 4
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["1.5", "3"]
    columns = [axes.get_subplotspec().colspan.start for axes in figure.axes]
    assert columns == [0, 1, 2, 0] and {axes.get_subplotspec().get_gridspec().nrows for axes in figure.axes} == {2}
    plots.write_curves_png(curves[:1], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (680, 520), "200 dots an inch"


def test_small_plots_stand_two_in_a_row_as_high_as_the_longest_needs(monkeypatch):
    figures: list[Any] = []
    monkeypatch.setattr(interval_plots, "as_svg", lambda figure, label: figures.append((figure, label)) or "")
    one = (MeanInterval("a", 1.0, -np.inf, 1.5),)
    panels_svg([Panel("first", one), Panel("second", one * 4), Panel("third", one)], "all")
    ((figure, label),) = figures
    assert label == "all" and figure.get_size_inches().tolist() == pytest.approx([9, 2 * (0.9 + 0.3 * 4)])
    assert [axes.get_title("left") for axes in figure.axes] == ["first", "second", "third"]
    assert [len(axes.get_yticks()) for axes in figure.axes] == [1, 4, 1]
    assert [axes.get_subplotspec().colspan.start for axes in figure.axes] == [0, 1, 0]
    assert all(len(line.get_xdata()) == 1 for axes in figure.axes for line in axes.lines), "a half-open one has no bar"
    assert figure.axes[1].get_ylim() == (-0.6, 3.6)
    forest_svg(one * 5, "difference")
    figure, label = figures[-1]
    assert label == figure.axes[0].get_xlabel() == "difference"
    assert figure.get_size_inches().tolist() == pytest.approx([8, 0.9 + 0.36 * 5])
    assert [0, 0] in [list(line.get_xdata()) for line in figure.axes[0].lines]


@pytest.mark.parametrize(("plot", "length"), [("forest", 44), ("panels", 24)])
def test_names_are_shortened_to_their_room(axes_of, plot, length):
    named = (MeanInterval("x" * 99, 1.0, 0.5, 1.5),)
    axes = axes_of(forest_svg, named, "x") if plot == "forest" else axes_of(panels_svg, [Panel("x", named)], "")
    assert len(axes.get_yticklabels()[0].get_text()) == length


def test_axes_say_what_they_show_and_only_their_sides_are_drawn(axes_of):
    axes = axes_of(tradeoff_svg, [Point("a", 0.1, 0.9), Point("b", 0.2, 0.8)], "prompt", "subject")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prompt", "subject")
    assert [text.xyann for text in axes.texts] == [(7, 6), (7, -13)]
    sides = {side: spine.get_visible() for side, spine in axes.spines.items()}
    assert sides == {"left": True, "bottom": True, "top": False, "right": False}
    axes = axes_of(histogram_svg, [1.0, 2.0], "sharpness", limit=0.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("sharpness", "pictures")
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 0]], "a limit may be zero"


@pytest.mark.parametrize(("count", "size"), [(40, 46), (41, 18), (500, 18), (501, 6)])
def test_dots_are_smaller_the_more_there_are(axes_of, count, size):
    axes = axes_of(clusters_svg, np.zeros((count, 2)), np.zeros(count, int), "x")
    assert axes.collections[0].get_sizes().tolist() == [size]


@pytest.mark.parametrize("count", [plots.MAX_DOTS, plots.MAX_DOTS + 1, 3 * plots.MAX_DOTS])
def test_the_dots_of_a_large_map_are_spread_over_all_images(axes_of, count):
    points = np.stack([np.arange(count), np.zeros(count)], 1)
    shown = axes_of(clusters_svg, points, np.zeros(count, int), "x").collections[0].get_offsets()[:, 0]
    assert len(shown) == plots.MAX_DOTS and (shown[0], shown[-1]) == (0, count - 1)


def test_the_rest_of_the_clusters_are_grey(axes_of):
    axes = axes_of(clusters_svg, np.zeros((12, 2)), np.arange(12), "x")
    colours = [to_hex(each.get_facecolor()[0]) for each in axes.collections]
    assert colours == [*plots.CLUSTERS, plots.REST]


def test_labels_for_screen_readers_are_those_of_the_plots():
    def label_of(svg: str) -> str:
        return ElementTree.fromstring(svg).attrib["aria-label"]

    name = 'a & b < "c"'
    assert label_of(histogram_svg([1.0], name)) == name == label_of(clusters_svg(np.zeros((1, 2)), [0], name))
    assert label_of(tradeoff_svg([Point("a", 0, 0)], "prompt", "subject")) == "subject against prompt, step by step"
    assert "<metadata" not in histogram_svg([1.0], name) and "$x$" not in tags(histogram_svg([1.0], "$x$"))
