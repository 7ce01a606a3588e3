"""The loop that all pretraining stages share: learning rate, step, moving average, checkpoint, log."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

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

from limner.starter.pretrain.muon import OPTIMISERS
from limner.starter.pretrain.recipe import StageRecipe

CHECKPOINT_EVERY = 250

M = TypeVar("M", bound=nn.Module)


def step_generator(seed: int, name: str, step: int) -> torch.Generator:
    """Randomness as a function of the step, so that a resumed run draws what an uninterrupted one would."""
    return torch.Generator().manual_seed(hash((seed, len(name), step)) & 0x7FFF_FFFF_FFFF)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Move an exponential average of the weights towards the model's; young averages move faster."""
    keep = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
    for target, source in zip(average.buffers(), model.buffers(), strict=True):
        target.copy_(source)


def fit(
    name: str,
    model: M,
    stage: StageRecipe,
    loss: Callable[[int, torch.Generator], tuple[torch.Tensor, dict[str, float]]],
    folder: Path,
    *,
    seed: int,
    evaluate: Callable[[M], dict[str, float]] | None = None,
) -> M:
    """Train `model` in place for `stage.steps` steps and return its moving average.

    loss: step and generator -> a scalar and figures to log. Every 250 steps the whole state is kept in
    `folder/{name}.pt`, from which an interrupted stage goes on; figures go to `folder/{name}.jsonl`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{name}.pt"
    average = deepcopy(model).requires_grad_(False)
    optimisers = OPTIMISERS[stage.optimiser](model, stage.weight_decay)
    first = 0
    if kept.exists():
        state = torch.load(kept, weights_only=True, map_location=next(model.parameters()).device)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        for optimiser, kept_state in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept_state)
        first = state["step"]

    def keep(step: int) -> None:
        state = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "step": step,
        }
        torch.save(state, partial := kept.with_suffix(".partial"))
        os.replace(partial, kept)

    began, seen = time.monotonic(), 0
    with Progress(
        TextColumn(f"{name:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ) as bars:
        bar = bars.add_task(name, total=stage.steps, completed=first, note="")
        for step in range(first, stage.steps):
            value, figures = loss(step, step_generator(seed, name, step))
            model.zero_grad(set_to_none=True)
            value.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = stage.rate(step)
                optimiser.step()
            follow(average, model, step, stage.ema)
            seen += stage.batch
            done = step + 1
            if done % CHECKPOINT_EVERY == 0 or done == stage.steps:
                keep(done)
            if done % 25 == 0 or done == stage.steps:
                figures |= {
                    "step": done,
                    "loss": value.item(),
                    "norm": norm.item(),
                    "rate": stage.rate(step),
                    "per_second": seen / (time.monotonic() - began),
                }
                if evaluate is not None and (done % CHECKPOINT_EVERY == 0 or done == stage.steps):
                    figures |= evaluate(average)
                with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(figures) + "\n")
                bars.update(bar, note=f"loss {figures['loss']:.4f}, {figures['per_second']:.0f} pictures/s")
            bars.update(bar, completed=done)
    return average
