"""The loop of all pretraining stages: learning rate, step, moving average, checkpoint, log."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from limner.core.errors import LimnerError
from limner.engine.train.batches import generator_for
from limner.engine.train.ema import follow
from limner.starter.pretrain.muon import OPTIMISERS
from limner.starter.pretrain.recipe import StageRecipe

CHECKPOINT_EVERY, LOG_EVERY = 250, 25
WARM = 50  # steps after which the speed is measured; the first ones compile

M = TypeVar("M", bound=nn.Module)
Loss = Callable[[int, torch.Generator], tuple[torch.Tensor, dict[str, Any]]]
"""Step and generator -> a scalar loss, and figures to log."""


class StageState(Generic[M]):
    """A network, its moving averages and its optimisers, which are saved together in one file.

    average: with the decay of the recipe. averages: all, by decay. stage: the recipe, with as many steps as its minutes
    allow. seconds: how long a stage with a limit has been trained, until the last checkpoint.
    """

    def __init__(self, model: M, stage: StageRecipe, path: Path) -> None:
        self.model, self.recipe, self.stage, self.path = model, stage, stage, path
        decays = dict.fromkeys((stage.ema, *stage.emas))
        self.averages: dict[float, M] = {decay: deepcopy(model).requires_grad_(False) for decay in decays}
        self.average = self.averages[stage.ema]
        self.optimisers = OPTIMISERS[stage.optimiser](model, stage.weight_decay)
        self.seconds = 0.0

    def load(self) -> int:
        """Restore the saved state, if there is one; returns the steps done. Raises LimnerError if it does not fit."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True, map_location=next(self.model.parameters()).device)
        remedy = "remove it, or use another folder"
        if "averages" not in state:
            raise LimnerError(f"{self.path} was saved by an earlier version", remedy)
        if missing := [str(decay) for decay in self.averages if str(decay) not in state["averages"]]:
            raise LimnerError(f"{self.path} has no moving average with decay {', '.join(missing)}", remedy)
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise LimnerError(f"{self.path} is of a network with other sizes than the recipe's", remedy) from error
        for decay, average in self.averages.items():
            average.load_state_dict(state["averages"][str(decay)])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        if self.recipe.minutes:
            self.seconds = state["seconds"]
            if state["limit"] == self._limit:
                self.stage = self.recipe.model_copy(update={"steps": state["steps"]})
        return state["step"]

    def save(self, step: int) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "averages": {str(decay): average.state_dict() for decay, average in self.averages.items()},
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": step,
            "steps": self.stage.steps,
            "limit": self._limit,
            "seconds": self.seconds,
        }
        torch.save(state, partial := self.path.with_suffix(".partial"))
        os.replace(partial, self.path)

    def train_step(self, step: int, value: torch.Tensor) -> torch.Tensor:
        """Take one step down the gradient of a loss; returns the gradient's norm before clipping."""
        self.model.zero_grad(set_to_none=True)
        value.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.stage.rate(step)
            optimiser.step()
        for decay, average in self.averages.items():
            follow(list(average.parameters()), list(self.model.parameters()), step, decay)
            for target, source in zip(average.buffers(), self.model.buffers(), strict=True):
                target.copy_(source)
        return norm

    @property
    def _limit(self) -> list[float | None]:
        """What the number of steps was planned for."""
        return [self.recipe.steps, self.recipe.minutes]

    def keep_to_the_minutes(self, done: int, left: float, per_second: float) -> None:
        """Set the number of steps that `left` seconds allow, at most the recipe's, until the learning rate falls."""
        begun = done >= self.stage.steps * (1 - self.stage.decay)
        if not begun:
            steps = min(self.recipe.steps, done + int(left * per_second))
            self.stage = self.recipe.model_copy(update={"steps": max(steps, done)})


def fit(
    name: str,
    model: M,
    stage: StageRecipe,
    loss: Loss,
    folder: Path,
    *,
    seed: int,
    evaluate: Callable[[M], Mapping[str, float]] | None = None,
) -> M:
    """Train `model` in place for `stage.steps` steps, or fewer if its minutes allow fewer; returns its moving average.

    The whole state is saved in `folder/{name}.pt` every 250 steps, and an interrupted stage goes on from there, also
    with its minutes. Figures are logged to `folder/{name}.jsonl`; evaluate: further ones of the average.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = StageState(model, stage, folder / f"{name}.pt")
    first = state.load()
    began, spent = time.monotonic(), state.seconds
    with _progress(name) as bars:
        bar = bars.add_task(name, total=state.stage.steps, completed=first, note="")
        done, timed, since = first, first, began
        while done < state.stage.steps:
            value, figures = loss(done, generator_for(seed, name, done))
            norm = state.train_step(done, value)
            done += 1
            if stage.minutes and (done - first in (WARM, 2 * WARM) or done % CHECKPOINT_EVERY == 0):
                value.item()  # waits for a GPU
                now = time.monotonic()
                state.seconds = spent + now - began
                if timed > first:
                    left = stage.minutes * 60 - state.seconds
                    state.keep_to_the_minutes(done, left, (done - timed) / (now - since))
                    bars.update(bar, total=state.stage.steps)
                timed, since = done, now
            last = done == state.stage.steps
            if done % CHECKPOINT_EVERY == 0 or last:
                state.save(done)
            if done % LOG_EVERY == 0 or last:
                speed = (done - first) * stage.batch / (time.monotonic() - began)
                figures |= {"step": done, "loss": value.item(), "norm": norm.item()}
                figures |= {"rate": state.stage.rate(done - 1), "per_second": speed} | _machine(model)
                if evaluate is not None and (done % CHECKPOINT_EVERY == 0 or last):
                    figures |= evaluate(state.average)
                with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(figures) + "\n")
                bars.update(bar, note=f"loss {figures['loss']:.4f}, {speed:.0f} images/s")
            bars.update(bar, completed=done)
    return state.average


def _machine(model: nn.Module) -> dict[str, Any]:
    """The name of the GPU that trains, if one does."""
    device = next(model.parameters()).device
    return {"machine": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}


def _progress(name: str) -> Progress:
    return Progress(
        TextColumn(f"{name:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
