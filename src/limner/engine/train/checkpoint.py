"""Checkpoints: the whole state of a training run at one step, as a folder that is either complete or absent."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from limner.core.errors import LimnerError
from limner.core.protocols import Trainable
from limner.engine.train.loop import Loop
from limner.store.files import atomic_folder, sha256_of
from limner.store.removal import discard

KEPT = 2
"""How many checkpoints of a run are kept."""
WEIGHTS, OPTIMISER, AVERAGE = "learnt.safetensors", "optimiser.safetensors", "average.safetensors"
STATE = "state.json"
KEPT_WEIGHTS = "weights"
"""Names of the files of a checkpoint, and of the folder with the weights of all checkpoints."""


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
        _save(tensors, partial / OPTIMISER)
        if loop.ema is not None:
            _save({str(i): value for i, value in enumerate(loop.ema.values)}, partial / AVERAGE)
        facts = {
            "step": step,
            "request": loop.request.digest,
            "optimiser": plain,
            "scaler": loop.scaler.state_dict(),
            "averaged": loop.ema.steps if loop.ema is not None else 0,
            "sha256": {file.name: sha256_of(file) for file in sorted(partial.glob("*.safetensors"))},
        }
        (partial / STATE).write_text(json.dumps(facts), encoding="utf-8")
    for old in checkpoints(folder)[:-KEPT]:
        discard(old, folder)
    return path


class DamagedCheckpoint(LimnerError):
    """A checkpoint that cannot be read, as a full disk or a lost write leaves it."""


@dataclass(frozen=True)
class SavedState:
    """What a checkpoint holds, read and checked against the loop that it is for. average: None without one."""

    step: int
    weights: Mapping[str, torch.Tensor]
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    average: Sequence[torch.Tensor] | None
    averaged: int

    @torch.no_grad()
    def restore(self, loop: Loop) -> None:
        """Give a loop this state, to the bit."""
        for name, tensor in loop.trainable.state().items():
            tensor.copy_(self.weights[name])
        loop.optimiser.load_state_dict(self.optimiser)
        if self.scaler:  # empty where the run began in a format that needs no scaling
            loop.scaler.load_state_dict(self.scaler)
        if loop.ema is not None and self.average is not None:
            loop.ema.values = [saved.to(value) for saved, value in zip(self.average, loop.ema.values, strict=True)]
            loop.ema.steps = self.averaged


def load_checkpoint(path: Path, loop: Loop, digests: Collection[str] = ()) -> int:
    """Restore a checkpoint's state, to the bit, and return its step. LimnerError where it is another request's, and
    DamagedCheckpoint where it cannot be read; the loop is unchanged then. digests: further ones of the loop's request.
    """
    state = read_checkpoint(path, loop, digests)
    state.restore(loop)
    return state.step


def newest_sound(
    folder: Path, loop: Loop, digests: Collection[str] = ()
) -> tuple[Path | None, list[DamagedCheckpoint]]:
    """The newest checkpoint in a run's folder that can be read, and the errors of newer ones.

    Damaged ones are renamed, so that they neither stand in the way of new checkpoints nor count as kept.
    """
    damaged: list[DamagedCheckpoint] = []
    for path in reversed(checkpoints(folder)):
        try:
            read_checkpoint(path, loop, digests)
        except DamagedCheckpoint as error:
            damaged.append(error)
            aside = path.with_name(f"damaged-{path.name}")
            discard(aside, folder)
            path.rename(aside)
        else:
            return path, damaged
    return None, damaged


def discard_others(folder: Path, digest: str) -> int:
    """Remove the checkpoints of other requests from a run's folder, and return how many there were.

    Those that cannot be read stay, for `newest_sound`.
    """
    others = [path for path in checkpoints(folder) if _digest_of(path) not in (None, digest)]
    for path in others:
        discard(path, folder)
    return len(others)


def _digest_of(path: Path) -> str | None:
    """The digest of the request of a checkpoint; None where it cannot be read."""
    try:
        return str(json.loads((path / STATE).read_text(encoding="utf-8"))["request"])
    except (OSError, ValueError, TypeError, LookupError):
        return None


def read_checkpoint(path: Path, loop: Loop, digests: Collection[str] = ()) -> SavedState:
    """Read a checkpoint and check it against its hashes and the loop. Raises as `load_checkpoint` does."""
    try:
        facts: dict[str, Any] = json.loads((path / STATE).read_text(encoding="utf-8"))
        request = facts["request"]
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise _damaged(path, error) from error
    if request not in {loop.request.digest, *digests}:
        raise LimnerError(
            f"checkpoint {str(path)!r} belongs to another request", "repeat the same command with --resume"
        )
    try:
        return _checked(path, facts, loop)
    except (LimnerError, OSError, ValueError, TypeError, LookupError, AttributeError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _checked(path: Path, facts: Mapping[str, Any], loop: Loop) -> SavedState:
    """The state in a checkpoint; raises ValueError and the like where a file is damaged."""
    for name, sha256 in facts.get("sha256", {}).items():  # earlier versions wrote no hashes
        if sha256_of(path / name) != sha256:
            raise ValueError(f"{name} has changed")
    weights = load_file(path / WEIGHTS)
    own = loop.trainable.state()
    if {name: tensor.shape for name, tensor in weights.items()} != {name: tensor.shape for name, tensor in own.items()}:
        raise ValueError(f"{WEIGHTS} holds other tensors")
    optimiser = _merge(load_file(path / OPTIMISER), facts["optimiser"], loop.optimiser.state_dict())
    average = None
    if loop.ema is not None:
        saved = load_file(path / AVERAGE)
        average = [saved[str(index)] for index in range(len(loop.ema.values))]
        if any(tensor.shape != value.shape for tensor, value in zip(average, loop.ema.values, strict=True)):
            raise ValueError(f"{AVERAGE} holds other tensors")
    return SavedState(int(facts["step"]), weights, optimiser, facts["scaler"], average, int(facts["averaged"]))


def _damaged(path: Path, error: Exception) -> DamagedCheckpoint:
    reason = (str(error) or type(error).__name__).splitlines()[0][:120]
    return DamagedCheckpoint(f"checkpoint {path.name!r} is damaged ({reason})", "repeat the command with --resume")


def keep_weights(folder: Path, step: int, loop: Loop) -> None:
    """Write the weights after a step as they would be saved as a result, to stay as long as the run's folder."""
    with loop.evaluating(), atomic_folder(folder / KEPT_WEIGHTS / f"{step:08d}") as partial:
        save_weights(loop.trainable, partial)


def kept_weights(folder: Path) -> dict[int, Path]:
    """The folders that `keep_weights` wrote, by step."""
    found = (path for path in (folder / KEPT_WEIGHTS).glob("*") if re.fullmatch(r"\d{8}", path.name))
    return {int(path.name): path for path in sorted(found)}


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
