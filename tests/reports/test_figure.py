"""The labelled grid shows every picture at its place."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner.imaging.fonts import font_for
from limner.reports import figure as figures
from limner.reports import writer
from limner.reports.figure import PAPER, ColumnGroup, ImageGrid, grid

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


def boxes_of(figure, colour):
    """Left, top, width and height of all pixels of a colour."""
    rows, columns = np.nonzero((np.asarray(figure) == colour).all(-1))
    return int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def one_cell(image, side=None):
    return grid(("a cat",), (ColumnGroup("one", ("x",)),), [[image]], "", side)


@pytest.mark.parametrize(("width", "side"), [(64, 128), (200, 200), (512, 256)])
def test_cells_are_as_wide_as_the_images_from_128_to_256(width, side):
    figure = one_cell(Image.new("RGB", (width, width // 2), (255, 0, 0)))
    assert boxes_of(figure, (255, 0, 0)) == (28 + 200, 76, side, side // 2)
    assert figure.size == (28 + 200 + side + 28, 76 + 28 + side // 2 + 6 + 40)


def test_without_a_side_cells_are_192_wide():
    figure = grid(("a cat",), (ColumnGroup("one", ("x",)),), [[flat((255, 0, 0))]], "")
    assert boxes_of(figure, (255, 0, 0))[2:] == (192, 192)


def test_cells_stand_at_their_row_and_column_and_a_missing_one_is_grey():
    """Half as high as wide, like the first image there is; one of another shape is whole, with white beside it."""
    wide, high = Image.new("L", (40, 20), 100), Image.new("RGBA", (20, 40), (0, 0, 255, 255))
    groups = (ColumnGroup("one", ("x", "y")), ColumnGroup("two", ("z",)))
    figure = grid(("a", "b"), groups, [[None, None, wide], [flat((255, 0, 0)), high, flat((0, 255, 0))]], "")
    lefts, tops = (228, 228 + 198, 228 + 2 * 198 + 22), (76, 76 + 102)
    assert boxes_of(figure, (100, 100, 100)) == (lefts[2], tops[0], 192, 96)
    assert boxes_of(figure, (255, 0, 0)) == (lefts[0] + 48, tops[1], 96, 96)
    assert boxes_of(figure, (0, 0, 255)) == (lefts[1] + 72, tops[1], 48, 96)
    assert boxes_of(figure, (0, 255, 0)) == (lefts[2] + 48, tops[1], 96, 96)
    assert boxes_of(figure, (236, 236, 236)) == (lefts[0], tops[0], 198 + 192, 96)


def test_the_shape_is_that_of_the_first_image_in_any_row():
    images = [[None], [Image.new("RGB", (20, 40), (255, 0, 0))]]
    figure = grid(("a", "b"), (ColumnGroup("one", ("x",)),), images, "", 100)
    assert boxes_of(figure, (255, 0, 0)) == (228, 76 + 206, 100, 200)


@pytest.fixture
def written(monkeypatch):
    """Every text that is written, with its place and anchor."""
    found = []

    class Draw(ImageDraw.ImageDraw):
        def text(self, xy, text, *given, anchor=None, **more):
            found.append((text, tuple(xy), anchor))

        def multiline_text(self, xy, text, *given, anchor=None, **more):
            found.append((text, tuple(xy), anchor))

    monkeypatch.setattr(figures.ImageDraw, "Draw", Draw)
    return found


def test_headings_stand_over_their_columns_and_names_over_their_cells(written):
    groups = (ColumnGroup("one", ("x", "y")), ColumnGroup("two", ("z",)))
    grid(("a cat", "a dog"), groups, [[flat((0, 0, 0))] * 3] * 2, "below", 100)
    left, second, third = 228, 228 + 106, 228 + 212 + 22
    assert [each for each in written if each[2] == "mm"] == [
        ("one", ((left + second + 100) / 2, 28), "mm"),
        ("two", ((third + third + 100) / 2, 28), "mm"),
        *((name, (at + 50, 60), "mm") for name, at in (("x", left), ("y", second), ("z", third))),
    ]
    rows = [each for each in written if each[0] in ("a cat", "a dog")]
    assert rows == [("a cat", (28, 76 + 50), "lm"), ("a dog", (28, 76 + 106 + 50), "lm")]
    assert written[-1] == ("below", (28, 76 + 28 + 2 * 106 + 40 - 30), "lm")


def test_a_long_heading_is_cut_and_a_long_caption_wrapped(written):
    words = [f"word{number}" for number in range(40)] + ["w" * 300]
    figure = grid(("a",), (ColumnGroup("wide " * 50, ("x",)),), [[flat((0, 0, 0))]], " ".join(words), 100)
    heading, lines = written[0][0], [each for each in written if each[0].startswith("w") and each[2] == "lm"]
    assert 60 < font_for(heading, 19)[0].getlength(heading) <= 100
    assert all(font_for(line, 14)[0].getlength(line) <= 300 for line, *_ in lines)
    assert " ".join(line for line, *_ in lines).split()[:-1] == words[:-1] and lines[-1][0].endswith("w…")
    tops = [place[1] for _, place, _ in lines]
    assert {below - above for above, below in pairwise(tops)} == {20}
    assert figure.height == tops[-1] + 30


def test_a_row_whose_letters_no_font_has_is_numbered_from_one(written, monkeypatch):
    real = figures.font_for
    monkeypatch.setattr(figures, "font_for", lambda text, size: (real("x", size)[0], "?" if text == "㐀㐁" else text))
    grid(("a", "㐀㐁", "!?"), (ColumnGroup("one", ("x",)),), [[flat((0, 0, 0))]] * 3, "", 100)
    texts = [text.replace("\n", " ") for text, *_ in written]
    assert "row 2 (no font here has its letters)" in texts and "!?" in texts


def test_a_rows_label_has_as_many_lines_as_fit(written):
    for side, lines in ((100, 4), (48, 2), (20, 1)):
        written.clear()
        grid(("a very long prompt " * 20,), (ColumnGroup("one", ("x",)),), [[flat((0, 0, 0))]], "", side)
        (label,) = [text for text, _, _ in written if text.startswith("a very")]
        assert label.count("\n") + 1 == lines
        font = font_for(label, 16)[0]
        assert all(100 < font.getlength(line) <= 194 for line in label.split("\n"))


def test_a_page_shows_the_same_grid_as_a_table():
    images = [[flat(colour) for colour in COLOURS[0]], [flat(COLOURS[1][0]), None, flat(COLOURS[1][2])]]
    groups = (ColumnGroup("one", ("x",)), ColumnGroup("two", ("y", "z")))
    shown = ImageGrid(("a cat", "<b>"), groups, images, "Made by AI.", 40)
    assert np.array_equal(shown.draw(), grid(shown.rows, groups, images, "Made by AI.", 40))
    page = shown.page(lambda image: "#{:02x}{:02x}{:02x}".format(*image.getpixel((0, 0))))
    assert page["headings"] == [("one", 1), ("two", 2)] and (page["side"], page["shape"]) == (40, "16 / 16")
    assert page["columns"] == [("x", True), ("y", True), ("z", False)], "with the first of each group"
    assert page["rows"] == [("a cat", ["#ff0000", "#00ff00", "#0000ff"]), ("<b>", ["#ffff00", None, "#ff00ff"])]
    template = writer._templates().from_string('{% from "grid.html" import image_grid %}{{ image_grid(grid) }}')
    html = template.render(grid=page)
    assert html.count("<img ") == 5 and html.count("<i ") == 1 and "&lt;b&gt;" in html and "<b>" not in html
    assert html.count('class="first"') == 2 * 3 and html.index("#00ff00") < html.index("#0000ff")
    assert shown.page()["rows"][0][1][0].startswith("data:image/webp;base64,")


def test_cells_on_a_page_are_as_wide_as_in_the_figure():
    wide = ImageGrid(("a",), (ColumnGroup("one", ("x", "y")),), [[None, Image.new("RGB", (300, 200))]], "", None)
    assert wide.page()["side"] == 256 and wide.page()["shape"] == "300 / 200"
    assert ImageGrid(("a",), (ColumnGroup("", ("x",)),), [[None]], "").page()["side"] == 192
