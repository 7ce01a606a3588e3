"""The number format that pretraining multiplies in."""

from __future__ import annotations

import torch


def fast_dtype(device: torch.device) -> torch.dtype:
    """bf16, but fp32 on a processor that has no such product and would take a hundred times as long."""
    known = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()  # type: ignore[attr-defined]
    return torch.bfloat16 if known else torch.float32


def mixed(device: str) -> torch.autocast:
    """While it is open, products of matrices are taken in that format."""
    place = torch.device(device)
    dtype = fast_dtype(place)
    return torch.autocast(place.type, dtype, enabled=dtype != torch.float32)
