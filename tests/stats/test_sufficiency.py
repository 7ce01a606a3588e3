"""Tests of how much feedback is enough."""

from __future__ import annotations

import pytest

from limner.stats.binomial import power
from limner.stats.sufficiency import EXPECTED, LEAST, sufficiency


@pytest.mark.parametrize(
    ("pairs", "held_out", "problem"),
    [
        (1, 0, "1 pair is too little feedback: 0 held-out pairs cannot show whether it was learnt"),
        (49, 40, "49 pairs are too little feedback: with fewer than 50, results are mostly chance"),
        (60, 12, "60 pairs are little feedback: 12 held-out pairs show an accuracy of 87% or more, and not one of 75%"),
        (200, 40, ""),
    ],
)
def test_the_problem_names_the_numbers(pairs: int, held_out: int, problem: str) -> None:
    found = sufficiency(pairs, held_out)
    assert (found.problem, found.enough) == (problem, not problem)


def test_it_names_how_many_would_be_enough() -> None:
    found = sufficiency(60, 12)
    assert found.remedy == "175 pairs would be enough; collect 115 more"
    assert power(found.needed // 5, EXPECTED) >= 0.8 and sufficiency(found.needed, found.needed // 5).enough
    assert sufficiency(60, 30, share=0.5).needed == 70 and sufficiency(60, 30, share=0.9).needed == LEAST
    few_prompts = sufficiency(200, 10)
    assert not few_prompts.enough
    assert few_prompts.remedy == "hold out a larger share, or collect feedback on more prompts"


def test_the_limit_is_fifty_pairs() -> None:
    assert LEAST == 50
    assert sufficiency(50, 50).enough and not sufficiency(49, 49).enough


def test_very_many_pairs_take_no_time() -> None:
    assert sufficiency(10**7, 2 * 10**6).enough
