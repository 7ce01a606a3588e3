"""Muon: momentum, made orthogonal before the step (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

A convolution counts as the matrix (out, in x height x width). The update is scaled to the size of one of AdamW's (Liu
et al. 2025, arXiv 2502.16982), so that one learning rate serves both; what is no matrix is left to AdamW.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn

from limner.starter.pretrain.precision import fast_dtype

MOMENTUM = 0.95
ADAM_SIZE = 0.2  # root mean square of a typical AdamW update, in learning rates
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Matrices (k, rows <= columns) -> their nearest half-orthogonal ones, roughly (Newton-Schulz iteration)."""
    a, b, c = COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """For matrices (two dimensions or more, the first being the output's)."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rows = len(parameter)
                    shapes[rows, parameter.numel() // rows].append(parameter)
            for (rows, columns), parameters in shapes.items():
                directions = []
                for parameter in parameters:
                    assert parameter.grad is not None
                    state = self.state[parameter]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(parameter)
                    state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
                    directions.append(parameter.grad.lerp(state["momentum"], MOMENTUM).reshape(rows, columns))
                stacked = torch.stack(directions)
                stacked = stacked.to(fast_dtype(stacked.device))
                flat = orthogonal(stacked.mT if rows > columns else stacked)
                updates = (flat.mT if rows > columns else flat).float()
                size = ADAM_SIZE * max(rows, columns) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.reshape(parameter.shape), alpha=-group["lr"] * size)


def with_adamw(model: nn.Module, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of a model but embeddings, AdamW for the rest; learning rates are set at each step."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in learnt if p.ndim >= 2 and id(p) not in tables]
    chosen = {id(p) for p in matrices}
    rest = [p for p in learnt if id(p) not in chosen]
    return [Muon(matrices, 1e-3, weight_decay), *adamw(rest, 0.0)]


def adamw(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW(parameters, lr=1e-3, weight_decay=weight_decay, betas=(0.9, 0.99), fused=True)]


OPTIMISERS = {"muon": with_adamw, "adamw": lambda model, weight_decay: adamw(model.parameters(), weight_decay)}
