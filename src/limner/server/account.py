"""/v1/account: who one is here, how much is kept, and what one shares with others."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from limner.core.accounts import EVERYONE, Caller, FileGrant, Limits, Role
from limner.core.requests import Frozen
from limner.server.auth import caller
from limner.studio.studio import Studio


class Account(BaseModel):
    """An account as it sees itself. name: empty where the service asks for no keys."""

    name: str
    role: Role
    key: str
    limits: Limits
    kept_bytes: int


class Share(Frozen):
    """Something that is kept, and who else may use it."""

    reference: str = Field(pattern="^(sha256|folder):[0-9a-f]{64}$", max_length=71)
    account: str = Field(default=EVERYONE, min_length=1, max_length=64, description="Name of an account, or * for all.")


def router(studio: Studio) -> APIRouter:
    """The routes of one's own account."""
    routes = APIRouter(prefix="/v1", tags=["accounts"])

    @routes.get("/account")
    def own(who: Caller = Depends(caller)) -> Account:
        """The account that a key opens."""
        held = studio.files.grants.bytes(who.account)
        return Account(name=who.account, role=who.role, key=who.key, limits=who.limits, kept_bytes=held)

    @routes.get("/holdings")
    def held(who: Caller = Depends(caller)) -> list[FileGrant]:
        """The files and folders that one brought in, or was given, newest first."""
        return studio.files.grants.list(who.account)

    @routes.get("/shares")
    def given(who: Caller = Depends(caller)) -> list[FileGrant]:
        """What one shares with others, newest first."""
        return studio.files.grants.given(who.scope)

    @routes.post("/shares", status_code=201)
    def shared(share: Share, who: Caller = Depends(caller)) -> Share:
        """Let another account, or all, use a file or folder that is one's own."""
        studio.files.grants.check_own(who.scope, share.reference)  # before anything depends on whether it is kept
        size = studio.files.bytes(share.reference)
        studio.files.grants.share(who.scope, share.reference, size, share.account)
        return share

    @routes.post("/shares/revoke")
    def taken_back(share: Share, who: Caller = Depends(caller)) -> Share:
        """Let it be one's own alone again; what was made from it meanwhile stays."""
        studio.files.grants.unshare(who.scope, share.reference, share.account)
        return share

    return routes
