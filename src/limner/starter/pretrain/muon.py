"""Optimisers of pretraining: Muon for matrices (Jordan et al. 2024, kellerjordan.github.io/posts/muon), and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

COEFFICIENTS, ROUNDS = (3.4445, -4.775, 2.0315), 5


@torch.no_grad()
def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (k, m, n), each with its singular values brought near 1 by Newton-Schulz rounds in bf16."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class MatrixMuon(torch.optim.Optimizer):
    """Muon for tensors of two or more dimensions whose first is the output's.

    A convolution counts as the matrix (out, in x height x width). The update is scaled to the size of one of AdamW's
    (Liu et al. 2025, arXiv 2502.16982), so that one learning rate serves both. The steps are those of torch's Muon
    with these settings; matrices of one shape are orthogonalised together, which on a GPU takes a tenth of the time.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            trained = [tensor for tensor in group["params"] if tensor.grad is not None]
            if not trained:
                continue
            gradients = [tensor.grad for tensor in trained]
            for tensor in trained:
                if not self.state[tensor]:
                    self.state[tensor]["momentum_buffer"] = torch.zeros_like(tensor)
            buffers = [self.state[tensor]["momentum_buffer"] for tensor in trained]
            torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
            updates = torch._foreach_lerp(gradients, buffers, group["momentum"])  # Nesterov
            shapes: dict[tuple[int, int], list[int]] = {}
            for i, tensor in enumerate(trained):
                shapes.setdefault((len(tensor), tensor[0].numel()), []).append(i)
            torch._foreach_mul_(trained, 1 - group["lr"] * group["weight_decay"])
            for shape, rows in shapes.items():
                steps = orthogonalised(torch.stack([updates[i].reshape(shape) for i in rows]))
                scale = -group["lr"] * 0.2 * max(shape) ** 0.5
                ours = [trained[i] for i in rows]
                moves = [step.reshape(tensor.shape).to(tensor) for step, tensor in zip(steps, ours, strict=True)]
                torch._foreach_add_(ours, moves, alpha=scale)


def muon(model: nn.Module, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for a model's matrices without embeddings, AdamW for the rest; learning rates are set at each step."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in trained if p.ndim >= 2 and id(p) not in tables]
    chosen = {id(p) for p in matrices}
    rest = [p for p in trained if id(p) not in chosen]
    return [MatrixMuon(matrices, 1e-3, weight_decay), *adamw(rest, 0.0)]


def adamw(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[torch.optim.Optimizer]:
    """AdamW alone."""
    return [torch.optim.AdamW(parameters, lr=1e-3, weight_decay=weight_decay, betas=(0.9, 0.99), fused=True)]


OPTIMISERS = {"muon": muon, "adamw": lambda model, weight_decay: adamw(model.parameters(), weight_decay)}
