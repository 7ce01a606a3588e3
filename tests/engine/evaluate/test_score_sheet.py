"""Which images people score, and that the questions are those of the evaluation's checklist."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from limner.core.metrics import ScoredImage
from limner.core.opinions import CRITERIA
from limner.engine.evaluate.result import CHECKLIST
from limner.engine.evaluate.scoresheet import choose_items, questions


def items(counts: list[int]) -> list[ScoredImage]:
    return [ScoredImage(Path(f"{g}-{n}"), f"p{g}", f"p{g}") for g, count in enumerate(counts) for n in range(count)]


def test_few_images_are_all_shown_in_random_order() -> None:
    few = items([4, 4])
    found = choose_items(few, 100, 1)
    assert found != few and sorted(found, key=lambda item: item.path) == few
    assert choose_items(few, 100, 1) == found != choose_items(few, 100, 2)


def test_many_images_are_chosen_evenly_over_prompts() -> None:
    found = Counter(item.group for item in choose_items(items([40, 40, 5]), 30, 1))
    assert found == {"p0": 13, "p1": 12, "p2": 5} or found == {"p0": 12, "p1": 13, "p2": 5}
    shown = choose_items(items([2] * 300), 100, 1)
    assert len(shown) == 100 == len({item.group for item in shown})
    assert {int(item.group[1:]) // 30 for item in shown} == set(range(10)), "from the beginning to the end"


def test_people_answer_the_checklist_of_metrics() -> None:
    assert tuple(CHECKLIST) == CRITERIA == tuple(questions(False)) == tuple(questions(True))
