"""Saving memory while a pipeline runs: offloading, slicing, tiling and quantisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from limner.core.requests import GenerateRequest


@dataclass(frozen=True)
class MemoryPreset:
    """offloaded: networks leave the GPU while they are idle. sliced, tiled: the autoencoder handles one image at a
    time, and in tiles. quantised: format of quantised weights.
    """

    offloaded: bool
    sliced: bool
    tiled: bool
    quantised: str | None


PRESETS = {
    "high": MemoryPreset(offloaded=False, sliced=False, tiled=False, quantised=None),
    "balanced": MemoryPreset(offloaded=True, sliced=True, tiled=False, quantised=None),
    "low": MemoryPreset(offloaded=True, sliced=True, tiled=True, quantised="nf4"),
}


def preset_for(request: GenerateRequest, memory: str, device: torch.device) -> MemoryPreset:
    """Return the preset of that name with a request's other options. Without a CUDA GPU there is nothing to offload."""
    preset = PRESETS[memory]
    if device.type != "cuda":
        preset = replace(preset, offloaded=False, quantised=None)
    return replace(preset, tiled=preset.tiled or request.tiled, quantised=request.quantise or preset.quantised)


@contextmanager
def memory_saved(
    pipeline: Any, preset: MemoryPreset, device: torch.device, unload: Callable[[], None]
) -> Iterator[None]:
    """Open a context in which a pipeline saves memory.

    unload: drops the networks from the cache, since offloading leaves them on any device.
    """
    vae = pipeline.vae
    before = {switch: getattr(vae, switch, False) for switch in ("use_slicing", "use_tiling")}
    try:
        vae.use_slicing = before["use_slicing"] or preset.sliced
        vae.use_tiling = before["use_tiling"] or preset.tiled
        if preset.offloaded:
            pipeline.enable_model_cpu_offload(device=device)
        yield
    finally:
        for switch, value in before.items():
            setattr(vae, switch, value)
        if preset.offloaded:
            pipeline.remove_all_hooks()
            unload()
