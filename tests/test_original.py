"""A copy equals its original and shares nothing with it."""

from __future__ import annotations

import torch

from original import Original


def test_a_copy_equals_its_original_and_shares_nothing_with_it() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    model[0].bias.requires_grad_(False)
    tree = {"model": model, "tied": model[0].weight, "names": ["a"]}
    original = Original(tree)
    first, second = original.copy(), original.copy()
    for copy in (first, second):
        old, new = model.state_dict(), copy["model"].state_dict()
        assert old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old)
        assert copy["tied"] is copy["model"][0].weight and isinstance(copy["tied"], torch.nn.Parameter)
        assert [p.requires_grad for p in copy["model"].parameters()] == [p.requires_grad for p in model.parameters()]
    with torch.no_grad():
        first["tied"].zero_()
    first["model"][1].running_mean.fill_(7)
    first["names"].append("b")
    assert model[0].weight.any() and second["tied"].any() and not second["model"][1].running_mean.any()
    assert second["names"] == ["a"] and original.copy()["names"] == ["a"]
