"""The file of captions: written captions are read back, also from spreadsheets, and no cell is a formula."""

from __future__ import annotations

import csv
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core.errors import LimnerError
from limner.data.captions.caption_file import (
    CaptionRow,
    escape_formula,
    read_captions,
    unescape_formula,
    unknown_images,
    write_captions,
)

ROWS = [
    CaptionRow("dog/01.jpg", 'a "big" dog, running; fast', "template"),
    CaptionRow("=cmd|' /C calc'!A0.png", "=1+1", "written"),
    CaptionRow("-x\n2.png", "@SUM(A1), -5 degrees;=2+3", "captioner"),
    CaptionRow("'quoted", "'=1 and '", "edited"),
    CaptionRow("n\udcff\u00e9.jpg", "\u00e9l\u00e9phant \U0001f418", "written"),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "captions.csv"


def test_what_is_written_is_read(file):
    write_captions(file, iter(ROWS))
    assert read_captions(file) == {row.picture: row.caption for row in ROWS}
    first = file.read_bytes()
    write_captions(file, ROWS)
    assert file.read_bytes() == first and first.startswith(b"\xef\xbb\xbf") and b"\r\n" in first


def cells_of(file, separator):
    """All cells as a spreadsheet has them."""
    with file.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as text:
        return [cell for row in csv.reader(text, delimiter=separator) for cell in row]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_is_a_formula_in_any_country(file, separator):
    write_captions(file, ROWS)
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells_of(file, separator))


@pytest.mark.parametrize(
    ("encoding", "separator", "end"),
    [("utf-8", ",", "\n"), ("utf-8-sig", ";", "\r\n"), ("utf-16", "\t", "\r\n"), ("utf-8", ";", "\r")],
)
def test_what_spreadsheets_save_is_read(file, encoding, separator, end):
    lines = [
        ["Caption", " PICTURE ", "note"],
        ["a caf\u00e9", "a.png", "x"],
        ['"two\r\nlines"', "b.png", ""],
        ["", "c.png"],
        [],
        ["'=1", "'-d.png", "", ""],
    ]
    file.write_bytes(end.join(separator.join(line) for line in lines).encode(encoding))
    assert read_captions(file) == {"a.png": "a caf\u00e9", "b.png": "two lines", "-d.png": "=1"}


def test_the_mark_of_excel_is_no_line(file):
    file.write_bytes(b"sep=;\r\npicture;caption\r\na.png;a dog\r\n")
    assert read_captions(file) == {"a.png": "a dog"}
    file.write_bytes(b"sep=;\r\npicture;caption\r\na.png;a dog\r\n;a cat\r\n")
    with pytest.raises(LimnerError, match=r"line 4 .* has a caption and names no picture"):
        read_captions(file)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the first line of 'captions.csv' does not name the columns"),
        (b"a.png,a dog\n", "begin it with picture,caption,from"),
        (b"picture,caption\na.png,a dog, running\n", "line 2 of 'captions.csv' has 3 cells, but the first line has 2"),
        (b"picture,caption\na.png,x\na.png,y\n", "line 3 of 'captions.csv' gives 'a.png' a second, different caption"),
        (b"picture,caption\n,y\n", "line 2 of 'captions.csv' has a caption and names no picture"),
        (b"picture,caption\na.png,caf\xe9\n", "line 2 of 'captions.csv' has characters that are not UTF-8"),
        (b'picture,caption\na.png,"x\n', "cannot be read (unexpected end of data)"),
        (b'picture,caption\na.png,"x' + b"y\n" * 99_999, "cannot be read (field larger than field limit"),
        (b"\xff\xfea", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n\x00\x00" + bytes(range(256)) * 99, "does not name the columns"),
    ],
)
def test_a_broken_caption_file_is_an_error(file, data, message):
    file.write_bytes(data)
    with pytest.raises(LimnerError) as caught:
        read_captions(file)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_caption_file_is_an_error(tmp_path):
    with pytest.raises(LimnerError, match="does not exist"):
        read_captions(tmp_path / "nothing.csv")
    with pytest.raises(LimnerError, match="is a folder"):
        read_captions(tmp_path)


def test_unknown_images_are_listed():
    assert unknown_images({"b": "x", "a": "x", "c\ufffd": "x"}, iter(["a", "z", "c\ud800"])) == ["b"]


def test_rows_are_not_held_while_they_are_written(file):
    def rows():
        for number in range(5_000):
            yield CaptionRow(
                f"{number:09d}.png", f"a photo of dog {number:09d} that runs along the beach at sunset", "template"
            )

    tracemalloc.start()
    try:
        write_captions(file, rows())
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        captions = read_captions(file)
        held = (tracemalloc.get_traced_memory()[0] - before) / len(captions)
    finally:
        tracemalloc.stop()
    assert written < 500_000
    assert held < 350, f"the docstring says some 300 bytes a picture, and it is {held:.0f}"


@given(st.text(alphabet=st.one_of(st.sampled_from("=+-@;,\t' \n\"a"), st.characters(exclude_categories=["Cs"]))))
def test_disarmed_cells_come_back(cell):
    assert unescape_formula(escape_formula(cell)) == cell
    assert not escape_formula(cell).lstrip().startswith(("=", "+", "-", "@"))
