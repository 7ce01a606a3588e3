"""Devices and number formats: defaults, and what is refused."""

from __future__ import annotations

import pytest
import torch

from limner.core.errors import LimnerError
from limner.models.devices import autocast_dtype, memory_errors, pick_device, pick_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch):
    """Let torch see so many GPUs, which know bf16 or only emulate it, or an Apple GPU."""

    def seen(gpus: int, bf16: bool = True, apple: bool = False, avx512: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation
        )
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)

    return seen


@pytest.mark.parametrize(
    ("gpus", "apple", "name", "picked"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, True, "auto", "cuda"),
        (2, False, "cpu", "cpu"),
        (2, False, "cuda:1", "cuda:1"),
    ],
)
def test_a_gpu_is_preferred(machine, gpus, apple, name, picked):
    machine(gpus, apple=apple)
    assert pick_device(name) == torch.device(picked)


@pytest.mark.parametrize(
    ("gpus", "name", "result"),
    [
        (0, "cuda", "no CUDA GPU was found"),
        (0, "cuda:0", "no CUDA GPU was found"),
        (2, "cuda:2", "this machine has 2 GPUs"),
        (2, "mps", "no Apple GPU was found"),
    ],
)
def test_a_missing_device_is_refused(machine, gpus, name, result):
    machine(gpus)
    with pytest.raises(LimnerError, match=f"device '{name}' is not available.*{result}"):
        pick_device(name)


def test_weights_are_bf16_on_a_gpu_that_supports_it_and_fp32_on_a_cpu(machine):
    machine(1)
    assert [pick_dtype("auto", device) for device in (GPU, CPU)] == [torch.bfloat16, torch.float32]
    machine(1, bf16=False)
    assert pick_dtype("auto", GPU) == torch.float16
    assert [pick_dtype(name, GPU) for name in ("fp32", "bf16", "fp16")] == [
        torch.float32,
        torch.bfloat16,
        torch.float16,
    ]
    assert pick_dtype("bf16", CPU) == torch.bfloat16
    with pytest.raises(LimnerError, match="'fp16' does not run on a CPU"):
        pick_dtype("fp16", CPU)


def test_training_uses_half_precision_if_requested_or_faster(machine):
    machine(1)
    found = {name: autocast_dtype(name, CPU) for name in ("auto", "fp32", "bf16")}
    assert found == {"auto": None, "fp32": None, "bf16": torch.bfloat16}
    found = {name: autocast_dtype(name, GPU) for name in ("auto", "fp32", "bf16", "fp16")}
    assert found == {"auto": torch.bfloat16, "fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    machine(0, avx512=True)
    assert autocast_dtype("auto", CPU) == torch.bfloat16 and autocast_dtype("fp32", CPU) is None


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "the GPU ran out of memory"),
        (MemoryError(), "the machine ran out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 GB"), "the machine ran out of memory"),
        (RuntimeError("shapes do not fit in memory format"), None),
    ],
)
def test_out_of_memory_is_a_one_line_error(error, result):
    with pytest.raises(LimnerError if result else RuntimeError, match=result or "shapes"), memory_errors("use less"):
        raise error
