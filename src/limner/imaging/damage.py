"""Whether a JPEG is whole. libjpeg decodes a damaged one all the same, and Pillow passes its warnings over."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limner.core.errors import LimnerError

FEW = 64
"""So many bytes too many may be what a camera or a program left there."""
_WARNING = re.compile(r"Corrupt JPEG data: (?P<what>.*)|Premature end of JPEG file")
_SPARE = re.compile(r"(\d+) extraneous bytes before marker 0x(d[0-7])?")
_HARMLESS = "bad ICC marker"


@dataclass(frozen=True, slots=True)
class Harm:
    """What is wrong with a JPEG's data. certain: whether a part of the picture is lost; bytes that are merely too many
    are padding, or damage that the decoder found its way out of.
    """

    told: str
    certain: bool


def jpeg_damage(data: bytes) -> Harm | None:
    """What libjpeg warns of in a JPEG that Pillow has decoded; None where that is nothing.

    It is decoded once more, in grey at an eighth of its size, which reads all of the data and takes little else. A
    change within the data that is valid as such shows in no decoder.
    """
    try:
        import simplejpeg
    except ImportError as error:
        raise LimnerError(
            "JPEGs are checked by simplejpeg, which is missing", "pip install 'limner[prepare]'"
        ) from error
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, min_factor=1, strict=True)
    except ValueError as error:
        return _harm(str(error), data)
    return None


def _harm(warning: str, data: bytes) -> Harm | None:
    """None for a warning that is not of the picture's data, and for what only this decoder cannot do."""
    found = _WARNING.search(warning)
    what = found and (found["what"] or "premature end")
    if not what or what == _HARMLESS:
        return None
    spare = _SPARE.match(what)
    if spare and not spare[2]:
        count, end = int(spare[1]), data.rfind(b"\xff\xd9")
        padding = len(set(data[max(0, end - count) : end])) <= 1
        return Harm(f"{count:,} bytes too many in its data", count > FEW and not padding)
    return Harm("a part of its data is missing or wrong", True)
