"""The preference lesson on a model of one number: margins, cap, anchor, weights, and which pairs a step shows."""

from __future__ import annotations

import math

import pytest
import torch

from limner.engine.train.feedback_images import InitialNoise
from limner.engine.train.pairs import ROUNDS, accuracy, margins
from limner.engine.train.preference import PreferenceLesson, RewardSettings, preference_losses
from rated import Model, compared, pairs


def lesson(model, sets, held_out=(), beta=1.0, margin=100.0, anchor=0.0, batch=2, moved=0.0, **options):
    sets = sets if isinstance(sets, tuple) else (sets,)
    settings = RewardSettings(beta, margin, anchor)
    return PreferenceLesson(compared(model, moved=moved, **options), sets, held_out, settings, batch)


def test_the_margin_is_how_much_further_the_error_fell_on_the_better_image():
    errors, reference = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.5, 2.0], [3.25, 3.0]])
    assert margins(errors, reference).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(("beta", "margin"), [(2500.0, 50.0), (1.0, 0.1), (2500.0, 3.0)])
def test_the_loss_by_hand(beta, margin):
    errors = torch.tensor([[0.100, 0.110], [0.200, 0.204]], dtype=torch.float64)
    reference = torch.tensor([[0.101, 0.110], [0.2004, 0.2]], dtype=torch.float64)
    found = preference_losses(errors, reference, RewardSettings(beta, margin, 0.5))
    wanted = []
    for index in range(2):
        fell = (reference[0, index] - errors[0, index]) - (reference[1, index] - errors[1, index])
        odds = max(min(beta * fell.item(), margin), -margin)
        wanted.append(math.log(1 + math.exp(-odds)) + 0.5 * beta * errors[0, index].item())
    assert found.tolist() == pytest.approx(wanted, rel=1e-9)


def test_at_the_reference_the_loss_is_that_of_a_coin():
    (loss,) = lesson(Model(), pairs([1.0, 3.0], [0], [1]), batch=1).losses(0)
    assert loss.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(("margin", "learns"), [(2.0, True), (0.5, False)])
def test_a_pair_beyond_the_margin_is_left_alone(margin, learns):
    """The error fell from 4 to 1 on the better image, and rose from 0 to 1 on the worse one: 0.25 * (3 + 1) = 1."""
    model = Model(1.0)
    each = lesson(model, pairs([3.0, 1.0], [0], [1]), beta=0.25, margin=margin, batch=1, moved=1.0)
    (loss,) = each.losses(0)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-min(1.0, margin))))
    assert bool(model.weight.grad) == learns


@pytest.mark.parametrize(("margin", "learns"), [(5.0, True), (0.5, False)])
def test_a_pair_that_is_wrong_beyond_the_margin_is_taken_for_a_mistake(margin, learns):
    model = Model(1.0)
    (loss,) = lesson(model, pairs([1.0, 3.0], [0], [1]), margin=margin, batch=1, moved=1.0).losses(0)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(1 + math.exp(min(4.0, margin))))
    assert bool(model.weight.grad) == learns


def test_weights_multiply_the_loss_of_a_pair():
    def loss(weights):
        (found,) = lesson(Model(), pairs([1.0, 3.0, 2.0], [0, 0], [1, 2], weights), moved=0.5).losses(0)
        return found.item()

    assert loss([1.0, 3.0]) == pytest.approx(loss([1.0, 0.0]) + 3 * loss([0.0, 1.0]))
    assert loss([0.0, 0.0]) == 0


def test_the_anchor_pulls_to_the_preferred_image():
    """At 0, the errors have the slopes -4 and -10."""

    def gradient(anchor):
        model = Model(0.0)
        (loss,) = lesson(model, pairs([2.0, 5.0], [0], [1]), beta=2.0, anchor=anchor, batch=1).losses(0)
        assert loss.item() == pytest.approx(math.log(2) + 2 * anchor * 4)
        loss.backward()
        return model.weight.grad.item()

    assert gradient(0.0) == pytest.approx(6) and gradient(0.25) == pytest.approx(6 - 2 * 0.25 * 4)


