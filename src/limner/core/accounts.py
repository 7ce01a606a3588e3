"""Accounts, roles, API keys and their limits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from limner.core.requests import Frozen

EVERYONE = "*"
"""The owner of files that are shared with all accounts."""


class Role(StrEnum):
    """What an account may do.

    viewer: see its own runs and files and rate its images; maker: also create and erase them; admin: those of everyone.
    """

    VIEWER = "viewer"
    MAKER = "maker"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether this role includes what `needed` may do."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


class Limits(Frozen):
    """Limits of a key; None is no limit. kept_bytes: size of the files stored for its account."""

    per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    pictures_per_day: int | None = Field(default=None, ge=1, lt=2**31)
    kept_bytes: int | None = Field(default=None, ge=1, lt=2**63)


class Caller(Frozen):
    """Who makes an API call. account: empty if the service has no accounts; every caller is then an admin."""

    account: str = ""
    role: Role = Role.ADMIN
    key: str = ""
    limits: Limits = Limits()

    @property
    def scope(self) -> str | None:
        """The account whose runs and files it sees; None for everyone's."""
        return None if self.role is Role.ADMIN else self.account


class Key(Frozen):
    """A key as it is listed; the secret itself is shown once, when the key is created."""

    id: str
    account: str
    role: Role
    limits: Limits
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None


class FileGrant(Frozen):
    """A stored file or folder that an account uploaded, or got from another one. giver: who shared it, "" an admin."""

    owner: str
    reference: str
    bytes: int
    giver: str | None = None
    created: datetime
