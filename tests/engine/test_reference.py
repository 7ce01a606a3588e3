"""The reference model: the tensors as they were, for as long as they are needed."""

from __future__ import annotations

import torch

from limner.engine.train.reference import Reference


class Layer:
    """A trainable of one linear layer."""

    def __init__(self):
        self.linear = torch.nn.Linear(4, 4)

    def state(self):
        return dict(self.linear.named_parameters())


def test_the_model_is_the_reference_for_a_while_and_then_itself_again():
    layer = Layer()
    reference, before = Reference(layer), layer.linear.weight.detach().clone()
    layer.linear.weight.data += 1
    with reference.applied():
        assert torch.equal(layer.linear.weight, before) and not torch.is_grad_enabled()
    assert torch.equal(layer.linear.weight, before + 1) and torch.is_grad_enabled()


def test_within_one_autocast_region_both_models_predict_as_they_are():
    layer, given = Layer(), torch.ones(1, 4)
    reference = Reference(layer)
    layer.linear.bias.data += 1
    layer.linear.weight.data += 1
    with torch.autocast("cpu", torch.bfloat16):
        first = layer.linear(given)
        with reference.applied():
            second = layer.linear(given)
        third = layer.linear(given)
    assert torch.equal(first, third) and (first - second).mean().item() > 4
