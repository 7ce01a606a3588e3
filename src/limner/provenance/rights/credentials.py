"""C2PA content credentials of a picture: whether it may be trained on (CAWG training and data mining 1.1), by whom it
is, and whether a model painted it. Nothing is fetched.

A refusal is heeded whoever signed it, and though the file was changed since: nobody gains by forging one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal

from limner.core.datasets import Rights
from limner.provenance.rights.words import SOURCE_TYPES, told

_MINING = ("c2pa.training-mining", "cawg.training-mining")
_TRAINING = ("ai_training", "ai_generative_training", "data_mining")
"""The uses that training is one of; that a model looks at it, `ai_inference`, is none."""
_REFUSING = ("notAllowed", "constrained")
_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp", b"GIF8": "image/gif"}
_KINDS |= {b"II*\0": "image/tiff", b"MM\0*": "image/tiff"}
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif"}


def rights_in(data: bytes) -> tuple[Rights, str | None]:
    """What a file's credentials tell, and the digital source type of what a model painted, None for all else."""
    manifests, active = _manifests(data)
    if not manifests:
        broken = b"training-mining" in data and b"notAllowed" in data
        said = "C2PA: a refusal in credentials that are broken" if broken else None
        return Rights(training="refused" if broken else None, said=said), None
    training, said = _training(manifests.values())
    own = _mapping(manifests.get(active))
    rights = Rights(_author(own), source=_generator(own), training=training, said=said)
    return rights, _painted(own)


def _manifests(data: bytes) -> tuple[Mapping[str, Any], str]:
    """All manifests of a file, those of its ingredients too, and the name of its own; none where they are broken."""
    import c2pa

    kind = next((kind for head, kind in _KINDS.items() if data.startswith(head)), None)
    if kind is None and data[4:8] == b"ftyp":
        kind = _BRANDS.get(data[8:12], "image/heic")
    if kind is None:
        return {}, ""
    try:
        with c2pa.Reader(kind, BytesIO(data), context=_offline()) as reader:
            found = _mapping(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError, RecursionError):
        return {}, ""
    return _mapping(found.get("manifests")), str(found.get("active_manifest"))


@lru_cache(1)
def _offline() -> Any:
    """How c2pa shall read: fetching nothing, trusting nobody."""
    import c2pa

    verify = {"verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False}
    return c2pa.Context.from_dict({"verify": verify})


def _training(manifests: Any) -> tuple[Literal["allowed", "refused"] | None, str | None]:
    allowed = None
    for use, label, wish in _uses(manifests):
        said = f"C2PA {label}: {use} {wish}"
        if wish in _REFUSING:
            return "refused", said
        if wish == "allowed" and use != "data_mining":
            allowed = allowed or said
    return ("allowed" if allowed else None), allowed


def _uses(manifests: Any) -> Iterator[tuple[str, str, str]]:
    """Each use of which an assertion tells something: "ai_training", the assertion's label, "notAllowed"."""
    for manifest in manifests:
        for label, data in _assertions(_mapping(manifest)):
            if label.split("__")[0] not in _MINING:
                continue
            for name, entry in _mapping(data.get("entries")).items():
                use = str(name).rpartition(".")[2]
                wish = entry if isinstance(entry, str) else _mapping(entry).get("use")
                if use in _TRAINING and isinstance(wish, str):
                    yield use, label, wish


def _author(manifest: Mapping[str, Any]) -> str | None:
    """The author of schema.org's CreativeWork, or the creator of the metadata."""
    for label, data in _assertions(manifest):
        if "CreativeWork" in label:
            for author in data.get("author") or ():
                if (name := _mapping(author).get("name")) and isinstance(name, str):
                    return told(name)
        elif label.startswith(("cawg.metadata", "c2pa.metadata")):
            creators = data.get("dc:creator")
            names = creators if isinstance(creators, list) else [creators]
            if line := told("; ".join(name for name in names if isinstance(name, str))):
                return line
    return None


def _generator(manifest: Mapping[str, Any]) -> str | None:
    """What made the credentials, such as a camera or an editor."""
    infos = manifest.get("claim_generator_info")
    info = _mapping(infos[0]) if isinstance(infos, list) and infos else {}
    name = " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
    found = told(name or str(manifest.get("claim_generator") or ""))
    return f"C2PA credentials by {found}" if found else None


def _painted(manifest: Mapping[str, Any]) -> str | None:
    """The source type of any action, where a model had a part in it."""
    kinds = set[str]()
    for label, data in _assertions(manifest):
        if label.startswith("c2pa.actions"):
            for action in data.get("actions") or ():
                kinds.add(str(_mapping(action).get("digitalSourceType")).rsplit("/", 1)[-1])
    return next((known for known in SOURCE_TYPES if known in kinds), None)


def _assertions(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for assertion in manifest.get("assertions") or ():
        told = _mapping(assertion)
        yield str(told.get("label")), _mapping(told.get("data"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
