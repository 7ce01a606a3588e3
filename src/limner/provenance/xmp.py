"""The IPTC digital source type in a picture's XMP (http://cv.iptc.org/newscodes/digitalsourcetype/)."""

from __future__ import annotations

import re
from typing import Literal

SourceType = Literal[
    "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "algorithmicMedia"
]
"""Painted by a model, painted over another picture, put together from painted pictures, drawn by a program."""

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/{source}</Iptc4xmpExt:DigitalSourceType>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

# Many write it, as an element or as an attribute, under any prefix; only the name and the value are the same. Found in
# the bytes and not parsed, for a packet may be hostile XML.
_SOURCE = re.compile(
    rb"""DigitalSourceType\s*(?:>|=\s*["'])\s*https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w{1,60})"""
)
_BEGIN = b"<x:xmpmeta"


def packet(source: SourceType) -> str:
    """An XMP packet that tells a source type."""
    return _PACKET.format(source=source)


def source_type(data: bytes) -> str | None:
    """The source type that a file's XMP tells, None where it tells none or is compressed."""
    begin = data.find(_BEGIN)
    found = _SOURCE.search(data, begin, begin + 2**20) if begin >= 0 else None
    return found[1].decode() if found else None


def is_fully_generated(data: bytes) -> bool:
    """Whether a picture says of itself that a model painted all of it."""
    return source_type(data) == "trainedAlgorithmicMedia"
