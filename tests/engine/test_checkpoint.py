"""Checkpoints: the newest two are kept, and what they hold comes back to the bit."""

from __future__ import annotations

import json

import pytest
import torch

import tiny
from limner.core.errors import LimnerError
from limner.engine.train.checkpoint import (
    DamagedCheckpoint,
    checkpoints,
    discard_others,
    load_checkpoint,
    newest_sound,
    save_checkpoint,
)
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


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip_last_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "cut": truncate,
    "one bit": flip_last_byte,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}
FILES = ("learnt.safetensors", "optimiser.safetensors", "average.safetensors", "state.json")
PAIRS = [(file, damage) for file in FILES for damage in DAMAGES if (file, damage) != ("state.json", "one bit")]


@pytest.mark.parametrize(("file", "damage"), PAIRS)
def test_the_newest_sound_checkpoint_is_used(tmp_path, file, damage):
    """The damaged one is set aside, and the loop that it was read for is unchanged."""
    weight, each = loop()
    old, new = (save_checkpoint(tmp_path, step, each) for step in (3, 4))
    DAMAGES[damage](new / file)
    fresh_weight, fresh = loop(steps=1)
    before = fresh_weight.detach().clone()
    with pytest.raises(DamagedCheckpoint, match="checkpoint 'checkpoint-00000004' is damaged"):
        load_checkpoint(new, fresh)
    assert torch.equal(fresh_weight, before)
    path, damaged = newest_sound(tmp_path, fresh)
    assert path == old and len(damaged) == 1 and checkpoints(tmp_path) == [old]
    assert load_checkpoint(path, fresh) == 3 and torch.equal(fresh_weight, weight)
    assert (tmp_path / "damaged-checkpoint-00000004").is_dir()
    save_checkpoint(tmp_path, 4, each)
    assert newest_sound(tmp_path, fresh) == (new, [])


def test_without_a_sound_checkpoint_there_is_none(tmp_path):
    _, each = loop()
    for step in (3, 4):
        truncate(save_checkpoint(tmp_path, step, each) / "learnt.safetensors")
    path, damaged = newest_sound(tmp_path, each)
    assert path is None and len(damaged) == 2 and checkpoints(tmp_path) == []


def test_a_checkpoint_of_an_earlier_version_has_no_hashes(tmp_path):
    weight, each = loop()
    path = save_checkpoint(tmp_path, 3, each)
    state = json.loads((path / "state.json").read_text())
    del state["sha256"]
    (path / "state.json").write_text(json.dumps(state))
    fresh_weight, fresh = loop(steps=1)
    assert load_checkpoint(path, fresh) == 3 and torch.equal(weight, fresh_weight)
    truncate(path / "learnt.safetensors")
    with pytest.raises(DamagedCheckpoint):
        load_checkpoint(path, fresh)


def test_a_checkpoint_of_other_tensors_is_damaged(tmp_path):
    path = save_checkpoint(tmp_path, 3, loop()[1])
    other = torch.nn.Parameter(torch.zeros(5))
    fresh = tiny.in_progress({"weight": other}, torch.optim.AdamW([other]), torch.amp.GradScaler("cpu"), "digest")
    with pytest.raises(DamagedCheckpoint, match=r"learnt.safetensors holds other tensors"):
        load_checkpoint(path, fresh)


def test_checkpoints_of_other_requests_are_removed_and_damaged_ones_are_not(tmp_path):
    own = loop("own")[1]
    kept, damaged = save_checkpoint(tmp_path, 2, own), save_checkpoint(tmp_path, 3, own)
    (damaged / "state.json").write_text("{")
    assert discard_others(tmp_path, "own") == 0
    assert checkpoints(tmp_path) == [kept, damaged]
    assert discard_others(tmp_path, "another") == 1 and checkpoints(tmp_path) == [damaged]
