"""Rights in an image file: its author, whether it may be trained on, whether a model generated it, and its location."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from limner.core.datasets import Rights
from limner.imaging.formats import media_type
from limner.provenance.credentials.manifests import generator_of, offline_context, read_manifest_store
from limner.provenance.metadata_blocks import MetadataBlocks, read_blocks
from limner.provenance.rights import exif_iptc
from limner.provenance.rights.opt_out import Training, find_opt_out, first_of, one_line, parse_mining_term
from limner.provenance.xmp import GENERATED, SPOKEN, XmpPacket, parse_packet

_PNG_AUTHOR, _PNG_LICENCE = ("author", "artist", "creator"), ("copyright", "license", "licence")
_TERM = re.compile(r"DMI-[A-Z-]{3,60}", re.IGNORECASE)

_MINING = ("c2pa.training-mining", "cawg.training-mining")
_TRAINING = ("ai_training", "ai_generative_training", "data_mining")
"""Uses that include training; `ai_inference`, looking at an image with a model, does not."""
_REFUSING = ("notAllowed", "constrained")


@dataclass(frozen=True, slots=True)
class ImageRights:
    """What an image file says of itself.

    generated: the IPTC digital source type if a model generated it, wholly or in part; None otherwise. has_location:
    whether it says where it was taken.
    """

    rights: Rights
    generated: str | None = None
    has_location: bool = False


def read_image_rights(data: bytes) -> ImageRights:
    """The rights in the bytes of an image of any format; broken metadata is ignored.

    If several blocks have the same fact, the order is XMP, IPTC, EXIF, PNG texts, content credentials. A refusal of
    training counts wherever it is.
    """
    blocks = read_blocks(data)
    found = list(_from_blocks(blocks, data))
    rights = reduce(Rights.over, (each for each, _ in found), Rights())
    generated = next((kind for _, kind in found if kind), None)
    return ImageRights(rights, generated, any(map(exif_iptc.has_location, blocks.exif)))


def _from_blocks(blocks: MetadataBlocks, data: bytes) -> Iterator[tuple[Rights, str | None]]:
    yield from map(_xmp_rights, blocks.xmp)
    for iim in (exif_iptc.iptc_resource(blocks.resources), blocks.iptc):
        if iim:
            yield exif_iptc.iptc_rights(iim), None
    for block in blocks.exif:
        yield exif_iptc.exif_rights(block), None
    if blocks.texts:
        yield _png_rights({name.lower(): text for name, text in blocks.texts.items()}), None
    if blocks.credentials:
        yield _credential_rights(data)


def _xmp_rights(data: bytes) -> tuple[Rights, str | None]:
    """The rights in an XMP packet, and the source type if a model generated the image."""
    packet = parse_packet(data)

    def first(*names: str) -> str | None:
        return next((line for name in names if (line := one_line("; ".join(packet.texts(name))))), None)

    training, said = _xmp_training(packet)
    statement, licence = first("WebStatement"), first("license", "UsageTerms", "rights")
    rights = Rights(
        author=first("creator", "author"),
        licence=licence or statement,
        source=first("source", "Source", "Credit") or (statement if licence else None),
        training=training,
        statement=said,
    )
    return rights, _generated(packet.source_types())


def _xmp_training(packet: XmpPacket) -> tuple[Training, str | None]:
    """Whether training is allowed, and which term says so; a refusal wins. A broken packet may still refuse."""
    terms = packet.texts("DataMining")
    if not packet.complete:
        terms += [found[0] for found in _TERM.finditer(packet.text)]
    meant = dict(map(parse_mining_term, terms))
    if "refused" in meant:
        return "refused", f"PLUS data mining: {meant['refused']}"
    opt_out = find_opt_out(*packet.texts(*SPOKEN))
    if opt_out is None and not packet.complete:
        opt_out = find_opt_out(packet.text)
    if opt_out is not None:
        return "refused", f"{opt_out!r} in XMP"
    return ("allowed", f"PLUS data mining: {meant['allowed']}") if "allowed" in meant else (None, None)


def _png_rights(texts: dict[str, str]) -> Rights:
    """The rights in the texts of a PNG, by the keywords of its standard."""
    opt_out = find_opt_out(*texts, *texts.values())
    terms = dict(parse_mining_term(texts[name]) for name in ("datamining", "plus:datamining") if name in texts)
    said = f"PLUS data mining: {terms['refused']}" if "refused" in terms else None
    said = f"{opt_out!r} in the PNG's text" if opt_out else said
    return Rights(
        first_of(texts, _PNG_AUTHOR),
        first_of(texts, _PNG_LICENCE),
        first_of(texts, ("source",)),
        training="refused" if said else None,
        statement=said,
    )


def _credential_rights(data: bytes) -> tuple[Rights, str | None]:
    """The rights in C2PA content credentials (CAWG training and data mining 1.1), and the source type if generated.

    A refusal counts whoever signed it and even if the file was changed: nobody gains from forging one.
    """
    kind = media_type(data)
    store = read_manifest_store(data, kind, offline_context())[0] if kind else {}
    manifests = _mapping(store.get("manifests"))
    if not manifests:
        broken = b"training-mining" in data and b"notAllowed" in data
        said = "C2PA: a refusal in credentials that are broken" if broken else None
        return Rights(training="refused" if broken else None, statement=said), None
    training, said = _credential_training(manifests.values())
    own = _mapping(manifests.get(str(store.get("active_manifest"))))
    generator = one_line(generator_of(own) or str(own.get("claim_generator") or ""))
    source = f"C2PA credentials by {generator}" if generator else None
    rights = Rights(_credential_author(own), source=source, training=training, statement=said)
    return rights, _generated(_action_source_types(own))


def _credential_training(manifests: Any) -> tuple[Training, str | None]:
    allowed = None
    for use, label, permission in _permissions(manifests):
        said = f"C2PA {label}: {use} {permission}"
        if permission in _REFUSING:
            return "refused", said
        if permission == "allowed" and use != "data_mining":
            allowed = allowed or said
    return ("allowed" if allowed else None), allowed


def _permissions(manifests: Any) -> Iterator[tuple[str, str, str]]:
    """Use, label of the assertion and permission: "ai_training", "c2pa.training-mining", "notAllowed"."""
    for manifest in manifests:
        for label, data in _assertions(_mapping(manifest)):
            if label.split("__")[0] not in _MINING:
                continue
            for name, entry in _mapping(data.get("entries")).items():
                use = str(name).rpartition(".")[2]
                permission = entry if isinstance(entry, str) else _mapping(entry).get("use")
                if use in _TRAINING and isinstance(permission, str):
                    yield use, label, permission


def _credential_author(manifest: Mapping[str, Any]) -> str | None:
    """The author of schema.org's CreativeWork, or the creator in the metadata."""
    for label, data in _assertions(manifest):
        if "CreativeWork" in label:
            for author in data.get("author") or ():
                if (name := _mapping(author).get("name")) and isinstance(name, str):
                    return one_line(name)
        elif label.startswith(("cawg.metadata", "c2pa.metadata")):
            creators = data.get("dc:creator")
            names = creators if isinstance(creators, list) else [creators]
            if line := one_line("; ".join(name for name in names if isinstance(name, str))):
                return line
    return None


def _action_source_types(manifest: Mapping[str, Any]) -> set[str]:
    """The digital source types of all actions."""
    actions = (
        _mapping(action)
        for label, data in _assertions(manifest)
        if label.startswith("c2pa.actions")
        for action in data.get("actions") or ()
    )
    return {str(action.get("digitalSourceType")).rsplit("/", 1)[-1] for action in actions}


def _generated(source_types: list[str] | set[str]) -> str | None:
    return next((known for known in GENERATED if known in source_types), None)


def _assertions(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for assertion in manifest.get("assertions") or ():
        found = _mapping(assertion)
        yield str(found.get("label")), _mapping(found.get("data"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
