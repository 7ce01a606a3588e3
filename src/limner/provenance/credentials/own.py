"""Limner's own key: made at the first start, with a certificate that C2PA accepts and nobody else vouches for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from limner.store.files import atomic_folder_once

YEARS = 30
"""A picture outlives its certificate only with a time-stamp, and that would need a server."""


def make_own(folder: Path) -> None:
    """Make a folder with `key.pem`, which only its owner may read, and `chain.pem`, unless it is there."""
    if folder.exists():
        return
    key, chain = issued()
    with atomic_folder_once(folder) as place:
        (place / "chain.pem").write_bytes(chain)
        private = place / "key.pem"
        private.touch(mode=0o600)
        private.write_bytes(key)


def issued() -> tuple[bytes, bytes]:
    """A new key, and its certificate with that of a root whose key is thrown away; as PEM.

    The profile is that of C2PA 2.2, section 14.5: P-256, digitalSignature, an extended use, key identifiers.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def called(name: str) -> x509.Name:
        parts = {NameOID.ORGANIZATION_NAME: "Limner", NameOID.COMMON_NAME: name}
        return x509.Name([x509.NameAttribute(part, text) for part, text in parts.items()])

    def uses(*allowed: str) -> x509.KeyUsage:
        names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
        return x509.KeyUsage(**{name: name in allowed for name in names})

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number()
    begin = datetime.now(UTC) - timedelta(days=1)  # for clocks that are behind

    def certificate(name: str, public: ec.EllipticCurvePublicKey, authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(called(name))
            .issuer_name(called(f"Root of installation {number:x}"[:40]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
            .add_extension(uses(*(("key_cert_sign", "crl_sign") if authority else ("digital_signature",))), True)
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
