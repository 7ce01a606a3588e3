"""The lesson of single ratings on a model of one number: utility, baseline, cap, anchor and weights."""

from __future__ import annotations

import math

import pytest
import torch

from limner.engine.train.denoising import Denoising
from limner.engine.train.feedback_images import InitialNoise
from limner.engine.train.kto import KtoLesson, RatedSet, kto_losses
from limner.engine.train.lesson import ROUNDS
from limner.engine.train.preference import RewardSettings
from limner.engine.train.reference import Reference
from rated import COMPONENTS, Model, feedback


def rated(numbers, signs, weights=None, noise=None, size=(1, 1), levels=None):
    count = len(numbers)
    values = (signs, weights or [1.0] * count, levels or [[0.0, 1.0]] * count)
    return RatedSet(feedback(numbers, noise, size), tuple(range(count)), *map(torch.tensor, values))


def lesson(model, sets, held_out=(), moved=0.0, beta=1.0, margin=100.0, anchor=0.0, batch=2, own_noise=True):
    reference = Reference(model)
    model.weight.data += moved
    settings = RewardSettings(beta, margin, anchor)
    sets = sets if isinstance(sets, tuple) else (sets,)
    return KtoLesson(Denoising(model, COMPONENTS), reference, sets, held_out, settings, batch, 42, own_noise)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize(
    ("fallen", "baseline"),
    [((0.4, 0.2), 3.0), ((-0.4, 0.2), 0.0), ((-0.4, -0.2), 0.0)],
    ids=["mean above 0", "mean below 0", "all below 0"],
)
def test_the_loss_by_hand(fallen, baseline):
    reference = torch.tensor([1.0, 2.0], dtype=torch.float64)
    errors = reference - torch.tensor(fallen, dtype=torch.float64)
    found = kto_losses(errors, reference, torch.tensor([1.0, -1.0]), RewardSettings(10.0, 100.0, 0.5))
    liked = 1 - sigmoid(10 * fallen[0] - baseline) + 0.5 * 10 * errors[0].item()
    disliked = 1 - sigmoid(-(10 * fallen[1] - baseline))
    assert found.tolist() == pytest.approx([liked, disliked])


def test_images_beyond_the_margin_are_left_alone():
    reference = torch.zeros(3)
    errors = torch.tensor([-1.0, 1.0, -0.1], requires_grad=True)
    kto_losses(errors, reference, torch.tensor([1.0, -1.0, 1.0]), RewardSettings(1.0, 0.5, 0.0)).sum().backward()
    assert errors.grad[:2].tolist() == [0, 0] and errors.grad[2] > 0


def test_the_baseline_has_no_gradient():
    errors = torch.tensor([-1.0, -1.0], requires_grad=True)
    kto_losses(errors, torch.zeros(2), torch.tensor([1.0, 1.0]), RewardSettings(1.0, 9.0, 0.0)).sum().backward()
    assert errors.grad.tolist() == pytest.approx([0.25, 0.25])


def test_it_moves_towards_liked_and_away_from_disliked_images():
    for numbers, signs, direction in (([1.0], [1.0], -1), ([1.0], [-1.0], 1), ([1.0, -1.0], [1.0, -1.0], -1)):
        model = Model(0.0)
        (loss,) = lesson(model, rated(numbers, signs), batch=len(numbers)).losses(0)
        loss.backward()
        assert loss.item() == pytest.approx(0.5) and model.weight.grad.item() * direction > 0


def test_weights_multiply_the_loss():
    def loss(weights):
        (found,) = lesson(Model(), rated([1.0, 3.0], [1.0, -1.0], weights), moved=0.5).losses(0)
        return found.item()

    assert loss([1.0, 3.0]) == pytest.approx(loss([1.0, 0.0]) + 3 * loss([0.0, 1.0])) and loss([0.0, 0.0]) == 0


@pytest.mark.parametrize("own", [True, False])
def test_an_image_has_the_noise_that_it_was_generated_from(own):
    known = InitialNoise(7, torch.float32)
    model = Model()
    list(lesson(model, rated([1.0], [1.0], noise=(known,), size=(2, 2)), batch=1, own_noise=own).losses(0))
    assert torch.equal(model.noise[0], model.noise[1])
    assert torch.equal(model.noise[1], known.draw(torch.Size((1, 2, 2)))) == own


def test_an_image_is_shown_at_its_own_noise_levels():
    model = Model()
    each = lesson(model, rated([1.0, 2.0], [1.0, -1.0], levels=[[0.5, 1.0], [0.0, 0.25]]))
    for step in range(20):
        list(each.losses(step))
    times = {number: [t for n, _, t in model.seen if n == number] for number in (1.0, 2.0)}
    assert min(times[1.0]) >= 500 and max(times[1.0]) > 900 and max(times[2.0]) < 250


def test_the_held_out_loss_is_the_mean_over_all_held_out_images():
    held_out = (rated([1.0, 2.0, 3.0], [1.0, 1.0, -1.0]), rated([4.0], [1.0], size=(1, 2)))
    model = Model(0.0)
    each = lesson(model, rated([1.0], [1.0]), held_out, batch=1)
    assert each.held_out_loss() == pytest.approx(0.5) == each.held_out_loss()
    assert len(model.seen) == 2 * 2 * 4 * ROUNDS and each.images == 1
    assert lesson(Model(), rated([1.0], [1.0])).held_out_loss() is None
