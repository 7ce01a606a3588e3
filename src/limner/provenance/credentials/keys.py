"""The signing key and its certificates: the user's, or Limner's own, which is created once for each home folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import short_line
from limner.store import paths
from limner.store.files import atomic_folder_once, translate_disk_errors

FOLDER = "LIMNER_CREDENTIALS"
KEY, CHAIN = "key.pem", "chain.pem"
YEARS = 30
"""Validity of Limner's own certificate. An image outlives its certificate only with a time-stamp, from a server."""


@dataclass(frozen=True)
class Credentials:
    """A private key and its certificate chain, both PEM; the chain begins with the certificate of the key.

    algorithm: by its C2PA name. serial: number of that certificate. folder: where they are stored.
    """

    key: bytes = field(repr=False)
    chain: bytes = field(repr=False)
    algorithm: str
    serial: int
    folder: Path

    @property
    def root(self) -> bytes:
        """The last certificate of the chain."""
        return self.chain[self.chain.rindex(b"-----BEGIN CERTIFICATE-----") :]


def load_credentials(home: Path | None = None, dated: bool = True) -> Credentials:
    """The credentials that sign images: from the folder $LIMNER_CREDENTIALS, or the home's own, created if missing.

    dated: require that they can sign today; LimnerError if they cannot.
    """
    chosen = os.environ.get(FOLDER)
    if chosen:
        return read_credentials(Path(chosen).expanduser(), dated)
    own = _own_folder(home)
    create_own_key(own)
    return read_credentials(own, dated)


def own_credentials(home: Path | None = None) -> list[Credentials]:
    """All credentials of this installation: those it signs with, and its own from before the user chose a folder.

    They may have expired: what they signed before is still of this installation.
    """
    own = _own_folder(home)
    earlier = [read_credentials(own, dated=False)] if os.environ.get(FOLDER) and own.exists() else []
    return [load_credentials(home, dated=False), *earlier]


def trusted_roots(home: Path | None = None) -> list[bytes]:
    """Further root certificates that the user trusts: the PEM files in the home's `credentials/trusted`."""
    folder = paths.credentials_folder(home or paths.home()) / "trusted"
    with translate_disk_errors(folder):
        return [file.read_bytes() for file in sorted(folder.glob("*.pem"))]


def read_credentials(folder: Path, dated: bool = True) -> Credentials:
    """The key and certificates in a folder. dated: require that the certificate is valid today.

    Raises LimnerError if they do not belong together or cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as pem

    try:
        with translate_disk_errors(folder):
            raw, chain = (folder / KEY).read_bytes(), (folder / CHAIN).read_bytes()
        key: Any = pem.load_pem_private_key(raw, password=None)
        certificates = x509.load_pem_x509_certificates(chain)
    except LimnerError as error:
        raise credentials_error(folder, error.problem) from error
    except (ValueError, TypeError) as error:
        raise credentials_error(folder, f"{KEY} or {CHAIN} cannot be read: {short_line(str(error))}") from error
    first = certificates[0]
    if len(certificates) < 2:
        raise credentials_error(folder, f"{CHAIN} has one certificate; the one that issued it is missing")
    if first.public_key() != key.public_key():
        raise credentials_error(folder, f"the first certificate of {CHAIN} is not that of {KEY}")
    for lower, upper in pairwise(certificates):
        try:
            lower.verify_directly_issued_by(upper)
        except Exception as error:  # the library has an exception each for a wrong name, key and signature
            raise credentials_error(folder, f"a certificate of {CHAIN} was not issued by the next one") from error
    now = datetime.now(UTC)
    if dated and not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
        days = f"from {first.not_valid_before_utc:%Y-%m-%d} to {first.not_valid_after_utc:%Y-%m-%d}"
        raise credentials_error(folder, f"the certificate is valid {days}")
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    public = b"".join(certificate.public_bytes(pem.Encoding.PEM) for certificate in certificates)
    return Credentials(private, public, algorithm(key, folder), first.serial_number, folder)


def algorithm(key: Any, folder: Path) -> str:
    """C2PA's name of the signature algorithm for a key (C2PA 2.2, section 13.2.1); LimnerError if it has none."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        names = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
        if key.curve.name in names:
            return names[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    raise credentials_error(folder, "C2PA has no signature algorithm for this kind of key")


def credentials_error(folder: Path, problem: str) -> LimnerError:
    """The error for credentials that cannot sign. It contains no path, because clients of the server may see it."""
    where = f"{FOLDER} ({folder.name!r})" if os.environ.get(FOLDER) else "LIMNER_HOME/credentials/own"
    return LimnerError(
        f"the credentials in {where} cannot sign images: {problem.replace(str(folder), folder.name)}",
        f"correct {KEY} and {CHAIN} there, or set {FOLDER} to another folder",
    )


def create_own_key(folder: Path) -> None:
    """Create a folder with `key.pem`, which only its owner may read, and `chain.pem`, unless it exists."""
    if folder.exists():
        return
    key, chain = issue_certificates()
    with atomic_folder_once(folder) as place:
        (place / CHAIN).write_bytes(chain)
        private = place / KEY
        private.touch(mode=0o600)
        private.write_bytes(key)


def issue_certificates() -> tuple[bytes, bytes]:
    """A new key, and the chain of its certificate and a root certificate whose key is discarded; both PEM.

    C2PA accepts the certificate, but nobody else vouches for it. Its profile is that of C2PA 2.2, section 14.5: P-256,
    digitalSignature, an extended key usage, key identifiers.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name_of(name: str) -> x509.Name:
        parts = {NameOID.ORGANIZATION_NAME: "Limner", NameOID.COMMON_NAME: name}
        return x509.Name([x509.NameAttribute(part, text) for part, text in parts.items()])

    def usage(*allowed: str) -> x509.KeyUsage:
        names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
        return x509.KeyUsage(**{name: name in allowed for name in names})

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number()
    begin = datetime.now(UTC) - timedelta(days=1)  # for clocks that are slow

    def certificate(name: str, public: ec.EllipticCurvePublicKey, authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name_of(name))
            .issuer_name(name_of(f"Root of installation {number:x}"[:40]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
            .add_extension(usage(*(("key_cert_sign", "crl_sign") if authority else ("digital_signature",))), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        )
        if not authority:
            mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, critical=False)
        return builder.sign(root, hashes.SHA256())

    chain = (
        certificate(f"Installation {number:x}"[:40], own.public_key(), authority=False),
        certificate(f"Root of installation {number:x}"[:40], root.public_key(), authority=True),
    )
    key = own.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return key, b"".join(part.public_bytes(pem.Encoding.PEM) for part in chain)


def _own_folder(home: Path | None) -> Path:
    return paths.credentials_folder(home or paths.home()) / "own"
