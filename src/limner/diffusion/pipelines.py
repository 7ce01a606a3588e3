"""Stock pipelines from disk or hub, in the files that suit the wanted number format."""

from __future__ import annotations

from typing import Any

import torch

_NO_SUCH_FILES = ("no such modeling files are available", "Error no file named")
"""What diffusers and transformers say where a model has no files of a variant."""


def load_pipeline(kind: Any, location: str, dtype: torch.dtype, **options: Any) -> Any:
    """`kind.from_pretrained`, from safetensors only; for half precision from the fp16 files, where there are such.

    Those are half the download, and all that many repositories of large models were checked with.
    """
    options |= {"dtype": dtype, "use_safetensors": True}
    if dtype in (torch.float16, torch.bfloat16):
        try:
            return kind.from_pretrained(location, variant="fp16", **options)
        except (OSError, ValueError) as error:
            if not any(text in str(error) for text in _NO_SUCH_FILES):
                raise
    return kind.from_pretrained(location, **options)


def settle(parts: dict[str, Any], device: torch.device) -> None:
    """Freeze the networks among a pipeline's parts and move them to the device."""
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval().to(device)
