"""Whether a picture is ours, and whether it was changed: all that its labels tell, together."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.core.requests import Frozen
from limner.imaging.decode import decode
from limner.imaging.decoding_cost import check_bytes
from limner.provenance import watermark
from limner.provenance.credentials import Finding, inspect
from limner.provenance.labels import Label, label_in
from limner.provenance.xmp import source_of

KINDS = {"image/png": rb"\x89PNG\r\n\x1a\n", "image/jpeg": rb"\xff\xd8\xff", "image/webp": rb"RIFF.{4}WEBP"}
PIXEL_CAP = 64_000_000
"""The largest picture that is looked at, in pixels."""
SIDE = 1024
"""The shorter side that a larger picture is reduced to, in pixels, before the mark is looked for."""


class State(StrEnum):
    """What is known of a picture."""

    OURS = "ours"
    TRUSTED = "trusted"
    FOREIGN = "foreign"
    CHANGED = "changed"
    STRIPPED = "stripped"
    UNKNOWN = "unknown"


STATES = {
    State.OURS: "made here, and not changed since",
    State.TRUSTED: "signed by somebody whose root certificate is trusted here, and not changed since",
    State.FOREIGN: "not changed since it was signed, but nobody known here vouches for who signed it",
    State.CHANGED: "changed since it was signed",
    State.STRIPPED: "painted by Limner, but its credentials are gone: it was saved anew, and may have been changed",
    State.UNKNOWN: "nothing in it says that Limner made it",
}
PROBLEMS = {
    "assertion.dataHash.mismatch": "the file's bytes are not those that were signed",
    "assertion.hashedURI.mismatch": "what the credentials say is not what was signed",
    "claimSignature.mismatch": "the signature does not fit what it signs",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid",
    "signingCredential.invalid": "the certificate is not one for signing",
    "signingCredential.expired": "the certificate has expired",
    "claimSignature.missing": "the signature is gone",
}


class Told(Frozen):
    """What a picture's label says, which is worth no more than the credentials around it."""

    version: str
    model: str
    adapters: tuple[str, ...]
    seed: int


class Marked(Frozen):
    """The invisible mark. name: what it says, eight hexadecimal digits; None where that is lost.

    chance: at most how probable it is to find one as good in a picture without. run: the run here that made a picture
    of that name.
    """

    name: str | None
    chance: float
    mirrored: bool
    run: str | None = None


class Verification(Frozen):
    """What is known of a picture. state: all in one word, `told` in a sentence.

    unchanged: None where there are no credentials to tell. problems: why credentials do not hold. signer, software and
    signed: as the credentials say. source: the IPTC digital source type of its XMP. run: the run here that made exactly
    this file.
    """

    state: State
    told: str
    unchanged: bool | None
    problems: tuple[str, ...] = ()
    signer: str | None = None
    software: str | None = None
    signed: datetime | None = None
    source: str | None = None
    label: Told | None = None
    watermark: Marked | None = None
    run: str | None = None

    @property
    def good(self) -> bool:
        """Whether it is as somebody trusted here made it."""
        return self.state in (State.OURS, State.TRUSTED)


def verify(path: str | Path, home: Path | None = None) -> Verification:
    """What is known of a PNG, JPEG or WebP; raises LimnerError for a file that is none, or cannot be read."""
    return examined(read_file(path), path, home)


def examined(data: bytes, path: str | Path, home: Path | None = None) -> Verification:
    """The same of a file's bytes; path: only names it in errors."""
    kind = kind_of(data, path)
    check_bytes(data, path)
    finding = inspect(data, kind, home)
    found, damage = None, damaged(data)
    try:
        found = watermark.read(seen(data, path))
    except LimnerError as error:
        if finding is None or finding.signer is None:
            raise
        damage = (error.problem,)
    if finding is not None and damage:
        finding = replace(finding, problems=(*finding.problems, *damage))
    label = label_or_none(data)
    state = state_of(finding, label is not None or found is not None)
    return Verification(
        state=state,
        told=STATES[state],
        unchanged=None if finding is None else not finding.problems,
        problems=tuple(map(in_words, finding.problems)) if finding else (),
        signer=finding.signer if finding else None,
        software=finding.software if finding else None,
        signed=finding.when if finding else None,
        source=source_of(data),
        label=label
        and Told(
            version=label.version,
            model=label.model["reference"],
            adapters=tuple(adapter["name"] for adapter in label.adapters),
            seed=label.seed,
        ),
        mark=found
        and Marked(
            name=None if found.name is None else f"{found.name:08x}", chance=found.chance, mirrored=found.mirrored
        ),
    )


def state_of(finding: Finding | None, limners: bool) -> State:
    """The word for it. limners: its label or its mark is Limner's."""
    if finding is None:
        return State.STRIPPED if limners else State.UNKNOWN
    if finding.problems:
        return State.CHANGED
    vouched = {"this installation": State.OURS, "a trusted root": State.TRUSTED, "nobody known": State.FOREIGN}
    return vouched[finding.by]


def kind_of(data: bytes, path: str | Path) -> str:
    """The media type, by the first bytes alone, for a changed file may be one that no decoder opens any more."""
    for kind, begin in KINDS.items():
        if re.match(begin, data, re.DOTALL):
            return kind
    raise LimnerError(f"{quoted(path)} is no picture that can be read", "give a PNG, JPEG or WebP file")


def damaged(data: bytes) -> tuple[str, ...]:
    """What the checksums of a PNG say, which cover the few bytes that C2PA pads a signature with, and does not sign."""
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            image.verify()
    except UnidentifiedImageError:
        return ()  # other formats have none
    except Exception:  # a hostile file makes the decoder raise nearly anything
        return ("the file is damaged: a checksum in it is wrong",)
    return ()


def in_words(problem: str) -> str:
    """A code of C2PA in plain words; what is no code is in words already."""
    if " " in problem:
        return problem
    return PROBLEMS.get(problem, f"the credentials are broken (C2PA: {problem})")


def seen(data: bytes, path: str | Path) -> np.ndarray:
    """The pixels, reduced where the mark needs no more."""
    image = decode(data, path, PIXEL_CAP)
    scale = min(image.size) / SIDE
    if scale > 1:
        size = (round(image.width / scale), round(image.height / scale))
        image = image.resize(size, Image.Resampling.BOX if scale >= 2 else Image.Resampling.LANCZOS)
    return np.asarray(image)


def label_or_none(data: bytes) -> Label | None:
    """The label, where there is one that can be read; a broken one is none."""
    try:
        return label_in(data, "picture")
    except LimnerError:
        return None
