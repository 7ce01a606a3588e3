"""/v1/account, /v1/holdings and /v1/shares: the caller's account, its stored files, and what it shares."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from limner.core.accounts import EVERYONE, FileGrant, Limits, Role
from limner.core.requests import Frozen
from limner.server.auth import CallerDep
from limner.server.dependencies import StudioDep

router = APIRouter(prefix="/v1", tags=["accounts"])


class AccountReply(BaseModel):
    """The caller's account. name: empty if the server needs no keys. kept_bytes: size of its stored files."""

    name: str
    role: Role
    key: str
    limits: Limits
    kept_bytes: int


class ShareRequest(Frozen):
    """A stored file or folder, and the account to share it with."""

    reference: str = Field(pattern="^(sha256|folder):[0-9a-f]{64}$", max_length=71)
    account: str = Field(default=EVERYONE, min_length=1, max_length=64, description="Name of an account, or * for all.")


@router.get("/account")
def show_account(studio: StudioDep, caller: CallerDep) -> AccountReply:
    """Show the account of the key that was sent."""
    size = studio.files.grants.bytes(caller.account)
    return AccountReply(name=caller.account, role=caller.role, key=caller.key, limits=caller.limits, kept_bytes=size)


@router.get("/holdings")
def list_holdings(studio: StudioDep, caller: CallerDep) -> list[FileGrant]:
    """List the files and folders that you uploaded, or that were shared with you, newest first."""
    return studio.files.grants.list(caller.account)


@router.get("/shares")
def list_shares(studio: StudioDep, caller: CallerDep) -> list[FileGrant]:
    """List what you share with other accounts, newest first."""
    return studio.files.grants.given(caller.scope)


@router.post("/shares", status_code=201)
def create_share(share: ShareRequest, studio: StudioDep, caller: CallerDep) -> ShareRequest:
    """Share a file or folder of yours with an account, or with all accounts."""
    studio.files.grants.check_own(caller.scope, share.reference)  # first: others must not find out whether it exists
    size = studio.files.bytes(share.reference)
    studio.files.grants.share(caller.scope, share.reference, size, share.account)
    return share


@router.post("/shares/revoke")
def revoke_share(share: ShareRequest, studio: StudioDep, caller: CallerDep) -> ShareRequest:
    """Stop sharing a file or folder. What others made with it stays."""
    studio.files.grants.unshare(caller.scope, share.reference, share.account)
    return share
