"""Tests of verdicts and policies on either database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from limner.core.accounts import Caller
from limner.core.moderation import CheckStage, Policy, Verdict
from limner.core.requests import GenerateRequest
from limner.store.queue import Queue
from limner.store.runs import Admission, Lease, LeaseLost, Store
from limner.store.tables import PolicyRow, RunRow
from limner.store.verdicts import Verdicts

POLICY = Policy(keep_text=True)
PASSED = Verdict(stage=CheckStage.PROMPT, subject="a" * 64, check="words", allowed=True)
REFUSED = Verdict(stage=CheckStage.IMAGE, subject="b" * 64, check="x", allowed=False, category="hate", score=0.75)


@pytest.fixture
def verdicts(home: Path, database: str | None) -> Iterator[Verdicts]:
    store = Store(home, database)
    found = Verdicts(store)
    found.save_policy(POLICY.digest, POLICY.text)
    yield found
    store.close()


def test_a_policy_is_stored_once(verdicts: Verdicts) -> None:
    Verdicts(verdicts.store).save_policy(POLICY.digest, POLICY.text)
    assert verdicts.policy(POLICY.digest) == POLICY.text
    assert verdicts.policy("0" * 64) is None


def test_verdicts_are_stored_and_listed(verdicts: Verdicts) -> None:
    request = GenerateRequest(prompt="a cat")
    run = verdicts.store.create(
        request, queue="default", caller=Caller(account="ann"), admission=Admission(POLICY.digest, [PASSED])
    )
    verdicts.add([REFUSED], POLICY.digest, run=run.id, owner="ann")
    verdicts.add([PASSED, REFUSED], POLICY.digest, owner="bob", text="words")
    newest, *_, oldest = verdicts.list(10)
    assert (newest.owner, newest.run, newest.text, newest.score) == ("bob", None, "words", 0.75)
    assert (oldest.owner, oldest.run, oldest.allowed, oldest.policy) == ("ann", run.id, True, POLICY.digest)
    assert verdicts.list(10, stage=CheckStage.PROMPT)[0].text is None, "only what is refused is kept in words"
    assert [found.category for found in verdicts.list(10, run=run.id, allowed=False)] == ["hate"]
    assert [found.id for found in verdicts.list(10, before=newest.id)] == [found.id for found in verdicts.list(10)][1:]


def test_a_worker_without_a_lease_adds_no_verdict(verdicts: Verdicts) -> None:
    run = verdicts.store.create(GenerateRequest(prompt="a cat"), queue="default", admission=Admission(POLICY.digest))
    ((_, lease),) = Queue(verdicts.store).claim("me")
    verdicts.add([PASSED], POLICY.digest, run=run.id, lease=lease)
    with pytest.raises(LeaseLost):
        verdicts.add([PASSED], POLICY.digest, run=run.id, lease=Lease(run.id, "another", 1))
    assert len(verdicts.list(10)) == 1


def test_verdicts_are_deleted_with_their_run(verdicts: Verdicts) -> None:
    run = verdicts.store.create(GenerateRequest(prompt="a cat"), admission=Admission(POLICY.digest, [PASSED]))
    with verdicts.store.session() as session:
        session.execute(delete(RunRow).where(RunRow.id == run.id))
    assert verdicts.list(10) == []


def test_a_policy_with_a_wrong_digest_is_ignored(verdicts: Verdicts) -> None:
    with verdicts.store.writing() as session:
        session.execute(insert(PolicyRow).values(digest="a" * 64, text=POLICY.text, created=datetime.now(UTC)))
    assert verdicts.policy("a" * 64) is None and verdicts.policy(POLICY.digest) == POLICY.text
