"""Verifies an image: who made it, and whether it was changed, by its credentials, label and watermark."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.files import quoted, read_file
from limner.core.requests import Frozen
from limner.imaging.damage import has_wrong_checksum
from limner.imaging.decode import decode
from limner.imaging.decoding_cost import check_bytes
from limner.imaging.formats import media_type
from limner.provenance import watermark
from limner.provenance.credentials import CredentialReport, inspect_credentials
from limner.provenance.labels import Label, parse_label
from limner.provenance.xmp import source_type

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")
PIXEL_CAP = 64_000_000
"""The largest image that is verified, in pixels."""
SIDE = 1024
"""The shorter side in pixels to which a larger image is reduced before the watermark is searched."""


class VerificationState(StrEnum):
    """The result of a verification."""

    OURS = "ours"
    TRUSTED = "trusted"
    FOREIGN = "foreign"
    CHANGED = "changed"
    STRIPPED = "stripped"
    UNKNOWN = "unknown"


STATES = {
    VerificationState.OURS: "made here and not changed since",
    VerificationState.TRUSTED: "signed under a root certificate that is trusted here, and not changed since",
    VerificationState.FOREIGN: "not changed since it was signed, but the signer is not known here",
    VerificationState.CHANGED: "changed since it was signed",
    VerificationState.STRIPPED: "made by Limner, but without credentials: it was saved again and may have been changed",
    VerificationState.UNKNOWN: "nothing in it shows that Limner made it",
}
PROBLEMS = {
    "assertion.dataHash.mismatch": "the file's bytes are not those that were signed",
    "assertion.hashedURI.mismatch": "what the credentials say is not what was signed",
    "claimSignature.mismatch": "the signature does not match what it signs",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid",
    "signingCredential.invalid": "the certificate is not one for signing",
    "signingCredential.expired": "the certificate has expired",
    "claimSignature.missing": "the signature is missing",
}
DAMAGED = "the file is damaged: a checksum in it is wrong"
"""Of a PNG, whose checksums also cover the padding of the signature, which C2PA does not sign."""


class LabelSummary(Frozen):
    """What the label of an image says; it is only as trustworthy as the credentials."""

    version: str
    model: str
    adapters: tuple[str, ...]
    seed: int


class WatermarkSummary(Frozen):
    """The invisible watermark.

    name: its payload in eight hexadecimal digits; None if it cannot be read. chance: upper bound of the probability of
    an equal match in an image without watermark. run: the run here that made an image with this payload.
    """

    name: str | None
    chance: float
    mirrored: bool
    run: str | None = None


class Verification(Frozen):
    """The result of verifying an image. state: in one word; message: in a sentence.

    unchanged: None without credentials. problems: why credentials are not valid. signer, software, signed: claims of
    the credentials. source: the IPTC digital source type of its XMP. run: the run here that made exactly this file.
    """

    state: VerificationState
    message: str
    unchanged: bool | None
    problems: tuple[str, ...] = ()
    signer: str | None = None
    software: str | None = None
    signed: datetime | None = None
    source: str | None = None
    label: LabelSummary | None = None
    mark: WatermarkSummary | None = None
    run: str | None = None

    @property
    def good(self) -> bool:
        """Whether it is unchanged and made by somebody who is trusted here."""
        return self.state in (VerificationState.OURS, VerificationState.TRUSTED)


def verify(path: str | Path, home: Path | None = None) -> Verification:
    """Verify a PNG, JPEG or WebP file. Raises LimnerError for other files and files that cannot be read."""
    return verify_bytes(read_file(path), path, home)


def verify_bytes(data: bytes, path: str | Path, home: Path | None = None) -> Verification:
    """Verify the bytes of a PNG, JPEG or WebP. path: for messages."""
    kind = media_type(data)
    if kind not in MEDIA_TYPES:
        raise LimnerError(f"{quoted(path)} is not a PNG, JPEG or WebP image", "give a PNG, JPEG or WebP file")
    check_bytes(data, path)
    report = inspect_credentials(data, kind, home)
    found, damage = None, (DAMAGED,) if has_wrong_checksum(data) else ()
    try:
        found = watermark.detect(pixels_for_detection(data, path))
    except LimnerError as error:
        if report is None or report.signer is None:
            raise
        damage = (error.problem,)
    if report is not None and damage:
        report = replace(report, problems=(*report.problems, *damage))
    label = label_or_none(data)
    state = state_of(report, label is not None or found is not None)
    return Verification(
        state=state,
        message=STATES[state],
        unchanged=None if report is None else not report.problems,
        problems=tuple(map(describe_problem, report.problems)) if report else (),
        signer=report.signer if report else None,
        software=report.software if report else None,
        signed=report.when if report else None,
        source=source_type(data),
        label=label
        and LabelSummary(
            version=label.version,
            model=label.model["reference"],
            adapters=tuple(adapter["name"] for adapter in label.adapters),
            seed=label.seed,
        ),
        mark=found
        and WatermarkSummary(
            name=None if found.payload is None else f"{found.payload:08x}",
            chance=found.chance,
            mirrored=found.mirrored,
        ),
    )


def state_of(report: CredentialReport | None, by_limner: bool) -> VerificationState:
    """The state by the credentials. by_limner: whether the image has a label or watermark of Limner."""
    if report is None:
        return VerificationState.STRIPPED if by_limner else VerificationState.UNKNOWN
    if report.problems:
        return VerificationState.CHANGED
    vouched = {
        "this installation": VerificationState.OURS,
        "a trusted root": VerificationState.TRUSTED,
        "nobody known": VerificationState.FOREIGN,
    }
    return vouched[report.by]


def describe_problem(problem: str) -> str:
    """A C2PA code in words; problems that are already in words are unchanged."""
    if " " in problem:
        return problem
    return PROBLEMS.get(problem, f"the credentials are broken (C2PA: {problem})")


def pixels_for_detection(data: bytes, path: str | Path) -> np.ndarray:
    """The pixels (h, w, 3) uint8 of an image, reduced to a shorter side of SIDE."""
    image = decode(data, path, PIXEL_CAP)
    scale = min(image.size) / SIDE
    if scale > 1:
        size = (round(image.width / scale), round(image.height / scale))
        image = image.resize(size, Image.Resampling.BOX if scale >= 2 else Image.Resampling.LANCZOS)
    return np.asarray(image)


def label_or_none(data: bytes) -> Label | None:
    """The label; None if there is none or it cannot be read."""
    try:
        return parse_label(data, "image")
    except LimnerError:
        return None
