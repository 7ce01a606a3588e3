"""Muon: orthogonal steps for matrices, AdamW for the rest."""

from __future__ import annotations

import torch
from torch import nn

from limner.starter.pretrain.muon import Muon, orthogonal, with_adamw


def test_a_matrix_becomes_nearly_half_orthogonal():
    matrices = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(orthogonal(matrices, steps=8))
    assert singular.min() > 0.6 and singular.max() < 1.3
    assert torch.linalg.svdvals(matrices).max() > 5


def test_matrices_go_to_muon_and_the_rest_to_adamw():
    model = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "table": nn.Embedding(10, 4), "norm": nn.GroupNorm(2, 8)})
    muon, adamw = with_adamw(model, 0.01)
    assert isinstance(muon, Muon)
    assert [p.shape for group in muon.param_groups for p in group["params"]] == [model["conv"].weight.shape]
    assert sum(len(group["params"]) for group in adamw.param_groups) == 4


def test_the_step_has_the_size_of_adamws_whatever_the_gradients():
    for scale in (1e-4, 1e3):
        layer = nn.Linear(64, 32, bias=False)
        before = layer.weight.detach().clone()
        layer.weight.grad = scale * torch.randn(32, 64, generator=torch.Generator().manual_seed(1))
        Muon(layer.parameters(), lr=0.01, weight_decay=0.0).step()
        size = (layer.weight - before).square().mean().sqrt().item()
        assert 0.3 < size / (0.2 * 0.01) < 1.3


def test_both_shapes_of_matrix_learn():
    """A least-squares problem through a tall and a wide matrix."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 8))
    x = torch.randn(256, 8)
    wanted = x @ torch.randn(8, 8)
    losses = []
    optimisers = with_adamw(model, 0.0)
    for _ in range(60):
        loss = (model(x) - wanted).square().mean()
        model.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = 0.02
            optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
