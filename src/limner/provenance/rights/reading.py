"""What a picture's file says of whose it is, of whether it may be learnt from, and of how it came to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from limner.core.datasets import Rights
from limner.provenance.rights import credentials, exif, iptc, xmp
from limner.provenance.rights.blocks import Blocks, blocks_of
from limner.provenance.rights.words import marked_in, mining, told

_AUTHOR, _LICENCE = ("author", "artist", "creator"), ("copyright", "license", "licence")


@dataclass(frozen=True, slots=True)
class ImageRights:
    """rights: whose it is. painted: the IPTC digital source type of what a model painted, all of it or a part, None for
    all else. located: whether it tells where it was taken.
    """

    rights: Rights
    painted: str | None = None
    located: bool = False


def read_image_rights(data: bytes) -> ImageRights:
    """All that is read of a picture's bytes, whatever the format; what is broken says nothing.

    Where several tell the same, XMP has the word, then IPTC, EXIF, PNG's texts and the content credentials; a refusal
    of any stands.
    """
    blocks = blocks_of(data)
    found = list(_told(blocks, data))
    rights = reduce(Rights.over, (each for each, _ in found), Rights())
    painted = next((kind for _, kind in found if kind), None)
    return ImageRights(rights, painted, any(map(exif.located, blocks.exif)))


def _told(blocks: Blocks, data: bytes) -> Iterator[tuple[Rights, str | None]]:
    yield from map(xmp.rights_in, blocks.xmp)
    for iim in (iptc.resource_in(blocks.resources), blocks.iptc):
        if iim:
            yield iptc.rights_in(iim), None
    for block in blocks.exif:
        yield exif.rights_in(block), None
    if blocks.texts:
        yield _in_texts({name.lower(): text for name, text in blocks.texts.items()}), None
    if blocks.credentials:
        yield credentials.rights_in(data)


def _in_texts(texts: dict[str, str]) -> Rights:
    """What a PNG's own texts tell by the names that its standard gives them."""

    def first(names: tuple[str, ...]) -> str | None:
        return next((line for name in names if (line := told(texts.get(name)))), None)

    mark = marked_in(*texts, *texts.values())
    terms = dict(mining(texts[name]) for name in ("datamining", "plus:datamining") if name in texts)
    said = f"PLUS data mining: {terms['refused']}" if "refused" in terms else None
    said = f"{mark!r} in the PNG's text" if mark else said
    return Rights(first(_AUTHOR), first(_LICENCE), first(("source",)), training="refused" if said else None, said=said)
