"""Medians, spreads, tables and parts of pages that the benchmarks share."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from limner.store.files import atomic_file


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, minimum, maximum and all measurements, in their unit."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": list(values)}


def machine() -> dict[str, Any]:
    """The machine that the figures were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "gpu": gpu,
        "torch": torch.__version__,
        "bf16_instructions": torch.cpu._is_avx512_bf16_supported(),  # type: ignore[attr-defined]
    }


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table for a page."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *rows))


def write_between(page: Path, mark: str, text: str) -> None:
    """Replace what stands between two equal marks on a page."""
    before, _, after = page.read_text(encoding="utf-8").split(mark)
    with atomic_file(page) as partial:
        partial.write_text(f"{before}{mark}\n{text}\n{mark}{after}", encoding="utf-8")


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
