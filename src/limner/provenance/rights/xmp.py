"""XMP (ISO 16684-1): whose a picture is, what may be done with it, and whether a model painted it.

A packet may be hostile XML: a document type, without which there are no entities, ends the reading. Names are taken
without their prefixes, which writers choose as they like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from xml.parsers import expat

from limner.core.datasets import Rights
from limner.provenance.rights.words import SOURCE_TYPES, marked_in, mining, told

CAP = 2**20
"""The most of a packet that is read, in bytes."""
_TEXTS = 1000
_SPOKEN = ("subject", "Keywords", "Instructions", "UsageTerms", "rights", "OtherConstraints", "description")
_WANTED = frozenset(
    ("creator", "author", "WebStatement", "license", "Credit", "Source", "source", "DataMining", "DigitalSourceType")
    + _SPOKEN
)
_OTHERS = frozenset(("Pantry", "Ingredients", "DerivedFrom", "History"))
"""What tells of other pictures than this one."""

# In a packet that is broken a mark still stands.
_TERM = re.compile(r"DMI-[A-Z-]{3,60}", re.IGNORECASE)
_SOURCE = re.compile(r"digitalsourcetype/(\w{1,60})", re.IGNORECASE)


@dataclass
class Packet:
    """Name of a property -> the texts that it has, in their order. whole: whether all of it could be read."""

    texts: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    whole: bool = True

    def add(self, name: str, value: str) -> None:
        known = self.texts.setdefault(name, {})
        if (value := value.strip()) and len(known) < _TEXTS:
            known[value] = None

    def first(self, *names: str) -> str | None:
        """The texts of the first of some properties that has any, joined."""
        return next((line for name in names if (line := told("; ".join(self.texts.get(name, {}))))), None)


def rights_in(data: bytes) -> tuple[Rights, str | None]:
    """What a packet tells, and the digital source type of what a model painted, None for all else."""
    text = _decoded(data[:CAP])
    packet = read(text)
    training, said = _training(packet, text)
    statement, licence = packet.first("WebStatement"), packet.first("license", "UsageTerms", "rights")
    rights = Rights(
        author=packet.first("creator", "author"),
        licence=licence or statement,
        source=packet.first("source", "Source", "Credit") or (statement if licence else None),
        training=training,
        said=said,
    )
    return rights, _painted(packet, text)


def read(text: str) -> Packet:
    """The properties that are asked for, as elements, attributes and resources, up to where the XML breaks."""
    packet, gathered = Packet(), list[str]()
    inside: list[tuple[str | None, bool]] = [(None, False)]  # for each open element: which property, and whose
    parser = expat.ParserCreate(encoding="utf-8")

    def begin(name: str, attributes: dict[str, str]) -> None:
        gathered.clear()
        bare, (around, others) = _bare(name), inside[-1]
        here, others = bare if bare in _WANTED else around, others or bare in _OTHERS
        inside.append((here, others))
        for attribute, value in attributes.items():
            named = here if (bare := _bare(attribute)) == "resource" else bare
            if named in _WANTED and not others:
                packet.add(named, value)

    def end(_: str) -> None:
        here, others = inside.pop()
        if here is not None and not others:
            packet.add(here, "".join(gathered))
        gathered.clear()

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = gathered.append
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError):
        packet.whole = False
    return packet


def _training(packet: Packet, text: str) -> tuple[Literal["allowed", "refused"] | None, str | None]:
    """What the marks say, and which; one that refuses has the word."""
    terms = list(packet.texts.get("DataMining", ()))
    if not packet.whole:
        terms += [found[0] for found in _TERM.finditer(text)]
    meant = dict(map(mining, terms))
    if "refused" in meant:
        return "refused", f"PLUS data mining: {meant['refused']}"
    mark = marked_in(*(each for name in _SPOKEN for each in packet.texts.get(name, ())))
    if mark is None and not packet.whole:
        mark = marked_in(text)
    if mark is not None:
        return "refused", f"{mark!r} in XMP"
    return ("allowed", f"PLUS data mining: {meant['allowed']}") if "allowed" in meant else (None, None)


def _painted(packet: Packet, text: str) -> str | None:
    """The source type, where a model had a part in it."""
    told = [value.rstrip("/").rsplit("/", 1)[-1] for value in packet.texts.get("DigitalSourceType", ())]
    if not packet.whole:
        told += [found[1] for found in _SOURCE.finditer(text)]
    return next((known for known in SOURCE_TYPES if known in told), None)


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def _decoded(data: bytes) -> str:
    """A packet's text: UTF-8, or UTF-16 as its mark or its first letter tells."""
    encoding = "utf-8"
    if data.startswith((b"\xfe\xff", b"\0<")):
        encoding = "utf-16-be"
    elif data.startswith((b"\xff\xfe", b"<\0")):
        encoding = "utf-16-le"
    return data.decode(encoding, "replace").strip("\ufeff\0 \r\n\t")
