"""What the header of a stored adapter file says of it, without loading the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from limner.core.errors import LimnerError, Unavailable
from limner.core.execution import parse_body
from limner.core.requests import TrainRequest
from limner.plugins import registry
from limner.studio.files import StudioFiles

LONGEST_HEADER = 4 * 2**20
"""Headers that are longer are not read."""
LONGEST = 200
"""Characters of a name or a trigger word that are kept."""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """An adapter in a .safetensors file. base: the model that it was trained on, where its header names one."""

    name: str
    trigger_words: tuple[str, ...]
    base: str | None


def describe_adapter(files: StudioFiles, sha256: str) -> AdapterFile | None:
    """What a stored file says of itself; None if it is no adapter in the safetensors format."""
    found = _header_of(files, sha256)
    if not found:
        return None
    header = found.pop("__metadata__", {})
    header = header if isinstance(header, dict) else {}
    recognised = any(method.recognises(found.keys()) for method in registry.methods.all().values())
    return _of_header(header) if recognised or "limner" in header else None


def training_of(files: StudioFiles, reference: str) -> TrainRequest | None:
    """The request that a stored adapter was trained by, a file or a folder; None where its header has none."""
    try:
        header = _training_header(files, reference)
        if "limner" not in header:
            return None
        request, _ = parse_body(json.loads(header["limner"])["request"])
        return request if isinstance(request, TrainRequest) else None
    except Unavailable:
        raise
    except (LimnerError, ValueError, TypeError, LookupError, RecursionError):
        return None


def step_of(files: StudioFiles, reference: str) -> int | None:
    """After how many steps of its training a stored adapter was saved; None where its header does not say."""
    try:
        text = str(_training_header(files, reference).get("ss_steps", ""))
    except Unavailable:
        raise
    except (LimnerError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _training_header(files: StudioFiles, reference: str) -> dict[str, Any]:
    """The metadata of the first file of an adapter that Limner wrote; {} without any."""
    kind, _, sha256 = reference.partition(":")
    names = {"": sha256} if kind == "sha256" else files.manifest(sha256)
    names = {name: value for name, value in names.items() if "/" not in name}
    if kind == "folder":
        names = {name: value for name, value in names.items() if name.endswith(".safetensors")}
    for value in sorted(names.values()):
        header = _header_of(files, value).get("__metadata__", {})
        if "limner" in header:
            return header
    return {}


def tensor_header(read: Callable[[int, int], bytes]) -> dict[str, Any]:
    """The header of a .safetensors file; {} if it has none that can be read. read: bytes from one place to another."""
    try:
        head = read(0, 9)
        length = int.from_bytes(head[:8], "little")
        if head[8:] != b"{" or not 2 <= length <= LONGEST_HEADER:
            return {}
        found = json.loads(read(8, 8 + length))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _header_of(files: StudioFiles, sha256: str) -> dict[str, Any]:
    try:
        return tensor_header(partial(files.read, sha256))
    except LimnerError:
        return {}


def _of_header(header: dict[str, Any]) -> AdapterFile:
    try:
        ours = json.loads(str(header.get("limner", "{}")))
    except (ValueError, RecursionError):
        ours = {}
    ours = ours if isinstance(ours, dict) else {}
    words = ours.get("trigger_words")
    phrase = header.get("modelspec.trigger_phrase") or header.get("ss_trigger_words") or ""
    listed = words if isinstance(words, list) and words else str(phrase).split(",")
    base = ours.get("base")
    reference = base.get("reference") if isinstance(base, dict) else None
    return AdapterFile(
        name=str(header.get("modelspec.title") or header.get("ss_output_name") or "")[:LONGEST],
        trigger_words=tuple(text for word in listed[:8] if (text := str(word).strip()[:LONGEST])),
        base=reference if isinstance(reference, str) else None,
    )
