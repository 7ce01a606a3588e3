"""The whole state of a training run at one step, as a folder that is either complete or absent."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..core.errors import LimnerError
from ..store.files import writing_folder

KEPT = 2


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run's folder, oldest first."""
    found = [p for p in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d{8}", p.name)]
    return sorted(found)


def save_checkpoint(
    folder: Path,
    step: int,
    tensors: dict[str, torch.Tensor],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    request_digest: str,
) -> Path:
    """Write `checkpoint-<step>` and drop all but the newest two."""
    path = folder / f"checkpoint-{step:08d}"
    state = optimiser.state_dict()["state"]
    flat = {f"{index}.{key}": value for index, values in state.items() for key, value in values.items()}
    with writing_folder(path) as partial:
        save_file(
            {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()},
            partial / "learnt.safetensors",
        )
        save_file({name: tensor.contiguous().cpu() for name, tensor in flat.items()}, partial / "optimiser.safetensors")
        facts = {"step": step, "request": request_digest, "scaler": scaler.state_dict()}
        (partial / "state.json").write_text(json.dumps(facts), encoding="utf-8")
    for old in checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def load_checkpoint(
    path: Path,
    tensors: dict[str, torch.Tensor],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    request_digest: str,
) -> int:
    """Put a checkpoint's state back, to the bit, and return its step."""
    facts: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if facts["request"] != request_digest:
        raise LimnerError(
            f"checkpoint {str(path)!r} belongs to another request", "repeat the same command with --resume"
        )
    saved = load_file(path / "learnt.safetensors")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(saved[name])
    flat = load_file(path / "optimiser.safetensors")
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in flat.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    if facts["scaler"]:  # none where the run began in a format that needs no scaling
        scaler.load_state_dict(facts["scaler"])
    return int(facts["step"])
