"""Who asks: accounts, what they may do, and how much of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from limner.core.requests import Frozen

EVERYONE = "*"
"""The owner of what is shared with all accounts."""


class Role(StrEnum):
    """What an account may do: look at what is its own; make more of it; all that, and of everyone's."""

    VIEWER = "viewer"
    MAKER = "maker"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether one of this role may do what asks for `needed`."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


class Limits(Frozen):
    """How much a key may ask for; None is without limit. kept_bytes: of files that are kept for its account."""

    per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    pictures_per_day: int | None = Field(default=None, ge=1, lt=2**31)
    kept_bytes: int | None = Field(default=None, ge=1, lt=2**63)


class Caller(Frozen):
    """Who makes a call. account: empty where the service knows no accounts, and whoever reaches it is its admin."""

    account: str = ""
    role: Role = Role.ADMIN
    key: str = ""
    limits: Limits = Limits()

    @property
    def scope(self) -> str | None:
        """Whose things it sees: its own account's, or everyone's (None)."""
        return None if self.role is Role.ADMIN else self.account


class Key(Frozen):
    """A key as it is listed; the secret itself is told once, when it is made."""

    id: str
    account: str
    role: Role
    limits: Limits
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None


class FileGrant(Frozen):
    """A kept file or folder that an account brought in, or that was shared with it. giver: by whom, "" by an admin."""

    owner: str
    reference: str
    bytes: int
    giver: str | None = None
    created: datetime
