"""A key is good for one call, and its answer is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from limner.core.errors import LimnerError
from limner.store.idempotency import IdempotencyRecords, InFlight, StoredResponse
from limner.store.runs import Store
from limner.store.tables import IdempotencyRow

D, E = "d" * 64, "e" * 64


def test_the_answer_is_given_again(store: Store) -> None:
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


def test_a_call_that_came_to_nothing_may_be_sent_again(store: Store) -> None:
    answers = IdempotencyRecords(store, timedelta(hours=1))
    answers.begin("ann", "k", D)
    for account, key in (("ann", "l"), ("bob", "k")):
        answers.begin(account, key, D)
    answers.forget("ann", "k")
    assert answers.begin("ann", "k", E) is None
    for account, key in (("ann", "l"), ("bob", "k")):
        with pytest.raises(InFlight):  # what was not forgotten goes on
            answers.begin(account, key, D)


def test_a_call_that_never_ended_is_not_waited_for_for_ever(store: Store) -> None:
    answers = IdempotencyRecords(store, timedelta(0))
    answers.begin("ann", "k", D)
    assert answers.begin("ann", "k", D) is None


def test_of_two_that_take_a_lost_call_up_only_one_carries_it_out(store: Store) -> None:
    answers = IdempotencyRecords(store, timedelta(hours=1))
    answers.begin("ann", "k", D)
    with store.session() as session:
        session.execute(update(IdempotencyRow).values(began=datetime.now(UTC) - timedelta(hours=2)))
    assert answers.begin("ann", "k", D) is None
    with pytest.raises(InFlight):
        answers.begin("ann", "k", D)
