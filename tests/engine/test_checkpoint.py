"""Checkpoints: the newest two are kept, and what they hold comes back to the bit."""

from __future__ import annotations

import json

import pytest
import torch

import tiny
from limner.core.errors import LimnerError
from limner.engine.train.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from limner.engine.train.ema import EMA


def loop(digest="digest", average=True, steps=3):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4))
    optimiser = torch.optim.AdamW([{"params": [weight], "lr": 0.1, "scale": 0.5}])
    kept = EMA([weight], 0.9) if average else None
    for _ in range(steps):
        optimiser.zero_grad()
        weight.square().sum().backward()
        optimiser.step()
        if kept is not None:
            kept.update()
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return weight, tiny.in_progress({"weight": weight}, optimiser, scaler, digest, kept)


def test_the_newest_two_are_kept_by_their_steps(tmp_path):
    _, each = loop()
    for step in (2, 9, 10, 100):
        save_checkpoint(tmp_path, step, each)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-00000010", "checkpoint-00000100"]
    (tmp_path / "checkpoint-12").mkdir()
    assert len(checkpoints(tmp_path)) == 2, "another's folder is none of them"


@pytest.mark.parametrize("average", [True, False])
def test_all_comes_back(tmp_path, average):
    weight, each = loop(average=average)
    path = save_checkpoint(tmp_path, 3, each)
    fresh_weight, fresh = loop(average=average, steps=1)
    assert load_checkpoint(path, fresh) == 3
    assert torch.equal(weight, fresh_weight)
    one, other = (each.optimiser.state_dict() for each in (each, fresh))
    groups = [json.dumps(state["param_groups"]) for state in (one, other)]
    assert groups[0] == groups[1]
    assert all(
        torch.equal(torch.as_tensor(v), torch.as_tensor(other["state"][0][k])) for k, v in one["state"][0].items()
    )
    if average:
        assert torch.equal(each.ema.values[0], fresh.ema.values[0]) and fresh.ema.steps == 3
    state = json.loads((path / "state.json").read_text())
    assert (state["step"], state["averaged"]) == (3, 3 if average else 0)


def test_another_requests_checkpoint_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, 3, loop()[1])
    with pytest.raises(LimnerError, match="belongs to another request"):
        load_checkpoint(path, loop("other")[1])
