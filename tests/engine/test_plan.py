"""A training run's numbers: what is filled in, and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limner import LimnerError, TrainRequest
from limner.data.sets.folder import ImageFile, Scan
from limner.engine.train.optimisers import check_rates
from limner.engine.train.plan import make_plan
from limner.plugins.families.flux import plugin as FLUX
from limner.plugins.families.sd import plugin as SD

STARTER = replace(SD.facts, defaults=SD.facts.defaults | SD.aliases[0].defaults)


def scan(count, validation=0):
    photographs = [ImageFile(Path(f"{i}.png"), "0" * 64, (64, 64), None) for i in range(count + validation)]
    return Scan(tuple(photographs[:count]), validation=tuple(photographs[count:]))


def plan(count=6, facts=SD.facts, validation=0, processes=1, **fields):
    request = TrainRequest(data="photos", class_word="dog", **fields)
    return make_plan(request, scan(count, validation), facts, 512, processes)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [1.0] * 8),
        ("linear", [1 - step / 8 for step in range(8)]),
        ("cosine", [0.5 + 0.5 * math.cos(math.pi * step / 8) for step in range(8)]),
    ],
)
def test_the_rate_falls_as_its_schedule_says(schedule, rates):
    found = plan(steps=8, warmup=0, schedule=schedule, learning_rate=2e-4)
    assert [found.rate(step) / 2e-4 for step in range(8)] == pytest.approx(rates)


@pytest.mark.parametrize(
    ("warmup", "rates"), [(0, [1, 1, 1, 1]), (1, [1, 1, 1, 1]), (4, [0.25, 0.5, 0.75, 1]), (9, [0.25, 0.5, 0.75, 1])]
)
def test_the_rate_rises_in_a_line_to_the_last_step_of_the_warmup(warmup, rates):
    """And a warmup longer than the run is as long as the run."""
    found = plan(steps=4, warmup=warmup, schedule="constant", learning_rate=1e-3)
    assert [found.rate(step) / 1e-3 for step in range(4)] == pytest.approx(rates)


def test_rise_and_fall_are_multiplied():
    found = plan(steps=10, warmup=5, schedule="linear", learning_rate=1.0)
    assert [found.rate(step) for step in (0, 2, 4, 5, 9)] == pytest.approx([0.2, 0.48, 0.6, 0.5, 0.1])
    assert plan(learning_rate=1.0).schedule == "cosine" and plan(learning_rate=1.0).warmup == 10


@pytest.mark.parametrize(
    ("facts", "filled"),
    [
        (SD.facts, (800, 2, 1e-4, 100, "pictures", 0.0)),
        (STARTER, (600, 4, 1e-3, 48, "model", 0.5)),
        (FLUX.facts, (1000, 1, 1e-4, 50, "model", 0.0)),
    ],
    ids=["sd", "starter", "flux"],
)
def test_what_is_left_open_suits_the_model(facts, filled):
    found = plan(facts=facts)
    values = (found.steps, found.batch, found.learning_rate, found.class_pictures, found.prior_target)
    assert (*values, found.prior_dropout) == filled
    assert found.resolution == 512 and found.prior


@pytest.mark.parametrize(
    ("count", "asked", "held_out"),
    [
        (7, None, ()),
        (8, None, (7,)),
        (9, None, (8,)),
        (8, 0, ()),
        (8, 3, (5, 6, 7)),
        (8, 4, (4, 5, 6, 7)),
        (8, 5, (4, 5, 6, 7)),
        (5, 5, (4,)),
        (4, 2, ()),
        (1, 2, ()),
    ],
)
def test_one_of_eight_is_watched_and_four_are_trained_on_at_least(count, asked, held_out):
    assert plan(count, held_out=asked).held_out == held_out


def test_a_datasets_own_validation_is_watched_in_place_of_a_picture():
    found = plan(10, validation=2)
    assert found.validation and found.held_out == ()
    asked = plan(10, validation=2, held_out=1)
    assert not asked.validation and asked.held_out == (9,)


@pytest.mark.parametrize(
    ("count", "epochs", "batch", "steps"),
    [(6, 1, 2, 3), (6, 10, 2, 30), (7, 1, 2, 4), (5, 3, 4, 6), (6, 1, 6, 1), (6, 2, 7, 2), (9, 1, 2, 4)],
)
def test_an_epoch_shows_every_picture_that_is_trained_on(count, epochs, batch, steps):
    """The last batch of it may begin the next; of nine pictures one is watched."""
    assert plan(count, epochs=epochs, batch=batch).steps == steps


@pytest.mark.parametrize(
    ("batch", "accumulation", "processes", "fits"),
    [(4, 2, 2, True), (4, 4, 1, True), (4, 3, 1, False), (4, 2, 4, False), (6, 1, 4, False), (8, 2, 4, True)],
)
def test_a_batch_is_cut_into_equal_parts(batch, accumulation, processes, fits):
    fields = {"batch": batch, "accumulation": accumulation, "processes": processes}
    if fits:
        assert plan(**fields).batch == batch
    else:
        with pytest.raises(
            LimnerError, match=f"a batch of {batch} cannot be split into {accumulation * processes} equal"
        ):
            plan(**fields)


def test_the_text_encoders_rate_is_the_others_unless_it_is_given():
    assert plan(learning_rate=1e-3).rates == {"denoiser": 1e-3, "text": 1e-3}
    assert plan(learning_rate=1e-3, text_learning_rate=1e-5).rates == {"denoiser": 1e-3, "text": 1e-5}


def test_without_a_prior_there_are_no_class_pictures():
    found = plan(prior=False)
    assert not found.prior and found.class_pictures == 0
    assert plan(class_pictures=7).class_pictures == 7


@pytest.mark.parametrize(
    ("method", "rate"), [("lora", 1e-4), ("pivotal", 1e-4), ("full", 5e-6), ("textual_inversion", 2e-3)]
)
def test_each_method_has_a_rate_of_its_own(method, rate):
    """DreamBooth's 5e-6 (arXiv 2208.12242), diffusers' 1e-4 of LoRA and 2e-3 of embeddings."""
    assert plan(method=method).learning_rate == pytest.approx(rate)


def test_a_word_needs_no_class_pictures():
    assert not plan(method="textual_inversion").prior and plan(method="pivotal").prior


def test_a_rate_that_is_given_overrules_that_of_the_optimiser():
    """Prodigy's own is 1 (arXiv 2306.06101), whatever the method."""
    assert [plan(optimiser="prodigy", method=method).learning_rate for method in ("lora", "full")] == [1.0, 1.0]
    assert plan(optimiser="prodigy", learning_rate=0.5).learning_rate == 0.5


