"""The key that signs, with its certificates: the user's, or Limner's own, made once for each home."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import short_line
from limner.provenance.credentials.own import make_own
from limner.store.files import translate_disk_errors
from limner.store.paths import credentials_folder, home

FOLDER = "LIMNER_CREDENTIALS"
KEY, CHAIN = "key.pem", "chain.pem"


@dataclass(frozen=True)
class Credentials:
    """A private key and its certificates, both PEM; the chain begins with the one that is the key's.

    algorithm: as C2PA calls it. serial: that certificate's number. place: the folder they are in.
    """

    key: bytes = field(repr=False)
    chain: bytes = field(repr=False)
    algorithm: str
    serial: int
    place: Path

    @property
    def root(self) -> bytes:
        """The last certificate of the chain."""
        return self.chain[self.chain.rindex(b"-----BEGIN CERTIFICATE-----") :]


def credentials(place: Path | None = None) -> Credentials:
    """What signs the pictures of a home: the user's folder $LIMNER_CREDENTIALS, or the home's own, which is made now
    where it is missing. Raises LimnerError for a key and certificates that cannot sign today.
    """
    chosen = os.environ.get(FOLDER)
    if chosen:
        return read_credentials(Path(chosen).expanduser())
    own = credentials_folder(place or home()) / "own"
    make_own(own)
    return read_credentials(own)


def known(place: Path | None = None) -> list[Credentials]:
    """All that this installation signs with, or did before the user chose a folder."""
    own = credentials_folder(place or home()) / "own"
    return [
        credentials(place),
        *([read_credentials(own, dated=False)] if os.environ.get(FOLDER) and own.exists() else []),
    ]


def trusted(place: Path | None = None) -> list[bytes]:
    """Root certificates that the user trusts besides: the PEM files in the home's `credentials/trusted`."""
    folder = credentials_folder(place or home()) / "trusted"
    with translate_disk_errors(folder):
        return [file.read_bytes() for file in sorted(folder.glob("*.pem"))]


def read_credentials(folder: Path, dated: bool = True) -> Credentials:
    """The key and the certificates in a folder; dated: they must be valid today."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as pem

    try:
        with translate_disk_errors(folder):
            raw, chain = (folder / KEY).read_bytes(), (folder / CHAIN).read_bytes()
        key: Any = pem.load_pem_private_key(raw, password=None)
        certificates = x509.load_pem_x509_certificates(chain)
    except LimnerError as error:
        raise refused(folder, error.problem) from error
    except (ValueError, TypeError) as error:
        raise refused(folder, f"{KEY} or {CHAIN} cannot be read: {short_line(str(error))}") from error
    first = certificates[0]
    if len(certificates) < 2:
        raise refused(folder, f"{CHAIN} holds one certificate, and the one that issued it is missing")
    if first.public_key() != key.public_key():
        raise refused(folder, f"the first certificate of {CHAIN} is not that of {KEY}")
    for lower, upper in pairwise(certificates):
        try:
            lower.verify_directly_issued_by(upper)
        except Exception as error:  # the library tells a wrong name, key and signature apart by kind
            raise refused(folder, f"a certificate of {CHAIN} was not issued by the next one") from error
    now = datetime.now(UTC)
    if dated and not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
        days = f"from {first.not_valid_before_utc:%Y-%m-%d} to {first.not_valid_after_utc:%Y-%m-%d}"
        raise refused(folder, f"the certificate is valid {days}")
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    public = b"".join(certificate.public_bytes(pem.Encoding.PEM) for certificate in certificates)
    return Credentials(private, public, algorithm(key, folder), first.serial_number, folder)


def algorithm(key: Any, folder: Path) -> str:
    """What C2PA calls signatures by a key (C2PA 2.2, section 13.2.1)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        names = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
        if key.curve.name in names:
            return names[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    raise refused(folder, "C2PA knows no signatures by this kind of key")


def refused(folder: Path, problem: str) -> LimnerError:
    """The error for credentials that cannot sign; it may be told to strangers, and names no path."""
    where = f"{FOLDER} ({folder.name!r})" if os.environ.get(FOLDER) else "LIMNER_HOME/credentials/own"
    return LimnerError(
        f"the credentials in {where} cannot sign pictures: {problem.replace(str(folder), folder.name)}",
        f"mend {KEY} and {CHAIN} there, or name another folder by {FOLDER}",
    )
