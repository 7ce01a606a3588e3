"""Which device and number format a run uses, and what is said when memory runs out."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from limner.core.errors import LimnerError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """ "auto" is cuda, then mps, then cpu; a device that is asked for and not there is a LimnerError."""
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
    """ "auto" is bf16 on a GPU that knows it, fp16 on an older one, fp32 elsewhere."""
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return torch.float32
    if name == "fp16" and device.type == "cpu":
        raise LimnerError("precision 'fp16' does not run on a CPU", "use --precision fp32 or bf16")
    return DTYPES[name]


def check_quantised(name: str | None, device: torch.device) -> None:
    """Refuse a rounding that the device or this installation has no arithmetic for."""
    if name == "nf4" and device.type != "cuda":
        raise LimnerError(
            f"weights rounded to 'nf4' run on CUDA GPUs only, not on {device.type}",
            "use int8, or leave it out (--quantise none)",
        )
    module = {"nf4": "bitsandbytes", "int8": "torchao"}.get(name or "")
    if module and importlib.util.find_spec(module) is None:
        raise LimnerError(f"weights rounded to {name!r} need {module}, which is missing", f"pip install {module}")


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Turn running out of memory into one clear line."""
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
    """Number format of the forward pass in training, None for the weights' own.

    "auto" on a CPU is bf16 where the processor multiplies it, which halves the time of a step.
    """
    if device.type == "cpu":
        fast = name == "auto" and torch.cpu._is_avx512_bf16_supported()  # type: ignore[attr-defined]
        return torch.bfloat16 if fast or name == "bf16" else None
    dtype = pick_dtype(name, device)
    return None if dtype == torch.float32 else dtype
