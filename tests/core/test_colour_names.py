"""Names of colours: everyday ones mean colours that occur in pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageColor

from limner.core.discover import COLOURS, colour_of
from limner.imaging.cielab import lab_of


@pytest.mark.parametrize(
    ("text", "colour"),
    [(" Blue ", COLOURS["blue"]), ("tomato", "#ff6347"), ("abc", "#aabbcc"), ("#0000FF", "#0000ff")],
)
def test_a_colour_has_six_digits(text, colour):
    assert colour_of(text) == colour


def test_the_everyday_blue_is_near_that_of_pictures():
    mug, everyday, pure = (
        lab_of(np.array(ImageColor.getrgb(each))) for each in ("rgb(52, 108, 214)", colour_of("blue"), "blue")
    )
    assert np.linalg.norm(mug - everyday) < 15 < 40 < np.linalg.norm(mug - pure)


@pytest.mark.parametrize("text", ["", "blueish", "#12", "rgb(1,2,3)", "x" * 10_000])
def test_what_is_no_colour_is_refused(text):
    with pytest.raises(ValueError, match="is no colour"):
        colour_of(text)
