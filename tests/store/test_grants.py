"""Tests of grants: uploads, results and shared files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.core.accounts import EVERYONE, Caller, Limits
from limner.core.errors import LimnerError, QuotaExceeded
from limner.core.requests import GenerateRequest
from limner.store.accounts import Accounts
from limner.store.grants import Grants
from limner.store.runs import Store

A, B = ("sha256:" + letter * 64 for letter in "ab")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path)
    for name in ("ann", "bob"):
        Accounts(found).add_key(name)
    yield found
    found.close()


def test_shared_bytes_count_for_the_uploader_only(store: Store) -> None:
    grants = Grants(store)
    grants.add(Caller(account="ann"), A, 100)
    grants.share("ann", A, 100, "bob")
    grants.share("ann", A, 100, EVERYONE)
    assert (grants.bytes("ann"), grants.bytes("bob"), grants.bytes(EVERYONE)) == (100, 0, 0)
    bob = Caller(account="bob", limits=Limits(kept_bytes=10))
    grants.add(bob, B, 10)
    with pytest.raises(QuotaExceeded, match="1 bytes more than the 10 that are stored for 'bob'"):
        grants.check(bob, 1)


def test_a_repeated_upload_counts_once(store: Store) -> None:
    grants, ann = Grants(store), Caller(account="ann", limits=Limits(kept_bytes=100))
    for _ in range(2):
        grants.add(ann, A, 100)
    assert grants.bytes("ann") == 100
    with pytest.raises(QuotaExceeded):
        grants.add(ann, B, 1)


def test_results_belong_to_the_account_of_the_run(store: Store) -> None:
    grants = Grants(store)
    run = store.create(GenerateRequest(prompt="a"), caller=Caller(account="ann"))
    store.add_artifact(run.id, "picture", "/a.png", "a" * 64, {"reference": A})
    assert grants.missing("ann", [A, B]) == [B] and grants.missing("bob", [A, B]) == [A, B]
    assert grants.owns("ann", A) and not grants.owns("bob", A) and not grants.owns("ann", B)
    with pytest.raises(LimnerError, match="is not yours"):
        grants.share("bob", A, 1, EVERYONE)
    grants.share("ann", A, 1, "bob")
    assert grants.missing("bob", [A]) == [] and not grants.owns("bob", A)
    assert [(held.owner, held.giver) for held in grants.given("ann")] == [("bob", "ann")]
