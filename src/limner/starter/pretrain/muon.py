"""Optimisers of pretraining: Muon for matrices (Jordan et al. 2024, kellerjordan.github.io/posts/muon), and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class MatrixMuon(torch.optim.Muon):
    """torch's Muon, which takes matrices, for tensors of two or more dimensions whose first is the output's.

    A convolution counts as the matrix (out, in x height x width). The update is scaled to the size of one of AdamW's
    (Liu et al. 2025, arXiv 2502.16982), so that one learning rate serves both.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        self.tensors = list(parameters)
        matrices = [tensor.detach().view(len(tensor), -1) for tensor in self.tensors]  # they share the memory
        super().__init__(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Any = None) -> None:
        for tensor, matrix in zip(self.tensors, self.param_groups[0]["params"], strict=True):
            matrix.grad = None if tensor.grad is None else tensor.grad.reshape(matrix.shape)
        super().step(closure)


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
