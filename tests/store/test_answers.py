"""A key is good for one call, and its answer is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from limner.core.errors import LimnerError
from limner.store.answers import Answer, Answers, InFlight
from limner.store.runs import Store

D, E = "d" * 64, "e" * 64


def test_the_answer_is_given_again(store: Store) -> None:
    answers, answer = Answers(store, timedelta(hours=1)), Answer(201, {"location": "/x"}, b"\x00body")
    assert answers.begin("ann", "k", D) is None
    with pytest.raises(InFlight, match="'k' goes on"):
        answers.begin("ann", "k", D)
    assert answers.begin("bob", "k", D) is None, "keys of another account are other keys"
    answers.keep("ann", "k", answer)
    assert answers.begin("ann", "k", D) == answer
    with pytest.raises(LimnerError, match="'k' was used for another call"):
        answers.begin("ann", "k", E)


def test_a_call_that_came_to_nothing_may_be_sent_again(store: Store) -> None:
    answers = Answers(store, timedelta(hours=1))
    answers.begin("ann", "k", D)
    answers.forget("ann", "k")
    assert answers.begin("ann", "k", E) is None


def test_a_call_that_never_ended_is_not_waited_for_for_ever(store: Store) -> None:
    answers = Answers(store, timedelta(0))
    answers.begin("ann", "k", D)
    assert answers.begin("ann", "k", D) is None