def test_both_images_of_a_pair_have_the_same_noise_timestep_and_prompts_of_their_own():
    model = Model()
    each = lesson(model, pairs([1.0, 2.0, 3.0, 4.0], [0, 1], [2, 3], size=(2, 2)))
    list(each.losses(0))
    assert len(model.seen) == 8 and each.images == 4, "the reference model sees the same"
    for index in (0, 1):
        better, worse = model.seen[4 + index], model.seen[6 + index]
        assert better[2] == worse[2] and {better[0] + 2} == {worse[0]} and better[1] + 2 == worse[1]
        assert torch.equal(model.noise[4 + index], model.noise[6 + index])
    assert not torch.equal(model.noise[4], model.noise[5]) and model.seen[:4] == model.seen[4:]


def test_a_pair_is_compared_at_its_own_noise_levels():
    model = Model()
    levels = [[0.5, 1.0], [0.0, 0.25]]
    each = lesson(model, pairs([1.0, 2.0, 3.0, 4.0], [0, 1], [2, 3], levels=levels))
    for step in range(20):
        list(each.losses(step))
    times = {number: [t for n, _, t in model.seen if n == number] for number in (1.0, 2.0)}
    assert 500 <= min(times[1.0]) < 600 and 900 < max(times[1.0]) < 1000
    assert 0 <= min(times[2.0]) < 50 and 200 < max(times[2.0]) < 250


def test_every_pass_shows_every_pair_of_every_size_once():
    sets = (pairs([1.0, 2.0, 9.0], [0, 1], [2, 2]), pairs([5.0, 9.0], [0], [1], size=(1, 2)))
    model = Model()
    each = lesson(model, sets, batch=1)
    for step in range(60):
        list(each.losses(step))
    shown = [number for number, _, _ in model.seen if number != 9]
    counts = [shown.count(number) for number in (1.0, 2.0, 5.0)]
    assert all(abs(count - 40) <= 4 for count in counts), "20 steps each, of the model and of the reference model"


def test_margins_are_in_order_and_the_same_every_time():
    """For more pairs than are measured together, and for those of another size."""
    count = 6
    numbers = [*map(float, range(count)), 0.0]
    model = Model(1.0)
    each = compared(model, moved=1.0)
    assert each.together < count
    sets = [pairs(numbers, list(range(count)), [count] * count), pairs([4.0, 1.0], [0], [1], size=(1, 2))]
    found = each.margins(sets)
    # on a number n, the error fell by (1 - n)^2 - (2 - n)^2 = 2 n - 3
    assert found == pytest.approx([*[2.0 * n for n in range(count)], 6.0])
    done = []
    assert each.margins(sets, done.append) == found and done == [4, 6, 7]
    assert len({t for n, _, t in model.seen if n == 5.0}) == ROUNDS
    assert accuracy([0.5, -0.1, 0.0, 2.0]) == 0.5


@pytest.mark.parametrize("own", [True, False])
def test_margins_are_measured_at_the_noise_that_images_were_generated_from(own):
    model, known = Model(), tuple(InitialNoise(seed, torch.float32) for seed in (3, 4))
    compared(model, own).margins([pairs([1.0, 2.0], [0], [1], noise=known, size=(2, 2))])
    wanted = [each.draw(torch.Size((1, 2, 2))).tolist() for each in known]
    assert {str(noise.tolist()) for noise in model.noise} == set(map(str, wanted))


def test_the_held_out_loss_is_that_of_held_out_pairs():
    held_out = (pairs([3.0, 1.0], [0], [1]),)
    each = lesson(Model(1.0), pairs([1.0, 2.0], [0], [1]), held_out, beta=0.25, anchor=9.0, moved=1.0)
    assert each.held_out_loss() == pytest.approx(math.log(1 + math.exp(-1)))
    assert lesson(Model(), pairs([1.0, 2.0], [0], [1])).held_out_loss() is None


def test_it_learns_what_people_prefer():
    """A model that starts in the middle moves towards the better images, and not beyond where the margin ends."""
    model = Model(0.0)
    each = lesson(model, pairs([1.0, -1.0], [0], [1]), margin=2.0, batch=1)
    optimiser = torch.optim.SGD([model.weight], lr=0.1)
    for step in range(200):
        optimiser.zero_grad()
        (loss,) = each.losses(step)
        loss.backward()
        optimiser.step()
    # the margin of a weight w is ((1 - w)^2 falls by 2 w - w^2) - (-(2 w + w^2)) = 4 w
    assert 0.5 <= model.weight.item() < 0.6
