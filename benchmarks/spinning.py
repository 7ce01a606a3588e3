"""What threads that spin while they wait cost on a busy machine: UNet passes with and without Limner's spin count.

    python benchmarks/spinning.py --json spinning.json

Each measurement runs in a process of its own, beside 0, 1 or 2 processes that keep a core busy. "default": GNU OpenMP
as torch ships it. "limner": GOMP_SPINCOUNT as `import limner` sets it. Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any

ROWS, PASSES, TOKENS = 16, 3, 77
WAYS, SPINS = ("default", "limner"), "GOMP_SPINCOUNT"


def one_pass() -> float:
    """Seconds of a pass of 16 rows through the starter's UNet."""
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(str(files("limner.starter") / "weights" / "unet"))
    config: Any = unet.config
    latents = torch.randn(ROWS, config.in_channels, config.sample_size, config.sample_size)
    text = torch.randn(ROWS, TOKENS, config.cross_attention_dim)
    with torch.inference_mode():
        unet(latents, torch.tensor(500), text)
        began = perf_counter()
        for _ in range(PASSES):
            unet(latents, torch.tensor(500), text)
    return (perf_counter() - began) / PASSES


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keeps `count` processes busy while it is open."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measured(way: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != SPINS}
    if way == "limner":
        environment[SPINS] = os.environ[SPINS]
    done = subprocess.run(
        [sys.executable, __file__, "--one"], env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.one:
        print(one_pass())
        return
    os.environ.pop(SPINS, None)
    from figures import machine, print_table, summary, write_json

    importlib.import_module("limner")  # sets what is measured

    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(options.rounds):
        for others in (0, 1, 2):
            for way in WAYS:
                with busy(others):
                    found.setdefault(str(others), {}).setdefault(way, []).append(measured(way))
    summaries = {others: {way: summary(values) for way, values in ways.items()} for others, ways in found.items()}
    rows = [
        [others, *(f"{ways[way]['median']:.2f} ({ways[way]['min']:.2f} to {ways[way]['max']:.2f})" for way in WAYS)]
        + [f"{ways['default']['median'] / ways['limner']['median']:.1f}"]
        for others, ways in summaries.items()
    ]
    print_table(["others", *(f"{way} s" for way in WAYS), "ratio"], rows)
    write_json(options.json, {"machine": machine(), "seconds": summaries})


if __name__ == "__main__":
    main()
