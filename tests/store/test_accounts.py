"""Tests of accounts, keys, quotas and grants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from limner.core.accounts import EVERYONE, Caller, Limits, Role
from limner.core.errors import LimnerError, QuotaExceeded
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.accounts import Accounts, shared_secret
from limner.store.grants import Grants
from limner.store.queue import Queue
from limner.store.runs import Store
from limner.store.tables import KeyRow

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def accounts(store: Store) -> Accounts:
    return Accounts(store)


def test_a_key_identifies_its_account(accounts: Accounts) -> None:
    key, secret = accounts.add_key("ann", Role.VIEWER, Limits(per_minute=3))
    assert accounts.caller(secret) == Caller(account="ann", role=Role.VIEWER, key=key.id, limits=Limits(per_minute=3))
    other, second = accounts.add_key("ann")
    assert other.role is Role.VIEWER and second != secret
    assert [key.id for key in accounts.list()] == [key.id, other.id]


def test_the_secret_is_not_stored(accounts: Accounts, tmp_path: Path) -> None:
    _, secret = accounts.add_key("ann")
    accounts.database.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret.encode() not in stored and secret.split("_", 2)[2].encode() not in stored


def test_invalid_and_revoked_keys(accounts: Accounts) -> None:
    key, secret = accounts.add_key("ann")
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for bad in ("", "x", wrong, secret + "x", secret.upper(), key.id, secret.replace("limner", "Limner"), "\ud800"):
        assert accounts.caller(bad) is None
    accounts.revoke(key.id)
    revoked = accounts.list()[0].revoked
    assert accounts.caller(secret) is None and revoked is not None
    assert accounts.revoke(key.id).revoked == revoked, "the first time counts"


def test_a_key_expires(accounts: Accounts) -> None:
    _, secret = accounts.add_key("ann", days=1)
    assert accounts.caller(secret) is not None
    with accounts.database.session() as session:
        session.execute(update(KeyRow).values(expires=datetime.now(UTC) - timedelta(seconds=1)))
    assert accounts.caller(secret) is None


@pytest.mark.parametrize("name", ["", "Ann", "a b", "*", "-a", "a" * 65, "ä", "a\n"])
def test_invalid_account_names(accounts: Accounts, name: str) -> None:
    with pytest.raises(LimnerError, match="is not the name of an account"):
        accounts.add_key(name)


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_invalid_lifetimes_of_keys(accounts: Accounts, days: int) -> None:
    with pytest.raises(LimnerError, match="cannot be valid for"):
        accounts.add_key("ann", days=days)


def test_keys_are_listed_by_account_and_time(accounts: Accounts) -> None:
    ids = [accounts.add_key(name)[0].id for name in ("ben", "ann", "ben")]
    assert [key.id for key in accounts.list()] == [ids[1], ids[0], ids[2]]


def test_an_unknown_key_is_answered_with_the_known_ids(accounts: Accounts) -> None:
    key, _ = accounts.add_key("ann")
    with pytest.raises(LimnerError, match=f"unknown key 'nosuch'; choose one of: {key.id}"):
        accounts.revoke("nosuch")


def test_all_limits_of_a_key_are_those_of_its_caller(accounts: Accounts) -> None:
    limits = Limits(per_minute=3, pictures_per_day=5, kept_bytes=7)
    key, secret = accounts.add_key("ann", limits=limits)
    caller = accounts.caller(secret)
    assert caller is not None and caller.limits == key.limits == limits


def test_roles(accounts: Accounts) -> None:
    key, secret = accounts.add_key("ann")
    assert not accounts.has_admin()
    for role in (Role.ADMIN, Role.VIEWER):
        with pytest.raises(LimnerError, match="account 'ann' is a maker"):
            accounts.add_key("ann", role)
    accounts.change_role("ann", Role.ADMIN)
    assert accounts.has_admin() and accounts.caller(secret).role is Role.ADMIN
    accounts.revoke(key.id)
    assert not accounts.has_admin()
    with pytest.raises(LimnerError, match="unknown account 'bob'"):
        accounts.change_role("bob", Role.ADMIN)
    with pytest.raises(LimnerError, match="unknown key 'nosuch'"):
        accounts.revoke("nosuch")
    assert [a.covers(b) for a in Role for b in Role] == [True, False, False, True, True, False, True, True, True]


def test_quota_of_images_per_day(accounts: Accounts, store: Store) -> None:
    key, secret = accounts.add_key("ann", limits=Limits(pictures_per_day=5))
    who = accounts.caller(secret)
    assert who is not None
    first = store.create(GenerateRequest(prompt="a", count=3), caller=who)
    assert (first.owner, first.key) == ("ann", key.id)
    with pytest.raises(QuotaExceeded, match="3 images more than the 3 requested in the last 24 hours are"):
        store.create(GenerateRequest(prompt="b", count=3), caller=who)
    store.create(GenerateRequest(prompt="b", count=2), caller=who)
    store.update(first.id, status=Status.CANCELLED)
    with pytest.raises(QuotaExceeded):  # what was asked for counts, whatever became of it
        store.create(GenerateRequest(prompt="c"), caller=who)
    again = store.create(GenerateRequest(prompt="c"), queue="q")
    store.update(again.id, status=Status.FAILED)
    with pytest.raises(QuotaExceeded):
        Queue(store, "q").retry(again.id, None, who)
    store.create(GenerateRequest(prompt="d", count=100), caller=Caller())
    assert [run.owner for run in store.list(10, owner="ann")] == ["ann"] * 2


def test_grants(accounts: Accounts) -> None:
    grants = Grants(accounts.database)
    for name in ("ann", "bob"):
        accounts.add_key(name)
    grants.add(Caller(account="ann"), A, 10)
    grants.add(Caller(account="ann"), A, 10)
    assert (grants.bytes("ann"), grants.bytes("bob")) == (10, 0)
    assert grants.missing("bob", [A, B]) == [A, B]
    with pytest.raises(LimnerError, match=f"'{A}' is not yours"):
        grants.share("bob", A, 10, EVERYONE)
    with pytest.raises(LimnerError, match="no account 'cyd'"):
        grants.share("ann", A, 10, "cyd")
    grants.share("ann", A, 10, "bob")
    assert grants.missing("bob", [A]) == [] and grants.missing("cyd", [A])
    with pytest.raises(LimnerError, match=f"'{A}' is not yours"):  # only lent
        grants.share("bob", A, 10, EVERYONE)
    assert [held.owner for held in grants.given("ann")] == ["bob"] and grants.given("bob") == []
    grants.share(None, A, 10, EVERYONE)
    assert grants.missing("cyd", [A]) == []
    grants.unshare(None, A, EVERYONE)
    assert grants.missing("cyd", [A]) and grants.missing("bob", [A]) == []
    with pytest.raises(LimnerError, match="was not shared with 'bob' by you"):
        grants.unshare("bob", A, "bob")
    grants.unshare("ann", A, "bob")
    assert grants.missing("bob", [A])
    grants.check(Caller(account="ann", limits=Limits(kept_bytes=20)), 10)
    with pytest.raises(QuotaExceeded, match="11 bytes more than the 10 that are stored for 'ann' are over its 20"):
        grants.check(Caller(account="ann", limits=Limits(kept_bytes=20)), 11)


def test_a_secret_is_created_once(store: Store) -> None:
    first = shared_secret(store, "links")
    assert len(first) == 32 and shared_secret(store, "links") == first != shared_secret(store, "other")
