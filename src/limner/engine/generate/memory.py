"""How a pipeline lives with less memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from limner.core.requests import GenerateRequest


@dataclass(frozen=True)
class Preset:
    """offloaded: networks leave the GPU when they are not at work. sliced, tiled: pictures are encoded and decoded one
    by one, and in tiles. quantised: what the weights are rounded to.
    """

    offloaded: bool
    sliced: bool
    tiled: bool
    quantised: str | None


PRESETS = {
    "high": Preset(offloaded=False, sliced=False, tiled=False, quantised=None),
    "balanced": Preset(offloaded=True, sliced=True, tiled=False, quantised=None),
    "low": Preset(offloaded=True, sliced=True, tiled=True, quantised="nf4"),
}


def preset_for(request: GenerateRequest, memory: str, device: torch.device) -> Preset:
    """The preset of that name, with what a request asks besides; on a CPU no network has anywhere to leave to."""
    preset = PRESETS[memory]
    if device.type != "cuda":
        preset = replace(preset, offloaded=False, quantised=None)
    return replace(preset, tiled=preset.tiled or request.tiled, quantised=request.quantise or preset.quantised)


@contextmanager
def spared(pipeline: Any, preset: Preset, device: torch.device, forget: Callable[[], None]) -> Iterator[None]:
    """While it is open, a pipeline saves memory as the preset says.

    forget: lets go of the networks, which offloading leaves anywhere.
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
            forget()
