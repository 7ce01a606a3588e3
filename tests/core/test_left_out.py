"""Tests of the lines of what is left out."""

from __future__ import annotations

from limner.core.left_out import LeftOut


def test_lines_name_number_kind_reason_and_an_example() -> None:
    found = LeftOut()
    assert not found and found.lines == ()
    found.add("pair", "the images belong to two prompts")
    found.add("rating", "stars are no number", count=200)
    for _ in range(1000):
        found.add("rating", "stars are no number", "first\x1b[2J " + "x" * 200)
    found.add("rating", "the image is gone", count=2)
    found.add("rating", "never", count=0)
    assert found.lines == (
        "1,200 ratings: stars are no number ('first [2J " + "x" * 69 + "…')",
        "2 ratings: the image is gone",
        "1 pair: the images belong to two prompts",
    )
