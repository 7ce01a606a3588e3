"""The labelled grid shows every picture at its place."""

import pytest
from PIL import Image

from limner.pages.figure import Group, grid

COLOURS = [[(255, 0, 0), (0, 255, 0), (0, 0, 255)], [(255, 255, 0), (0, 255, 255), (255, 0, 255)]]


def flat(colour):
    return Image.new("RGB", (16, 16), colour)


def test_every_cell_is_shown_in_order():
    figure = grid(
        ("a cat", "a dog"),
        (Group("one", ("x",)), Group("two", ("y", "z"))),
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


def test_a_missing_picture_is_refused():
    with pytest.raises(ValueError, match="zip"):
        grid(("a cat",), (Group("one", ("x", "y")),), [[flat((0, 0, 0))]], "")
