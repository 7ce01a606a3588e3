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

from limner.engine.train.batches import generator_for
from limner.engine.train.ema import follow
from limner.starter.pretrain.muon import OPTIMISERS
from limner.starter.pretrain.recipe import StageRecipe

CHECKPOINT_EVERY, LOG_EVERY = 250, 25

M = TypeVar("M", bound=nn.Module)
Loss = Callable[[int, torch.Generator], tuple[torch.Tensor, dict[str, float]]]
"""Step and generator -> a scalar loss, and figures to log."""


class StageState(Generic[M]):
    """A network, its moving average and its optimisers, which are saved together in one file."""

    def __init__(self, model: M, stage: StageRecipe, path: Path) -> None:
        self.model, self.stage, self.path = model, stage, path
        self.average = deepcopy(model).requires_grad_(False)
        self.optimisers = OPTIMISERS[stage.optimiser](model, stage.weight_decay)

    def load(self) -> int:
        """Restore the saved state, if there is one; returns the steps done."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True, map_location=next(self.model.parameters()).device)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return state["step"]

    def save(self, step: int) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": step,
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
        follow(list(self.average.parameters()), list(self.model.parameters()), step, self.stage.ema)
        for target, source in zip(self.average.buffers(), self.model.buffers(), strict=True):
            target.copy_(source)
        return norm


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
    """Train `model` in place for `stage.steps` steps and return its moving average.

    The whole state is saved in `folder/{name}.pt` every 250 steps, and an interrupted stage goes on from there. Figures
    are logged to `folder/{name}.jsonl`; evaluate: further ones of the average.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = StageState(model, stage, folder / f"{name}.pt")
    first = state.load()
    began = time.monotonic()
    with _progress(name) as bars:
        bar = bars.add_task(name, total=stage.steps, completed=first, note="")
        for step in range(first, stage.steps):
            value, figures = loss(step, generator_for(seed, name, step))
            norm = state.train_step(step, value)
            done = step + 1
            last = done == stage.steps
            if done % CHECKPOINT_EVERY == 0 or last:
                state.save(done)
            if done % LOG_EVERY == 0 or last:
                speed = (done - first) * stage.batch / (time.monotonic() - began)
                figures |= {"step": done, "loss": value.item(), "norm": norm.item()}
                figures |= {"rate": stage.rate(step), "per_second": speed}
                if evaluate is not None and (done % CHECKPOINT_EVERY == 0 or last):
                    figures |= evaluate(state.average)
                with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(figures) + "\n")
                bars.update(bar, note=f"loss {figures['loss']:.4f}, {speed:.0f} images/s")
            bars.update(bar, completed=done)
    return state.average


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
