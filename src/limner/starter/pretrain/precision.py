"""The number format of matrix products in pretraining, and what is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def fast_dtype(device: torch.device) -> torch.dtype:
    """bf16; fp32 on a CPU without bf16 products, which would take a hundred times as long."""
    known = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()  # type: ignore[attr-defined]
    return torch.bfloat16 if known else torch.float32


def mixed(device: str) -> torch.autocast:
    """A context in which matrix products are in that format."""
    place = torch.device(device)
    dtype = fast_dtype(place)
    return torch.autocast(place.type, dtype, enabled=dtype != torch.float32)


def compiled(function: Callable[..., Any], device: str) -> Callable[..., Any]:
    """The function, compiled for a GPU. On a CPU compilation took over two minutes and gained nothing."""
    return torch.compile(function, dynamic=False) if torch.device(device).type == "cuda" else function
