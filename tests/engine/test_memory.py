"""Saving memory: presets, other options, and switching it off again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner import GenerateRequest, LimnerError
from limner.core.execution import split_fields
from limner.core.protocols import Alias
from limner.engine.generate.memory import MemoryPreset, memory_saved, preset_for
from limner.models import loading

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "fields", "preset"),
    [
        (GPU, {"memory": "high"}, MemoryPreset(False, False, False, None)),
        (GPU, {"memory": "balanced"}, MemoryPreset(True, True, False, None)),
        (GPU, {"memory": "low"}, MemoryPreset(True, True, True, "nf4")),
        (GPU, {"memory": "low", "quantise": "int8"}, MemoryPreset(True, True, True, "int8")),
        (GPU, {"memory": "high", "tiled": True, "quantise": "nf4"}, MemoryPreset(False, False, True, "nf4")),
        (CPU, {"memory": "low"}, MemoryPreset(False, True, True, None)),
        (CPU, {"memory": "balanced", "quantise": "int8"}, MemoryPreset(False, True, False, "int8")),
    ],
)
def test_a_preset_with_other_options(device, fields, preset):
    """On a CPU, no network is offloaded, and none is quantised by a preset."""
    fields, how = split_fields(fields)
    assert preset_for(GenerateRequest(prompt="a", **fields), how["memory"], device) == preset


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("offloaded", [False, True])
def test_memory_saving_is_switched_off_again(before, offloaded):
    calls = []
    pipeline = SimpleNamespace(
        vae=SimpleNamespace(use_slicing=before, use_tiling=before),
        enable_model_cpu_offload=lambda device: calls.append(device),
        remove_all_hooks=lambda: calls.append("hooks"),
    )
    with memory_saved(pipeline, MemoryPreset(offloaded, True, False, None), GPU, lambda: calls.append("forgotten")):
        assert (pipeline.vae.use_slicing, pipeline.vae.use_tiling) == (True, before)
        assert calls == [GPU] * offloaded
    assert (pipeline.vae.use_slicing, pipeline.vae.use_tiling) == (before, before)
    assert calls == [GPU, "hooks", "forgotten"] * offloaded


def test_the_budget_of_models_in_memory(monkeypatch):
    monkeypatch.setenv("LIMNER_MODEL_GB", "1.5")
    assert loading.memory_budget(CPU) == 1.5e9
    monkeypatch.setenv("LIMNER_MODEL_GB", "much")
    with pytest.raises(LimnerError, match="LIMNER_MODEL_GB is 'much'; set it to a number of gigabytes"):
        loading.memory_budget(CPU)
    monkeypatch.delenv("LIMNER_MODEL_GB")
    monkeypatch.setattr(loading.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.get)
    assert loading.memory_budget(CPU) == 4096 * 1000 / 4, "a quarter of the machine's"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1, 80))
    assert loading.memory_budget(GPU) == 40, "half of a GPU's"


def test_defaults_of_model_alias_and_family_in_this_order():
    alias = Alias("mine", "owner/name", "mit", defaults={"guidance": 2.0, "denoising_steps": 7})
    plain, named, own = (
        loading.Model("x", "x", "sd", known, "mit", own_defaults=own)
        for known, own in ((None, {}), (alias, {}), (alias, {"guidance": 9.0}))
    )
    assert plain.sampling == {"steps": 30, "guidance": 7.5, "guidance_rescale": 0.0}
    assert named.sampling == {"steps": 7, "guidance": 2.0, "guidance_rescale": 0.0}
    assert own.sampling == {"steps": 7, "guidance": 9.0, "guidance_rescale": 0.0}
