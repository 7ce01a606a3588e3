"""The random projection of gradients: inner products come out right on average, whatever the gradients."""

from __future__ import annotations

import pytest
import torch

from limner.engine.influence.projection import Projection

SIZE, SHORT = 6000, 500


def test_numbers_of_one_sign_do_not_add_up():
    """With random signs what falls into one place cancels: the square length of all ones stays near their number.

    Without signs it would be the sum of the squared counts of the places, 13 times as much.
    """
    ones = torch.ones(SIZE)
    lengths = torch.tensor([float(Projection(SIZE, SHORT, seed)(ones).square().sum()) for seed in range(20)])
    assert lengths.mean().item() / SIZE == pytest.approx(1, abs=0.1)


def test_gradients_without_anything_in_common_stay_so():
    one, other = torch.zeros(SIZE), torch.zeros(SIZE)
    one[::2], other[1::2] = 1, 1
    shorts = [(project(one), project(other)) for project in (Projection(SIZE, SHORT, seed) for seed in range(20))]
    products = torch.tensor([float(first @ second) for first, second in shorts])
    assert abs(products.mean().item()) / (SIZE / 2) < 0.1


def test_each_number_goes_to_one_place_with_its_size():
    project = Projection(SIZE, SHORT, 3)
    for index in (0, 17, SIZE - 1):
        gradient = torch.zeros(SIZE)
        gradient[index] = 4.0
        found = project(gradient)
        assert (found != 0).sum() == 1 and found.abs().max() == 4
    assert project.signs.unique().tolist() == [-1, 1] and abs(project.signs.float().mean()) < 0.05


def test_what_is_short_enough_stays():
    gradient = torch.arange(SHORT).half()
    assert torch.equal(Projection(SHORT, SHORT, 0)(gradient), gradient.float())
    assert Projection(SHORT + 1, SHORT, 0)(torch.ones(SHORT + 1)).shape == (SHORT,)
