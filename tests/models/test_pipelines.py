"""Networks on the meta device are built without random numbers, and others as always."""

from __future__ import annotations

import pytest
import torch

from limner.models.pipelines import WithoutRandomWeights

LAYERS = [
    lambda: torch.nn.Embedding(5, 3),
    lambda: torch.nn.Linear(5, 3),
    lambda: torch.nn.Conv2d(2, 3, 3),
    lambda: torch.nn.LayerNorm(4),
    lambda: torch.nn.MultiheadAttention(4, 2),
    lambda: torch.nn.GRU(4, 2),
]


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_layers_are_built_as_without_the_context(number):
    torch.manual_seed(1)
    before = LAYERS[number]().state_dict()
    after = torch.rand(1)
    torch.manual_seed(1)
    with WithoutRandomWeights():
        layer = LAYERS[number]()
    assert torch.equal(torch.rand(1), after)
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, before[name])
    with WithoutRandomWeights(), torch.device("meta"):
        meta = LAYERS[number]().state_dict()
    assert {name: (each.shape, each.dtype) for name, each in meta.items()} == {
        name: (each.shape, each.dtype) for name, each in before.items()
    }
    assert all(each.is_meta for each in meta.values())


def test_random_tensors_are_random_except_on_the_meta_device():
    torch.manual_seed(1)
    before = torch.randn(2, 3), torch.randn((3,), dtype=torch.float64)
    torch.manual_seed(1)
    with WithoutRandomWeights():
        assert torch.randn(2, 3, device="meta").shape == (2, 3)
        assert torch.randn((3,), device="meta", dtype=torch.float64, requires_grad=True).requires_grad
        assert torch.equal(torch.randn(2, 3, device="cpu"), before[0])
        assert torch.equal(torch.randn((3,), dtype=torch.float64), before[1])


def test_no_random_number_is_asked_for_on_the_meta_device(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("filled with random numbers")

    for name in ("normal_", "uniform_"):
        monkeypatch.setattr(f"torch.nn.init._no_grad_{name}", refuse)
    with WithoutRandomWeights(), torch.device("meta"):
        torch.nn.Embedding(5, 3)
        torch.nn.init.uniform_(torch.empty(3))
    with WithoutRandomWeights(), pytest.raises(AssertionError):
        torch.nn.Embedding(5, 3)
