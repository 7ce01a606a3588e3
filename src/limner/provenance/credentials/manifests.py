"""C2PA manifests: signs images with them, and reads those of any image. Nothing is fetched from the network."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from limner.core.files import short_line
from limner.core.version import version
from limner.provenance.credentials.keys import (
    Credentials,
    credentials_error,
    load_credentials,
    own_credentials,
    trusted_roots,
)

SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PNG = "image/png"
UNTRUSTED = "signingCredential.untrusted"
BOX = b"jumb"
"""The box that contains all credentials (ISO 19566-5). A file without it that c2pa cannot read has no credentials."""
Signer = Literal["this installation", "a trusted root", "nobody known"]


@dataclass(frozen=True)
class CredentialReport:
    """The credentials of a file.

    by: who vouches for them. problems: C2PA's codes of failed checks. software, signer and when are claims of the file.
    """

    by: Signer
    problems: tuple[str, ...]
    software: str | None = None
    signer: str | None = None
    when: datetime | None = None


def inspect_credentials(data: bytes, kind: str, home: Path | None = None) -> CredentialReport | None:
    """The credentials in the bytes of an image; None if it has none.

    kind: media type. home: the folder whose credentials count as "this installation".
    """
    ours = own_credentials(home)
    active, problems = read_manifest(data, kind, c2pa_context([own.root for own in ours]))
    if active is None:
        return CredentialReport("nobody known", tuple(problems)) if problems and BOX in data else None
    by: Signer = "nobody known"
    serial = str((active.get("signature_info") or {}).get("cert_serial_number"))
    if UNTRUSTED not in problems and serial in {str(own.serial) for own in ours}:
        by = "this installation"
    elif roots := trusted_roots(home):
        active, problems = read_manifest(data, kind, c2pa_context(roots))
        by = "nobody known" if UNTRUSTED in problems else "a trusted root"
    manifest = active or {}
    signature = manifest.get("signature_info") or {}
    return CredentialReport(
        by,
        tuple(problem for problem in problems if problem != UNTRUSTED),
        generator_of(manifest),
        signature.get("common_name") or signature.get("issuer"),
        _created(manifest),
    )


def c2pa_context(roots: Sequence[bytes], verify_trust: bool = True) -> Any:
    """Settings of c2pa: offline, and trusting only these root certificates."""
    import c2pa

    return c2pa.Context.from_dict(
        {
            "trust": {"trust_anchors": b"".join(roots).decode()} if roots else {},
            "verify": {"verify_trust": verify_trust, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "builder": {"thumbnail": {"enabled": False}},
        }
    )


@cache
def offline_context() -> Any:
    """Settings for reading claims without checking who signed them."""
    return c2pa_context((), verify_trust=False)


def read_manifest_store(data: bytes, kind: str, context: Any) -> tuple[dict[str, Any], list[str]]:
    """All manifests of a file as c2pa's reader reports them, and an error code if it cannot read them.

    Both are empty for a file without credentials.
    """
    import c2pa

    try:
        with c2pa.Reader(kind, BytesIO(data), context=context) as reader:
            store = json.loads(reader.json())
    except (ValueError, RecursionError):
        return {}, ["unreadable"]
    except c2pa.C2paError as error:
        if str(error).startswith("ManifestNotFound"):
            return {}, []
        return {}, [re.sub(r"\W.*", "", str(error), flags=re.DOTALL)[:80] or "unreadable"]
    return (store, []) if isinstance(store, dict) else ({}, ["unreadable"])


def read_manifest(data: bytes, kind: str, context: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The active manifest of a file, and the codes of failed checks; None and none without credentials."""
    store, problems = read_manifest_store(data, kind, context)
    if not store:
        return None, problems
    results = store.get("validation_results", {}).get("activeManifest", {})
    active = store.get("manifests", {}).get(store.get("active_manifest"))
    problems = list(dict.fromkeys(failure["code"] for failure in results.get("failure", [])))
    if not problems and store.get("validation_state") == "Invalid":
        problems = ["invalid"]
    return active, problems


def generator_of(manifest: Mapping[str, Any]) -> str | None:
    """Name and version of the software that made a manifest, such as a camera or an editor."""
    infos = manifest.get("claim_generator_info")
    info = infos[0] if isinstance(infos, list) and infos and isinstance(infos[0], dict) else {}
    return " ".join(str(info[key]) for key in ("name", "version") if info.get(key)) or None


def sign(data: bytes, source: str, home: Path | None = None, kind: str = PNG) -> bytes:
    """The bytes of an image with content credentials. Sign last: saving again removes them.

    source: IPTC digital source type. home: whose key signs. kind: media type, of PNG, JPEG or WebP. Raises LimnerError
    if the key cannot sign.
    """
    return _sign_with(data, source, load_credentials(home), kind)


def check_signing(home: Path | None = None) -> None:
    """Raise LimnerError if images of a home folder could not be signed; creates its own key if it has none."""
    found = load_credentials(home)
    with _checking:
        if found in _checked:
            return
        file = BytesIO()
        Image.new("RGB", (1, 1)).save(file, "PNG")
        signed = _sign_with(file.getvalue(), "algorithmicMedia", found)
        _, problems = read_manifest(signed, PNG, c2pa_context([found.root]))
        if problems:
            raise credentials_error(found.folder, f"C2PA rejects the certificate ({', '.join(problems)})")
        _checked.add(found)


_checking = threading.Lock()
_checked: set[Credentials] = set()


def build_manifest(source: str, kind: str = PNG) -> dict[str, Any]:
    """The claims of a manifest: that Limner created the image, when, and how."""
    agent = {"name": "Limner", "version": version()}
    created = {
        "action": "c2pa.created",
        "when": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "softwareAgent": agent,
        "digitalSourceType": SOURCES + source,
    }
    return {
        "claim_generator_info": [agent],
        "format": kind,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _sign_with(data: bytes, source: str, by: Credentials, kind: str = PNG) -> bytes:
    """The bytes of an image, signed with a key: no thumbnail, no time-stamp, no prompt and no path."""
    import c2pa

    info = c2pa.C2paSignerInfo(by.algorithm.encode(), by.chain, by.key, None)
    file = BytesIO()
    try:
        manifest = json.dumps(build_manifest(source, kind))
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest, c2pa_context([])) as builder:
            builder.sign(signer, kind, BytesIO(data), file)
    except c2pa.C2paError as error:
        raise credentials_error(by.folder, f"C2PA rejects them ({short_line(str(error))})") from error
    return file.getvalue()


def _created(manifest: Mapping[str, Any]) -> datetime | None:
    """When a manifest says that the image was created."""
    for assertion in manifest.get("assertions", []):
        for action in (assertion.get("data") or {}).get("actions", []):
            if action.get("action") == "c2pa.created" and action.get("when"):
                try:
                    return datetime.fromisoformat(action["when"])
                except (TypeError, ValueError):
                    return None
    return None
