"""Reading the content credentials of any picture, offline."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from limner.provenance.credentials.keys import own_credentials, trusted_roots

UNTRUSTED = "signingCredential.untrusted"
BOX = b"jumb"
"""What all credentials are kept in (ISO 19566-5). Where c2pa cannot read a file that has none, none were broken."""
Signer = Literal["this installation", "a trusted root", "nobody known"]


@dataclass(frozen=True)
class CredentialReport:
    """Credentials that a file carries. by: who vouches for them. problems: C2PA's codes for what does not hold.

    software, signer and when are the file's own claims.
    """

    by: Signer
    problems: tuple[str, ...]
    software: str | None = None
    signer: str | None = None
    when: datetime | None = None


def inspect(data: bytes, kind: str, place: Path | None = None) -> CredentialReport | None:
    """The credentials in a picture's bytes, None where it has none; kind: its media type.

    place: the home whose credentials are "this installation".
    """
    ours = own_credentials(place)
    active, problems = read_manifest(data, kind, c2pa_context([own.root for own in ours]))
    if active is None:
        return CredentialReport("nobody known", tuple(problems)) if problems and BOX in data else None
    by: Signer = "nobody known"
    serial = str((active.get("signature_info") or {}).get("cert_serial_number"))
    if UNTRUSTED not in problems and serial in {str(own.serial) for own in ours}:
        by = "this installation"
    elif roots := trusted_roots(place):
        active, problems = read_manifest(data, kind, c2pa_context(roots))
        by = "nobody known" if UNTRUSTED in problems else "a trusted root"
    told = active or {}
    generator = (told.get("claim_generator_info") or [{}])[0]
    signature = told.get("signature_info") or {}
    return CredentialReport(
        by,
        tuple(problem for problem in problems if problem != UNTRUSTED),
        " ".join(str(generator[key]) for key in ("name", "version") if generator.get(key)) or None,
        signature.get("common_name") or signature.get("issuer"),
        created(told),
    )


def c2pa_context(roots: Sequence[bytes]) -> Any:
    """How c2pa shall work: offline, and trusting nobody but these root certificates."""
    import c2pa

    return c2pa.Context.from_dict(
        {
            "trust": {"trust_anchors": b"".join(roots).decode()} if roots else {},
            "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "builder": {"thumbnail": {"enabled": False}},
        }
    )


def read_manifest(data: bytes, kind: str, how: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The active manifest of a file, and the codes of what does not hold; neither where it has no credentials."""
    import c2pa

    try:
        with c2pa.Reader(kind, BytesIO(data), context=how) as reader:
            told = json.loads(reader.json())
    except c2pa.C2paError as error:
        if str(error).startswith("ManifestNotFound"):
            return None, []
        return None, [re.sub(r"\W.*", "", str(error), flags=re.DOTALL)[:80] or "unreadable"]
    results = told.get("validation_results", {}).get("activeManifest", {})
    active = told.get("manifests", {}).get(told.get("active_manifest"))
    problems = list(dict.fromkeys(failure["code"] for failure in results.get("failure", [])))
    if not problems and told.get("validation_state") == "Invalid":
        problems = ["invalid"]
    return active, problems


def created(manifest: dict[str, Any]) -> datetime | None:
    """When a manifest says that the picture was made."""
    for assertion in manifest.get("assertions", []):
        for action in (assertion.get("data") or {}).get("actions", []):
            if action.get("action") == "c2pa.created" and action.get("when"):
                try:
                    return datetime.fromisoformat(action["when"])
                except (TypeError, ValueError):
                    return None
    return None
