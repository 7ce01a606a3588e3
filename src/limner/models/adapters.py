"""Adapter files: opening them safely, and putting them on a pipeline for a while."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError, unknown
from limner.core.events import Emit, Notice
from limner.core.protocols import Facts, WeightedFile
from limner.models.loading import PICKLES, Model, unload_all
from limner.plugins import registry
from limner.store.files import sha256_of


@dataclass(frozen=True)
class Adapter:
    """An adapter file on disk. method: what it was learnt by. facts: what Limner wrote into its header, empty for other
    tools' files.
    """

    file: Path
    sha256: str
    header: Mapping[str, str]
    facts: Mapping[str, Any]
    method: str

    @property
    def name(self) -> str:
        return self.file.parent.name if self.file.name in _file_names() else self.file.stem


def _file_names() -> list[str]:
    """The names that the ways to learn give to their files, those of the first plugins first."""
    return list(dict.fromkeys(method.file for method in registry.methods.all().values()))


def open_adapter(path: str) -> Adapter:
    """Find and check an adapter given as a folder or a .safetensors file; pickles are refused."""
    file = _file_of(path)
    told = file.stat()
    return _opened(file.resolve(), told.st_mtime_ns, told.st_size)


@lru_cache(64)
def _opened(file: Path, changed: int, size: int) -> Adapter:
    """An adapter as its file was at the time `changed`."""
    header, names, facts = _read(file)
    return Adapter(file, sha256_of(file), header, facts, str(facts.get("method") or _method_of(file, names)))


def facts_of(file: Path) -> Mapping[str, Any]:
    """What Limner wrote of a result into the file by which it is known: safetensors' header, or JSON."""
    if file.suffix == ".safetensors":
        return _read(file)[2]
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LimnerError(f"{str(file)!r} cannot be read: {error}", "copy or train it again") from error
    return told if isinstance(told, dict) else {}


def _read(file: Path) -> tuple[Mapping[str, str], list[str], Mapping[str, Any]]:
    """A safetensors file's header, the names of its tensors, and what Limner wrote into the header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            header, names = tensors.metadata() or {}, list(tensors.keys())
        facts = json.loads(header.get("limner", "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise LimnerError(f"adapter {str(file)!r} cannot be read: {error}", "copy or train it again") from error
    return header, names, facts if isinstance(facts, dict) else {}


def _method_of(file: Path, names: Sequence[str]) -> str:
    """The way to learn that a file of another tool comes from, by the names of its tensors."""
    method = next((name for name, method in registry.methods.all().items() if method.recognises(names)), None)
    if method is None:
        raise LimnerError(
            f"{str(file)!r} is no adapter of a known kind: its first tensor is called {(names or ['nothing'])[0]!r}",
            "if it is a whole model, give it to --model",
        )
    return method


def _file_of(path: str) -> Path:
    """The one safetensors file that a path means."""
    place = Path(path).expanduser()
    if not place.exists():
        siblings = (
            [
                p.name
                for p in place.parent.iterdir()
                if p.suffix == ".safetensors" or any(os.path.exists(p / name) for name in _file_names())
            ]
            if place.parent.is_dir()
            else []
        )
        raise unknown("adapter", path, siblings)
    file = place
    if place.is_dir():
        if (place / "model_index.json").exists():
            raise LimnerError(f"{path!r} is a whole model, not an adapter", f"use --model {path}")
        named = [place / name for name in _file_names() if (place / name).exists()]
        found = named[:1] or sorted(place.glob("*.safetensors"))
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
    return file


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
def adapters_applied(
    pipeline: Any, facts: Facts, adapters: Sequence[Adapter], weights: Sequence[float]
) -> Iterator[None]:
    """Let adapters act on a pipeline while it is open, whatever method taught each; afterwards put back the bits.

    facts: those of the pipeline's family.
    """
    uses: dict[str, list[WeightedFile]] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        uses.setdefault(adapter.method, []).append(WeightedFile(adapter.file, weight))
    with ExitStack() as stack:
        try:
            for method, theirs in uses.items():
                stack.enter_context(registry.methods.get(method).applied(pipeline, facts, theirs))
        except BaseException:
            unload_all()  # a file that fits half-way may have changed what cannot be put back
            raise
        yield
