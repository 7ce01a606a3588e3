"""Adapter files: opening them safely, and putting them on a pipeline for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import registry
from ..core.errors import LimnerError, unknown
from ..core.events import Emit, Notice
from ..store.files import sha256_of
from .models import Model

WEIGHTS = "pytorch_lora_weights.safetensors"
PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


@dataclass(frozen=True)
class Adapter:
    """An adapter file on disk. facts: what Limner wrote into its header, empty for other tools' files."""

    file: Path
    sha256: str
    header: Mapping[str, str]
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.file.parent.name if self.file.name == WEIGHTS else self.file.stem

    @property
    def method(self) -> str:
        return str(self.facts.get("method", "lora"))


def open_adapter(path: str) -> Adapter:
    """Find and check an adapter given as a folder or a .safetensors file; pickles are refused."""
    from safetensors import SafetensorError, safe_open

    place = Path(path).expanduser()
    if not place.exists():
        siblings = (
            [p.name for p in place.parent.iterdir() if p.is_dir() or p.suffix == ".safetensors"]
            if place.parent.is_dir()
            else []
        )
        raise unknown("adapter", path, siblings)
    file = place
    if place.is_dir():
        found = [place / WEIGHTS] if (place / WEIGHTS).exists() else sorted(place.glob("*.safetensors"))
        if not found:
            pickled = [p.name for p in place.iterdir() if p.suffix in PICKLES]
            if pickled:
                file = place / pickled[0]
            else:
                raise LimnerError(
                    f"adapter {path!r} holds no .safetensors file", "give the folder that `limner train --out` made"
                )
        elif len(found) > 1:
            raise LimnerError(
                f"adapter {path!r} holds {len(found)} .safetensors files", f"name one, such as {str(found[0])!r}"
            )
        else:
            file = found[0]
    if file.suffix in PICKLES:
        raise LimnerError(
            f"adapter {str(file)!r} is a pickle file, which can run any code when it is opened",
            "use its safetensors version",
        )
    try:
        with safe_open(file, framework="pt") as tensors:
            header = tensors.metadata() or {}
        facts = json.loads(header.get("limner", "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise LimnerError(f"adapter {str(file)!r} cannot be read: {error}", "copy or train it again") from error
    return Adapter(file.resolve(), sha256_of(file), header, facts if isinstance(facts, dict) else {})


def check_base(adapter: Adapter, model: Model, architecture: str, emit: Emit) -> None:
    """Refuse an adapter made for another architecture; tell when it was made on other weights."""
    base = adapter.facts.get("base")
    if not isinstance(base, dict):
        return
    trained_on = base.get("reference")
    made_for = base.get("architecture")
    if made_for and made_for != architecture:
        raise LimnerError(
            f"adapter {adapter.name!r} was made for {trained_on!r} ({made_for}), not for {model.reference!r}",
            f"use --model {trained_on}",
        )
    if base.get("fingerprint") not in (None, *model.fingerprints()):
        emit(
            Notice(
                text=f"adapter {adapter.name!r} was trained on {trained_on!r} and may not suit {model.reference!r}",
                level="warning",
            )
        )


@contextmanager
def adapters_on(pipeline: Any, adapters: Sequence[Adapter], weights: Sequence[float]) -> Iterator[None]:
    """Merge adapters into a pipeline's weights, so that painting costs nothing extra; afterwards put back the bits."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not adapters:
        yield
        return
    kept: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
    names = [f"adapter_{i}" for i in range(len(adapters))]
    try:
        for adapter, name in zip(adapters, names, strict=True):
            registry.methods.get(adapter.method).load(pipeline, adapter.file, name)
        pipeline.set_adapters(names, list(weights))
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                for module in part.modules():
                    if isinstance(module, BaseTunerLayer):
                        kept += [(p, p.detach().cpu().clone()) for p in module.get_base_layer().parameters()]
        pipeline.fuse_lora(adapter_names=names)
        pipeline.unload_lora_weights()
        yield
    finally:
        pipeline.unload_lora_weights()
        with torch.no_grad():
            for parameter, original in kept:
                parameter.copy_(original)
