"""The labelled grid shows every picture at its place."""

import pytest
from PIL import Image

from limner.reports.figure import PAPER, ColumnGroup, grid

COLOURS = [[(255, 0, 0), (0, 255, 0), (0, 0, 255)], [(255, 255, 0), (0, 255, 255), (255, 0, 255)]]


def flat(colour):
    return Image.new("RGB", (16, 16), colour)


def test_every_cell_is_shown_in_order():
    figure = grid(
        ("a cat", "a dog"),
        (ColumnGroup("one", ("x",)), ColumnGroup("two", ("y", "z"))),
        [[flat(c) for c in row] for row in COLOURS],
        "",
        40,
    )
    seen = [colour for _, colour in figure.getcolors(figure.width * figure.height)]
    assert all(colour in seen for row in COLOURS for colour in row)
    places = {}
    pixels = figure.load()
    for y in range(figure.height):
        for x in range(figure.width):
            places.setdefault(pixels[x, y], (x, y))
    for row in COLOURS:
        assert places[row[0]][0] < places[row[1]][0] < places[row[2]][0]
        assert len({places[colour][1] for colour in row}) == 1
    assert places[COLOURS[0][0]][1] < places[COLOURS[1][0]][1]
    gap = places[COLOURS[0][2]][0] - places[COLOURS[0][1]][0]
    assert places[COLOURS[0][1]][0] - places[COLOURS[0][0]][0] > gap, "groups stand apart"


def test_pictures_keep_their_shape():
    figure = grid(("a cat",), (ColumnGroup("one", ("x",)),), [[Image.new("RGB", (32, 16), (255, 0, 0))]], "", 40)
    box = figure.point(lambda value: 255 * (value == 255)).convert("RGB")
    red = [(x, y) for x in range(box.width) for y in range(box.height) if box.getpixel((x, y)) == (255, 0, 0)]
    assert (len({x for x, _ in red}), len({y for _, y in red})) == (40, 20)
    square = grid(("a cat",), (ColumnGroup("one", ("x",)),), [[flat((255, 0, 0))]], "", 40)
    assert square.height - figure.height == 20, "and no room is lost"


def test_each_group_has_a_line_as_wide_as_its_columns():
    groups = (ColumnGroup("one", ("x",)), ColumnGroup("two", ("y", "z")))
    figure = grid(("a",), groups, [[flat(colour) for colour in COLOURS[0]]], "", 40)
    row = [figure.getpixel((x, 28 + 16)) != PAPER for x in range(figure.width)]
    edges = [x for x in range(1, figure.width) if row[x] != row[x - 1]]
    assert [last - first for first, last in zip(edges[::2], edges[1::2], strict=True)] == [41, 40 + 6 + 41]


def test_a_missing_picture_is_refused():
    with pytest.raises(ValueError, match="zip"):
        grid(("a cat",), (ColumnGroup("one", ("x", "y")),), [[flat((0, 0, 0))]], "")
