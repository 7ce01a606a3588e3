"""Device and number format of a run, and errors when memory runs out."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from limner.core.errors import LimnerError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """Return a device. "auto" is cuda, else mps, else cpu. Raises LimnerError if the device is not available."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise LimnerError(
            f"device {name!r} is not available: no CUDA GPU was found", "use --device cpu or --device auto"
        )
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise LimnerError(f"device {name!r} is not available", f"this machine has {torch.cuda.device_count()} GPUs")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise LimnerError(
            f"device {name!r} is not available: no Apple GPU was found", "use --device cpu or --device auto"
        )
    return torch.device(name)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return a number format. "auto" is bf16 on GPUs that support it, fp16 on older ones, fp32 elsewhere."""
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return torch.float32
    if name == "fp16" and device.type == "cpu":
        raise LimnerError("precision 'fp16' does not run on a CPU", "use --precision fp32 or bf16")
    return DTYPES[name]


def check_quantised(name: str | None, device: torch.device) -> None:
    """Refuse a quantisation that the device or the installed packages do not support."""
    if name == "nf4" and device.type != "cuda":
        raise LimnerError(
            f"quantisation 'nf4' needs a CUDA GPU, and the device is {device.type}",
            "use int8, or leave it out (--quantise none)",
        )
    module = {"nf4": "bitsandbytes", "int8": "torchao"}.get(name or "")
    if module and importlib.util.find_spec(module) is None:
        raise LimnerError(f"quantisation {name!r} needs {module}, which is missing", f"pip install {module}")


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Turn out-of-memory errors into a LimnerError. remedy: what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise LimnerError("the GPU ran out of memory", remedy) from error
    except MemoryError as error:
        raise LimnerError("the machine ran out of memory", remedy) from error
    except RuntimeError as error:
        if "allocate" in str(error) and "memory" in str(error):
            raise LimnerError("the machine ran out of memory", remedy) from error
        raise


def autocast_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """Return the number format of the forward pass in training; None for the weights' own.

    "auto" on a CPU is bf16 if the processor has instructions for it, which halves the time of a step.
    """
    if device.type == "cpu":
        fast = name == "auto" and torch.cpu._is_avx512_bf16_supported()  # type: ignore[attr-defined]
        return torch.bfloat16 if fast or name == "bf16" else None
    dtype = pick_dtype(name, device)
    return None if dtype == torch.float32 else dtype
