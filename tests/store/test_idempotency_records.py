"""Tests of responses stored by idempotency key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from limner.core.errors import LimnerError
from limner.store.idempotency import IdempotencyRecords, InFlight, StoredResponse
from limner.store.runs import Store
from limner.store.tables import IdempotencyRow

D, E = "d" * 64, "e" * 64


def test_a_repeated_call_gets_the_stored_response(store: Store) -> None:
    answers, answer = (
        IdempotencyRecords(store, timedelta(hours=1)),
        StoredResponse(201, {"location": "/x"}, b"\x00body"),
    )
    assert answers.begin("ann", "k", D) is None
    with pytest.raises(InFlight, match="'k' goes on"):
        answers.begin("ann", "k", D)
    assert answers.begin("bob", "k", D) is None, "keys of another account are other keys"
    answers.save("ann", "k", answer)
    assert answers.begin("ann", "k", D) == answer
    with pytest.raises(LimnerError, match="'k' was used for another call"):
        answers.begin("ann", "k", E)


def test_a_failed_call_can_be_repeated(store: Store) -> None:
    answers = IdempotencyRecords(store, timedelta(hours=1))
    answers.begin("ann", "k", D)
    for account, key in (("ann", "l"), ("bob", "k")):
        answers.begin(account, key, D)
    answers.forget("ann", "k")
    assert answers.begin("ann", "k", E) is None
    for account, key in (("ann", "l"), ("bob", "k")):
        with pytest.raises(InFlight):  # what was not forgotten goes on
            answers.begin(account, key, D)


def test_a_lost_call_can_be_repeated_after_the_timeout(store: Store) -> None:
    answers = IdempotencyRecords(store, timedelta(0))
    answers.begin("ann", "k", D)
    assert answers.begin("ann", "k", D) is None


def test_a_lost_call_is_repeated_only_once(store: Store) -> None:
    answers = IdempotencyRecords(store, timedelta(hours=1))
    answers.begin("ann", "k", D)
    with store.session() as session:
        session.execute(update(IdempotencyRow).values(began=datetime.now(UTC) - timedelta(hours=2)))
    assert answers.begin("ann", "k", D) is None
    with pytest.raises(InFlight):
        answers.begin("ann", "k", D)
