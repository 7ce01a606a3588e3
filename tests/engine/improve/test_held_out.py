"""Tests of the prompts that are held out."""

from __future__ import annotations

import pytest

from limner.engine.improve.held_out import held_out, prompt_key

PROMPTS = {f"prompt {n}": 5 for n in range(200)}


def test_the_share_of_prompts_is_held_out() -> None:
    found = held_out(PROMPTS, 0, 0.2)
    assert 25 <= len(found) <= 55 and len({*found}) == len(found) and set(found) < PROMPTS.keys()
    assert len(held_out(PROMPTS, 0, 0.5)) > 80 and held_out(PROMPTS, 0, 0.2) == found
    assert {*held_out(PROMPTS, 1, 0.2)} != {*found}


def test_more_feedback_moves_no_prompt() -> None:
    more = {**{f"new {n}": 3 for n in range(300)}, **PROMPTS, "prompt 7": 40}
    before, after = held_out(PROMPTS, 0, 0.2), held_out(more, 0, 0.2)
    assert [prompt for prompt in after if prompt in PROMPTS] == before
    assert held_out(dict(reversed(PROMPTS.items())), 0, 0.2) == before, "nor their order"


@pytest.mark.parametrize("seed", range(20))
def test_few_prompts_are_on_both_sides(seed: int) -> None:
    assert held_out({}, seed, 0.2) == held_out({"a": 9}, seed, 0.2) == held_out(PROMPTS, seed, 0.0) == []
    for counts in ({"a": 1, "b": 1}, {"a": 1, "b": 99}, {"a": 5, "b": 4, "c": 1}):
        found = held_out(counts, seed, 0.2)
        assert 1 <= len(found) < len(counts)
        assert sum(counts[prompt] for prompt in found) <= 0.5 * sum(counts.values())
    assert held_out({"a": 1, "b": 99}, seed, 0.2) == ["a"]


@pytest.mark.parametrize("seed", range(20))
def test_at_most_twice_the_share_of_feedback_is_held_out(seed: int) -> None:
    counts = {f"prompt {n}": 1 + 50 * (n % 7 == 0) for n in range(40)}
    assert sum(counts[prompt] for prompt in held_out(counts, seed, 0.2)) <= 0.4 * sum(counts.values())


@pytest.mark.parametrize("seed", range(20))
def test_of_few_prompts_enough_feedback_is_held_out(seed: int) -> None:
    counts = {f"prompt {n}": 5 + n % 3 for n in range(16)}
    held = sum(counts[prompt] for prompt in held_out(counts, seed, 0.2)) / sum(counts.values())
    assert 0.15 <= held <= 0.4


def test_prompts_that_differ_in_case_and_spaces_are_the_same() -> None:
    assert prompt_key(" A  Dog\n") == prompt_key("a dog") != prompt_key("a dogs")
