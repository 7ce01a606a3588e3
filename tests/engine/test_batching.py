"""Batches of several requests: order of rows, padding, failures and step counts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limner import GenerateRequest
from limner.core.events import Progress
from limner.engine.generate.batching import Job, model_passes, run_pass


def job_of(count, seed, words=1.0, length=3):
    events = []
    each = Job(
        GenerateRequest(prompt="a", count=count, seed=seed),
        SimpleNamespace(check=lambda: None),
        events.append,
        {"prompt_embeds": torch.full((1, length), words), "prompt": [str(words)]},
    )
    return each, events


def rows_and_sizes(found):
    return [([row.seed for row in each.rows], each.size) for each in found]


def test_a_pass_is_filled_before_the_next_one():
    jobs = [job_of(3, 10)[0], job_of(2, 20)[0]]
    assert rows_and_sizes(model_passes(jobs, 2)) == [([10, 11], 2), ([12, 20], 2), ([21], 1)]
    assert rows_and_sizes(model_passes(jobs, 8)) == [([10, 11, 12, 20, 21], 5)]
    assert rows_and_sizes(model_passes(jobs, 4, padded=True)) == [([10, 11, 12, 20], 4), ([21], 4)]


def test_prompts_of_other_lengths_have_their_own_pass():
    jobs = [job_of(1, 10)[0], job_of(1, 20, length=6)[0], job_of(1, 30)[0]]
    assert rows_and_sizes(model_passes(jobs, 8)) == [([10, 30], 2), ([20], 1)]


def test_failed_jobs_are_left_out():
    jobs = [job_of(1, 10)[0], job_of(1, 20)[0]]
    jobs[0].failure = ValueError()
    assert rows_and_sizes(model_passes(jobs, 8)) == [([20], 1)]


def test_each_row_has_its_own_conditioning_and_padding_copies_the_last():
    jobs = [job_of(2, 10, 1.0)[0], job_of(1, 20, 2.0)[0]]
    (each,) = model_passes(jobs, 4, padded=True)
    assert each.seeds() == [10, 11, 20, 20]
    assert each.conditioning()["prompt_embeds"][:, 0].tolist() == [1, 1, 2, 2]
    assert each.conditioning()["prompt"] == ["1.0", "1.0", "2.0", "2.0"]
    (alone,) = model_passes(jobs[:1], 4, padded=True)
    assert alone.seeds() == [10, 11, 11, 11] and len(alone.conditioning()["prompt_embeds"]) == 1


def run(each):
    def paint(conditioning, seeds, on_step):
        for step in (1, 2):
            on_step(step * len(seeds))
        yield from (np.full((1, 1, 3), seed, np.uint8) for seed in seeds)

    return [(row.seed, int(pixels[0, 0, 0]), together) for row, pixels, together in run_pass(each, paint)]


def test_images_return_to_their_jobs():
    (first, one), (second, two) = job_of(2, 10), job_of(1, 20)
    (each,) = model_passes([first, second], 4, padded=True)
    assert run(each) == [(10, 10, 4), (11, 11, 4), (20, 20, 4)]
    assert [event.done for event in one if isinstance(event, Progress)] == [2, 4], "two images, two steps"
    assert [event.done for event in two if isinstance(event, Progress)] == [1, 2]


@pytest.mark.parametrize("failing", [10, 20])
def test_if_a_pass_fails_each_job_runs_by_itself(failing):
    (first, _), (second, _) = job_of(2, 10), job_of(1, 20)
    (each,) = model_passes([first, second], 8)

    def paint(conditioning, seeds, on_step):
        on_step(len(seeds))
        if failing in seeds:
            raise RuntimeError("out of memory")
        yield from (np.full((1, 1, 3), seed, np.uint8) for seed in seeds)

    found = [(row.seed, together) for row, _, together in run_pass(each, paint)]
    assert found == ([(20, 1)] if failing == 10 else [(10, 2), (11, 2)])
    assert [each.failure is not None for each in (first, second)] == [failing == 10, failing == 20]
    assert (first.done, second.done) == (2, 1), "discarded steps are not counted"


def test_a_job_keeps_its_first_error():
    each, _ = job_of(1, 10)
    for error in (ValueError("first"), KeyError("second")):
        with each.isolated():
            raise error
    assert str(each.failure) == "first"
