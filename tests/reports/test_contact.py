"""The contact sheet shows every picture, what is cut out of it, and what became of it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.imaging.contact_sheet import ACCENT, AMBER, GAP, LINE, MARGIN, RED, Tile, draw_contact_sheet

BLUE = (0, 0, 255)


def values(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=int)


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(pixels - colour).max(-1) <= 2


def cell(figure: Image.Image, number: int, side: int, height: int, columns: int = 2) -> np.ndarray:
    left = MARGIN + (number % columns) * (side + GAP)
    top = MARGIN + (number // columns) * (height + LINE + GAP)
    return values(figure)[top : top + height, left : left + side]


def test_what_is_cut_out_is_bright_and_the_rest_pale():
    figure = draw_contact_sheet(
        [Tile(Image.new("RGB", (200, 100), BLUE), (40, 0, 140, 100), "one")], columns=1, side=100
    )
    pixels = cell(figure, 0, 100, 50, 1)
    assert near(pixels[10:40, 30:60], BLUE).all()
    assert not near(pixels[:, :19], BLUE).any() and not near(pixels[:, 71:], BLUE).any()
    assert near(pixels[:, 20:22], ACCENT).all() and near(pixels[:, 68:70], ACCENT).all()
    assert near(pixels[:2, 20:70], ACCENT).all() and near(pixels[-2:, 20:70], ACCENT).all()


def test_what_became_of_a_picture_is_marked_in_its_corner():
    states = ("kept", "flagged", "dropped", "kept")
    tiles = [Tile(Image.new("RGB", (60, 60), BLUE), None, "x", state) for state in states]
    figure = draw_contact_sheet(tiles, columns=2, side=60)
    for number, (state, colour) in enumerate(zip(states, (BLUE, AMBER, RED, BLUE), strict=True)):
        pixels = cell(figure, number, 60, 60)
        assert near(pixels[3, 56], colour), state
        assert near(pixels[50, 10], BLUE) == (state != "dropped"), "what is dropped is pale"


def test_rows_are_as_high_as_their_pictures():
    wide, tall = Image.new("RGB", (200, 40), BLUE), Image.new("RGB", (40, 200), BLUE)
    figure = draw_contact_sheet(
        [Tile(wide, None, "a"), Tile(wide, None, "b"), Tile(tall, None, "c")], columns=2, side=100
    )
    assert figure.size == (2 * MARGIN + 200 + GAP, 2 * MARGIN + 20 + LINE + GAP + 100 + LINE)


def test_numbers_and_labels_are_written():
    tile = Tile(Image.new("RGB", (60, 60), BLUE), None, "")
    plain = values(draw_contact_sheet([tile], columns=1, side=60))
    assert (plain[MARGIN + 60 :] < 100).any(), "a number"
    assert not np.array_equal(plain, values(draw_contact_sheet([tile], columns=1, side=60, first=7)))
    long = Tile(tile.image, None, "a very long label\nwith 猫 in it " * 9)
    told = values(draw_contact_sheet([long], columns=1, side=60))
    assert not np.array_equal(plain, told)
    assert (told[:, MARGIN + 60 :] == 255).all(), "it stays below its picture"


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2)])
@pytest.mark.parametrize("box", [None, (0, 0, 1, 1), (-5, -5, 2000, 2000)])
def test_slivers_are_shown_too(size, box):
    assert draw_contact_sheet([Tile(Image.new("RGB", size, BLUE), box, "x", "dropped")], columns=3, side=40).width > 120


def test_numbers_go_on_from_row_to_row():
    tile = Tile(Image.new("RGB", (60, 60), BLUE), None, "")
    figure = values(draw_contact_sheet([tile] * 4, columns=2, side=60, first=5))
    for number in range(4):
        left, top = MARGIN + number % 2 * (60 + GAP), MARGIN + 60 + number // 2 * (60 + LINE + GAP)
        alone = values(draw_contact_sheet([tile], columns=1, side=60, first=5 + number))[
            MARGIN + 60 : MARGIN + 60 + LINE, MARGIN:-MARGIN
        ]
        assert np.array_equal(figure[top : top + LINE, left : left + 60], alone), number


def test_of_nothing_there_is_an_empty_sheet():
    assert draw_contact_sheet([]).height == 2 * MARGIN


def test_it_is_the_same_again():
    tiles = [Tile(Image.effect_noise((90, 60), 50).convert("RGB"), (5, 5, 60, 60), "x", "flagged")]
    assert draw_contact_sheet(tiles).tobytes() == draw_contact_sheet(tiles).tobytes()
