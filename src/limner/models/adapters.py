"""Adapter files: finding and checking them, and applying them to a pipeline."""

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
from limner.core.files import expand_home, reading_problem
from limner.core.protocols import Facts, WeightedFile
from limner.core.requests.parsing import join_weight
from limner.models.loading import PICKLES, Model, unload_all
from limner.models.tensor_files import open_tensors
from limner.plugins import registry
from limner.store.files import sha256_of


@dataclass(frozen=True)
class Adapter:
    """Adapter file on disk. method: that it was trained with. facts: Limner's entry in the header; empty in the files
    of other tools.
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
    """Return the file names of the training methods, in the order of the plugins."""
    return list(dict.fromkeys(method.file for method in registry.methods.all().values()))


def open_adapter(path: str) -> Adapter:
    """Find and check an adapter, a folder or a .safetensors file; pickles are refused."""
    file = _file_of(path)
    stat = file.stat()
    return _opened(file.resolve(), stat.st_mtime_ns, stat.st_size)


@lru_cache(64)
def _opened(file: Path, changed: int, size: int) -> Adapter:
    """Return an adapter. changed, size: of the file, so that it is read again after it was overwritten."""
    header, names, facts = _read(file)
    return Adapter(file, sha256_of(file), header, facts, str(facts.get("method") or _method_of(file, names)))


def facts_of(file: Path) -> Mapping[str, Any]:
    """Return Limner's facts in the file by which a training result is recognised: a safetensors header, or JSON."""
    if file.suffix == ".safetensors":
        return _read(file)[2]
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = reading_problem(error, "JSON")
        raise LimnerError(f"{str(file)!r} cannot be read: {reason}", "copy or train it again") from error
    return facts if isinstance(facts, dict) else {}


def _read(file: Path) -> tuple[Mapping[str, str], list[str], Mapping[str, Any]]:
    """Return a safetensors file's header, the names of its tensors, and Limner's facts in the header."""
    what, remedy = f"adapter {str(file)!r}", "copy or train it again"
    with open_tensors(file, what, remedy) as tensors:
        header, names = tensors.metadata() or {}, list(tensors.keys())
    try:
        facts = json.loads(header.get("limner", "{}"))
    except (ValueError, RecursionError) as error:
        raise LimnerError(f"{what} cannot be read: what Limner wrote into its header is damaged", remedy) from error
    return header, names, facts if isinstance(facts, dict) else {}


def _method_of(file: Path, names: Sequence[str]) -> str:
    """Return the training method of another tool's file, recognised by its tensor names."""
    method = next((name for name, method in registry.methods.all().items() if method.recognises(names)), None)
    if method is None:
        raise LimnerError(
            f"{str(file)!r} is not an adapter of a known method: its first tensor is {(names or ['nothing'])[0]!r}",
            "if it is a whole model, use it as --model",
        )
    return method


def _file_of(path: str) -> Path:
    """Return the adapter file of a path."""
    place = expand_home(path)
    if not place.exists():
        raise unknown("adapter", path, [join_weight(name, 1) for name in _adapters_in(place.parent)])
    file = _file_in(place, path) if place.is_dir() else place
    if file.suffix in PICKLES:
        raise LimnerError(
            f"adapter {str(file)!r} is a pickle file, which can run any code when it is opened",
            "use its safetensors version",
        )
    return file


def _adapters_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = _file_names()
    return [
        p.name
        for p in folder.iterdir()
        if p.suffix == ".safetensors" or any(os.path.exists(p / name) for name in names)
    ]


def _file_in(folder: Path, path: str) -> Path:
    """Return the adapter file in a folder; a pickle if there is nothing else. path: as the user wrote it."""
    if (folder / "model_index.json").exists():
        raise LimnerError(f"{path!r} is a whole model, not an adapter", f"use --model {path}")
    named = [folder / name for name in _file_names() if (folder / name).exists()]
    found = named[:1] or sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    if found:
        raise LimnerError(
            f"adapter {path!r} holds {len(found)} .safetensors files", f"name one, such as {str(found[0])!r}"
        )
    pickled = [p for p in folder.iterdir() if p.suffix in PICKLES]
    if pickled:
        return pickled[0]
    raise LimnerError(f"adapter {path!r} holds no .safetensors file", "use the folder that `limner train --out` wrote")


def check_family(adapter: Adapter, model: Model) -> None:
    """Refuse an adapter for a base model of another family, as far as its header names a known model."""
    base = adapter.facts.get("base")
    if not isinstance(base, dict) or not isinstance(reference := base.get("reference"), str):
        return
    known = registry.aliases().get(reference)
    if known is not None and known[0] != model.family_name:
        raise _other_base(adapter, model, reference, base.get("architecture") or known[0])


def _other_base(adapter: Adapter, model: Model, reference: Any, architecture: str) -> LimnerError:
    return LimnerError(
        f"adapter {adapter.name!r} was made for {reference!r} ({architecture}), not for {model.reference!r}",
        f"use --model {reference}",
    )


def check_base(adapter: Adapter, model: Model, architecture: str, emit: Emit) -> None:
    """Refuse an adapter for another architecture or for earlier weights of the same packaged model; emit a warning if
    it was trained on other weights.
    """
    base = adapter.facts.get("base")
    if not isinstance(base, dict):
        return
    trained_on = base.get("reference")
    made_for = base.get("architecture")
    if made_for and made_for != architecture:
        raise _other_base(adapter, model, trained_on, made_for)
    if base.get("fingerprint") not in (None, *model.fingerprints()):
        if model.alias is not None and model.alias.packaged and trained_on == model.reference:
            raise LimnerError(
                f"adapter {adapter.name!r} was trained on an earlier version of {trained_on!r}, whose weights differ",
                "train it again from the same images with `limner train`",
            )
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
    """Open a context in which adapters of any method are applied to a pipeline; restore the original bits afterwards.

    facts: of the pipeline's family.
    """
    uses: dict[str, list[WeightedFile]] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        uses.setdefault(adapter.method, []).append(WeightedFile(adapter.file, weight))
    with ExitStack() as stack:
        try:
            for method, files in uses.items():
                stack.enter_context(registry.methods.get(method).applied(pipeline, facts, files))
        except BaseException:
            unload_all()  # a file that fits in part may have changed what cannot be restored
            raise
        yield
