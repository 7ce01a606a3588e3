"""Secrets that all processes of a service share, made when first asked for."""

from __future__ import annotations

import secrets

from limner.store.runs import Store
from limner.store.tables import SecretRow


def shared_secret(store: Store, name: str) -> bytes:
    """The 32 bytes kept by this name."""
    with store.writing() as session:
        row = session.get(SecretRow, name)
        if row is None:
            row = SecretRow(name=name, value=secrets.token_hex(32))
            session.add(row)
        return bytes.fromhex(row.value)
