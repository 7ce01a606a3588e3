"""Contact sheets with longer captions and notes, as the starter's exam needs them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.imaging.contact_sheet import GAP, LINE, MARGIN, Tile, draw_contact_sheet

BLUE = (0, 0, 255)


def below(sheet: Image.Image, side: int) -> np.ndarray:
    """The pixels below the first image, (h, w, 3)."""
    return np.asarray(sheet, dtype=int)[MARGIN + side :, MARGIN : MARGIN + side]


def red(pixels: np.ndarray) -> np.ndarray:
    return (pixels[..., 0] > pixels[..., 1] + 60) & (pixels[..., 0] > pixels[..., 2] + 60)


def test_captions_take_as_many_lines_as_there_are():
    image = Image.new("RGB", (80, 80), BLUE)
    tiles = [
        Tile(image, None, "a dog on a sunny beach beside the sea, in the evening, far away"),
        Tile(image, None, "b"),
    ]
    one, three = (draw_contact_sheet(tiles, columns=1, side=80, lines=lines) for lines in (1, 3))
    assert one.height == 2 * MARGIN + 2 * (80 + LINE) + GAP and three.height == one.height + 2 * 2 * LINE
    assert (below(three, 80)[2 * LINE : 3 * LINE] < 200).any() and not (below(three, 80)[3 * LINE :][:GAP] < 200).any()


def test_a_note_is_red_and_below_the_caption():
    image = Image.new("RGB", (80, 80), BLUE)
    sheet = draw_contact_sheet([Tile(image, None, "a dog", note="no dog")], columns=1, side=80, first=None, lines=2)
    pixels = below(sheet, 80)
    assert not red(pixels[:LINE]).any() and red(pixels[LINE : 2 * LINE]).any()
    plain = draw_contact_sheet([Tile(image, None, "a dog", note="no dog")], columns=1, side=80)
    assert not red(below(plain, 80)).any(), "one line has no room for it"


def test_numbers_may_be_left_out():
    tile = Tile(Image.new("RGB", (80, 80), BLUE), None, "")
    assert (below(draw_contact_sheet([tile], columns=1, side=80), 80) < 100).any()
    assert not (below(draw_contact_sheet([tile], columns=1, side=80, first=None), 80) < 250).any()
