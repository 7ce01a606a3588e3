"""Muon: orthogonal steps for matrices and convolutions, AdamW for the rest."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from limner.starter.pretrain.muon import MatrixMuon, muon


def step(layer, gradient, steps=1, **settings):
    """Take steps with a gradient; returns how far the weights moved."""
    before = layer.weight.detach().clone()
    optimiser = MatrixMuon(layer.parameters(), **{"lr": 0.01, "weight_decay": 0.0} | settings)
    for _ in range(steps):
        layer.weight.grad = gradient.clone()
        optimiser.step()
    return layer.weight.detach() - before


def test_a_step_is_nearly_half_orthogonal():
    moved = step(nn.Linear(40, 16, bias=False), torch.randn(16, 40, generator=torch.Generator().manual_seed(0)))
    singular = torch.linalg.svdvals(moved / (0.01 * 0.2 * 40**0.5))
    assert singular.min() > 0.5 and singular.max() < 1.4


def test_a_convolution_is_the_matrix_of_its_outputs():
    torch.manual_seed(0)
    layer, plain = nn.Conv2d(3, 8, 3, bias=False), nn.Linear(27, 8, bias=False)
    plain.weight.data = layer.weight.data.flatten(1).clone()
    gradient = torch.randn_like(layer.weight)
    moved = step(layer, gradient, steps=3, weight_decay=0.1)
    assert torch.equal(moved.flatten(1), step(plain, gradient.flatten(1), steps=3, weight_decay=0.1))
    assert moved.abs().min() > 0


def test_steps_are_those_of_torchs_muon_to_the_bit():
    """Several matrices and convolutions, some of one shape, tall and wide, and one without a gradient at times."""
    rng = torch.Generator().manual_seed(0)
    shapes = ((16, 8, 3, 3), (40, 12), (16, 8, 3, 3), (12, 40), (16, 72), (8, 8), (40, 12))
    ours = [nn.Parameter(torch.randn(shape, generator=rng)) for shape in shapes]
    theirs = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in ours]
    optimiser = MatrixMuon(ours, 0.01, 0.1)
    stock = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for number in range(5):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            gradient = torch.randn(mine.shape, generator=rng)
            absent = index == 1 and number % 2
            mine.grad, other.grad = (None, None) if absent else (gradient, gradient.flatten(1).clone())
        for each in (optimiser, stock):
            each.param_groups[0]["lr"] = 0.01 * (number + 1)
            each.step()
        assert all(torch.equal(mine.flatten(1), other) for mine, other in zip(ours, theirs, strict=True))


def test_without_a_gradient_a_matrix_stays():
    layer = nn.Linear(4, 4, bias=False)
    before = layer.weight.detach().clone()
    optimiser = MatrixMuon(layer.parameters(), lr=0.1, weight_decay=0.5)
    layer.weight.grad = torch.ones(4, 4)
    optimiser.step()
    moved = layer.weight.detach().clone()
    layer.weight.grad = None
    optimiser.step()
    assert torch.equal(layer.weight, moved) and not torch.equal(moved, before)


def test_matrices_go_to_muon_and_the_rest_to_adamw():
    model = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "table": nn.Embedding(10, 4), "norm": nn.GroupNorm(2, 8)})
    matrices, adamw = muon(model, 0.01)
    assert isinstance(matrices, MatrixMuon)
    assert [tensor.shape for tensor in matrices.param_groups[0]["params"]] == [model["conv"].weight.shape]
    assert sum(len(group["params"]) for group in adamw.param_groups) == 4


@pytest.mark.parametrize("scale", [1e-4, 1e3])
def test_the_step_has_the_size_of_adamws_whatever_the_gradients(scale):
    moved = step(nn.Linear(64, 32, bias=False), scale * torch.randn(32, 64, generator=torch.Generator().manual_seed(1)))
    assert 0.3 < moved.square().mean().sqrt().item() / (0.2 * 0.01) < 1.3


def test_a_restored_state_goes_on_to_the_bit():
    torch.manual_seed(0)
    layer, gradient = nn.Linear(8, 4, bias=False), torch.randn(4, 8)
    first = MatrixMuon(layer.parameters(), lr=0.01, weight_decay=0.1)
    layer.weight.grad = gradient
    first.step()
    other = copy.deepcopy(layer)
    second = MatrixMuon(other.parameters(), lr=0.01, weight_decay=0.1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for each, optimiser in ((layer, first), (other, second)):
        each.weight.grad = 2 * gradient.flip(0)
        optimiser.step()
    assert torch.equal(layer.weight, other.weight)


def test_both_shapes_of_matrix_learn():
    """A least-squares problem through a tall and a wide matrix."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 8))
    x = torch.randn(256, 8)
    target = x @ torch.randn(8, 8)
    losses = []
    optimisers = muon(model, 0.0)
    for _ in range(60):
        loss = (model(x) - target).square().mean()
        model.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = 0.02
            optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
