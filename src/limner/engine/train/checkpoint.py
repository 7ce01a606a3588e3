"""Checkpoints: the whole state of a training run at one step, as a folder that is either complete or absent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from limner.core.errors import LimnerError
from limner.core.execution import Execution, digests_of
from limner.core.protocols import Trainable
from limner.engine.train.loop import Loop
from limner.store.files import atomic_folder
from limner.store.removal import discard

KEPT = 2
"""How many checkpoints of a run are kept."""
WEIGHTS = "learnt.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints in a run's folder, oldest first."""
    found = [p for p in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d{8}", p.name)]
    return sorted(found)


def save_checkpoint(folder: Path, step: int, loop: Loop) -> Path:
    """Write `checkpoint-<step>` and remove all but the newest two."""
    path = folder / f"checkpoint-{step:08d}"
    tensors, plain = _split(loop.optimiser.state_dict())
    with atomic_folder(path) as partial:
        save_weights(loop.trainable, partial)
        _save(tensors, partial / "optimiser.safetensors")
        if loop.ema is not None:
            _save({str(i): value for i, value in enumerate(loop.ema.values)}, partial / "average.safetensors")
        facts = {
            "step": step,
            "request": loop.request.digest,
            "optimiser": plain,
            "scaler": loop.scaler.state_dict(),
            "averaged": loop.ema.steps if loop.ema is not None else 0,
        }
        (partial / "state.json").write_text(json.dumps(facts), encoding="utf-8")
    for old in checkpoints(folder)[:-KEPT]:
        discard(old, folder)
    return path


def load_checkpoint(path: Path, loop: Loop, execution: Execution | None = None) -> int:
    """Restore a checkpoint's state, to the bit, and return its step. LimnerError where it is another request's."""
    facts: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    known = {loop.request.digest} if execution is None else digests_of(loop.request, execution)
    if facts["request"] not in known:
        raise LimnerError(
            f"checkpoint {str(path)!r} belongs to another request", "repeat the same command with --resume"
        )
    load_weights(path, loop.trainable)
    loop.optimiser.load_state_dict(
        _merge(load_file(path / "optimiser.safetensors"), facts["optimiser"], loop.optimiser.state_dict())
    )
    if facts["scaler"]:  # empty where the run began in a format that needs no scaling
        loop.scaler.load_state_dict(facts["scaler"])
    if loop.ema is not None:
        saved = load_file(path / "average.safetensors")
        loop.ema.values = [saved[str(i)].to(value) for i, value in enumerate(loop.ema.values)]
        loop.ema.steps = int(facts["averaged"])
    return int(facts["step"])


def save_weights(trainable: Trainable, folder: Path) -> None:
    """Write the trained tensors into a folder."""
    _save(trainable.state(), folder / WEIGHTS)


@torch.no_grad()
def load_weights(folder: Path, trainable: Trainable) -> None:
    """Restore what `save_weights` wrote."""
    saved = load_file(folder / WEIGHTS)
    for name, tensor in trainable.state().items():
        tensor.copy_(saved[name])


def _save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, path)


def _split(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimiser's state as tensors and as JSON values, both by paths such as "state/<parameter>/<name>"."""
    groups = [{name: value for name, value in group.items() if name != "params"} for group in state["param_groups"]]
    flat = _flatten({"state": state["state"], "groups": dict(enumerate(groups))})
    tensors = {name: value for name, value in flat.items() if isinstance(value, torch.Tensor)}
    return tensors, {name: value for name, value in flat.items() if name not in tensors}


def _flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _merge(tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The state that `_split` took apart, in the form of a fresh optimiser's state."""
    whole: dict[str, Any] = {"state": {}, "groups": {}}
    for path, value in {**tensors, **plain}.items():
        *places, name = path.split("/")
        inside = whole
        for place in places:
            inside = inside.setdefault(place, {})
        inside[name] = value
    groups = [group | whole["groups"][str(index)] for index, group in enumerate(fresh["param_groups"])]
    return {"state": {int(index): values for index, values in whole["state"].items()}, "param_groups": groups}
