"""The status of runs, and what an executor knows of its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.core.accounts import EVERYONE, Caller, Limits, Role
from limner.core.errors import Interrupted
from limner.core.runs import Status
from limner.core.workspace import Workspace


def test_a_run_has_ended_unless_it_waits_or_is_executed() -> None:
    assert [status.value for status in Status if not status.ended] == ["queued", "running"]


def test_a_file_is_called_as_its_user_named_it() -> None:
    folder, stopping = Path("run"), [False]
    workspace = Workspace("r1", folder, folder, folder, names={"/store/1": "cat.png"}, stop=lambda: stopping[0])
    assert (workspace.called("/store/1"), workspace.called("/store/2")) == ("cat.png", "/store/2")
    workspace.check()
    stopping[0] = True
    with pytest.raises(Interrupted, match="stopped"):
        workspace.check()


def test_a_role_includes_those_below_it() -> None:
    covered = {role: [other for other in Role if role.covers(other)] for role in Role}
    assert covered == {
        Role.VIEWER: [Role.VIEWER],
        Role.MAKER: [Role.VIEWER, Role.MAKER],
        Role.ADMIN: [Role.VIEWER, Role.MAKER, Role.ADMIN],
    }


def test_only_an_admin_sees_what_others_have() -> None:
    scopes = [Caller(account="anna", role=role).scope for role in Role]
    assert scopes == ["anna", "anna", None] and Caller().scope is None and EVERYONE == "*"


@pytest.mark.parametrize(
    ("field", "most"), [("per_minute", 1_000_000), ("pictures_per_day", 2**31 - 1), ("kept_bytes", 2**63 - 1)]
)
def test_a_limit_of_a_key_is_at_least_one(field: str, most: int) -> None:
    assert Limits.model_validate({field: 1}) and Limits.model_validate({field: most})
    for wrong in (0, most + 1):
        with pytest.raises(ValueError, match=field):
            Limits.model_validate({field: wrong})