def test_class_pictures_may_all_have_their_captions():
    assert plan(facts=STARTER).prior_dropout == 0.5 and plan(facts=STARTER, prior_dropout=0.0).prior_dropout == 0


def test_the_objective_is_what_was_asked_for():
    found = plan(min_snr_gamma=5, noise_offset=0.05).objective
    assert (found.min_snr_gamma, found.noise_offset, found.timestep_sampling) == (5, 0.05, None)
    assert plan(facts=FLUX.facts).objective.timestep_sampling == FLUX.facts.defaults.get("timestep_sampling")


def test_sides_of_buckets_are_multiples_of_the_familys():
    assert plan().multiple == SD.facts.multiple and plan(facts=FLUX.facts).multiple == FLUX.facts.multiple
    assert SD.facts.multiple != FLUX.facts.multiple


def test_without_prior_preservation_there_are_no_class_images():
    assert plan(prior=False).class_pictures == 0
    assert plan().class_pictures == SD.facts.defaults["class_pictures"]
    assert plan(class_pictures=7).class_pictures == 7


def test_the_loss_has_the_familys_defaults():
    facts = replace(SD.facts, defaults=SD.facts.defaults | {"min_snr_gamma": 3.0})
    assert plan(facts=facts).objective.min_snr_gamma == 3.0
    assert plan(facts=facts, min_snr_gamma=7).objective.min_snr_gamma == 7


def test_several_rates_are_for_optimisers_that_need_one():
    groups = {"denoiser": [torch.nn.Parameter(torch.zeros(1))], "text": [torch.nn.Parameter(torch.zeros(1))]}
    check_rates("adamw", groups, {"denoiser": 1.0, "text": 2.0})
    check_rates("prodigy", groups, {"denoiser": 1.0, "text": 1.0})
    check_rates("prodigy", groups | {"text": []}, {"denoiser": 1.0, "text": 2.0})
    with pytest.raises(LimnerError, match="finds one learning rate for all parameters, and 2 are given"):
        check_rates("prodigy", groups, {"denoiser": 1.0, "text": 2.0})
