"""Which checkpoint is the best, by numbers that were worked out by hand."""

from __future__ import annotations

import json

import pytest

from limner.core.checkpoint_scores import MIN_RANGE, CheckpointScores, StepScores


def standings(weight: float = 0.5, **fields) -> CheckpointScores:
    plain = {"training_similarity": 0.8, "unrelated_similarity": 0.1}
    base = StepScores(step=0, subject=(0.2, 0.4), prompt=(0.5, 0.5))
    return CheckpointScores(prompts=("one", "two"), encoder="starter", weight=weight, base=base, **{**plain, **fields})


def at(step: int, subject: float, prompt: float) -> StepScores:
    return StepScores(step=step, subject=(subject,) * 2, prompt=(prompt,) * 2)


def test_scales_reach_from_the_base_model_to_the_photographs() -> None:
    found = standings()
    assert found.scaled_subject(found.base) == pytest.approx(0)
    assert found.scaled_prompt(found.base) == pytest.approx(1)
    assert found.scaled_subject(at(1, 0.8, 0.1)) == pytest.approx(1)
    assert found.scaled_prompt(at(1, 0.8, 0.1)) == pytest.approx(0)
    assert found.balance(at(1, 0.55, 0.3)) == pytest.approx(0.5)


@pytest.mark.parametrize(("weight", "best"), [(0.0, 10), (0.5, 20), (1.0, 30)])
def test_the_weight_chooses(weight: float, best: int) -> None:
    found = standings(weight)
    for standing in (at(10, 0.3, 0.5), at(20, 0.6, 0.45), at(30, 0.75, 0.2)):
        found = found.plus(standing)
        assert found.best in found.after
    assert found.best.step == best
    assert found.checkpoints_since_best == (30 - best) // 10


def test_of_equals_the_earliest_is_best() -> None:
    found = standings().plus(at(10, 0.5, 0.4)).plus(at(20, 0.5, 0.4))
    assert found.best.step == 10 and found.checkpoints_since_best == 1


def test_what_came_later_can_be_forgotten() -> None:
    found = standings().plus(at(10, 0.5, 0.4)).plus(at(20, 0.7, 0.4))
    assert found.best.step == 20
    assert [each.step for each in found.to(10).after] == [10]
    assert found.to(10).best.step == 10


def test_an_encoder_that_tells_nothing_apart_is_known() -> None:
    assert standings(unrelated_similarity=0.5 - MIN_RANGE / 2).blind
    assert not standings().blind


def test_a_scale_of_no_length_gives_numbers_still() -> None:
    found = standings(training_similarity=0.3, unrelated_similarity=0.5)
    assert found.balance(at(1, 0.3, 0.5)) == pytest.approx(0)


def test_survives_json() -> None:
    found = standings().plus(at(10, 0.5, 0.4))
    assert CheckpointScores.model_validate_json(found.model_dump_json()) == found


def test_scores_of_earlier_versions_are_read() -> None:
    found = standings()
    names = {"training_similarity": "alike", "unrelated_similarity": "strange"}
    earlier = {names.get(name, name): value for name, value in found.model_dump(mode="json").items()}
    assert CheckpointScores.model_validate_json(json.dumps(earlier)) == found
