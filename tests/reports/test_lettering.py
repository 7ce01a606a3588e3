"""Figures write what people write: with a font that has the letters, and without boxes where none has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image

from limner.imaging import fonts
from limner.imaging.fonts import font_for, truncate, wrap
from limner.reports.figure import Group, grid

DEJAVU = Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without fonts of its own."""
    monkeypatch.setattr(fonts, "_of_machine", tuple)


def test_plain_words_look_as_they_did(bare: None) -> None:
    font, text = font_for("a cat on the beach, 50%", 16)
    assert text == "a cat on the beach, 50%" and font.getname()[0] == "Aileron"


@pytest.mark.parametrize("text", ["un café à Łódź", "кошка", "γάτα → ☃", "قطة", "חתול", "a cat 🐱"])
def test_other_letters_have_a_font(bare: None, text: str) -> None:
    font, written = font_for(text, 16)
    assert written == text and font.getname()[0] == "DejaVu Sans"
    boxes = bytes(font.getmask(fonts.NOTHING))
    assert all(bytes(font.getmask(letter)) != boxes for letter in text if letter != " ")


def test_what_no_font_has_is_marked_once(bare: None) -> None:
    assert font_for("a cat in 東京, at night", 16)[1] == "a cat in ?, at night"
    font, text = font_for("кошка 猫 ]^-\\", 16)
    assert text == "кошка ? ]^-\\" and font.getname()[0] == "DejaVu Sans", "the font that has most of it"
    assert font_for("cat\ufe0f\u200d", 16)[1] == "cat"


def test_a_font_of_the_machine_is_taken_where_it_has_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    machine = (str(tmp_path / "broken.ttf"), str(tmp_path / "gone.ttf"), str(DEJAVU))
    monkeypatch.setattr(fonts, "_of_matplotlib", tuple)
    monkeypatch.setattr(fonts, "_of_machine", lambda: machine)
    assert font_for("кошка", 16)[0].getname()[0] == "DejaVu Sans"
    assert font_for("cat", 16)[0].getname()[0] == "Aileron"


def test_the_machine_is_asked_for_upright_fonts_of_most_letters_first(monkeypatch: pytest.MonkeyPatch) -> None:
    places = ["/a/Arial.ttf", "/a/NotoSansThai-Regular.ttf", "/a/NotoSansCJK-Regular.ttc", "/a/NotoSansCJK-Bold.ttc"]
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: places)
    found = fonts._of_machine.__wrapped__()
    assert [Path(place).stem for place in found] == ["NotoSansCJK-Regular", "NotoSansThai-Regular", "Arial"]


def test_a_long_text_is_not_all_looked_at(bare: None) -> None:
    assert len(font_for("猫x" * 10_000, 16)[1]) == fonts.LONGEST


@pytest.mark.parametrize("text", ["W" * 200, "кошка на пляже " * 20, "a b", "щ" * 70])
def test_lines_fit(bare: None, text: str) -> None:
    font, written = font_for(text, 16)
    lines = wrap(written, font, 194, 3).split("\n")
    assert len(lines) <= 3 and all(font.getlength(line) <= 194 for line in lines)
    assert font.getlength(truncate(written, font, 50)) <= 50


def test_labels_stay_beside_the_pictures_and_no_row_is_without_one(bare: None) -> None:
    rows = ["猫", "Ж" * 300, "??"]
    flat = Image.new("RGB", (96, 96), (90, 140, 160))
    figure = np.asarray(grid(rows, (Group("one", ("x",)),), [[flat]] * 3, "Made by AI.", 96))
    left = figure[76 : 76 + 3 * 102, 228 - 6 : 228]
    assert (left == 255).all(), "a label runs into the pictures"
    for row in range(3):
        assert (figure[76 + row * 102 : 172 + row * 102, 28:222] < 128).any()
    named = np.asarray(grid(["row 1 (no font here has its letters)"], (Group("one", ("x",)),), [[flat]], "", 96))
    assert (figure[76:172, 28:222] == named[76:172, 28:222]).all()
