"""The store of promotions: states, votes, and one open promotion of an industry at a time."""

from __future__ import annotations

import pytest

from limner.core.errors import LimnerError
from limner.core.promotions import PromotionStatus
from limner.core.requests import AdapterUse, GenerateRequest
from limner.store.promotions import PromotionStore
from limner.store.runs import Store

OLD, NEW = AdapterUse(path="folder:" + "0" * 64), AdapterUse(path="folder:" + "1" * 64)
TRAINING, VOTING = (PromotionStatus.TRAINING,), (PromotionStatus.VOTING,)


@pytest.fixture
def store(tmp_path):
    runs = Store(tmp_path)
    promotions = PromotionStore(runs)
    promotions.run = runs.create(GenerateRequest(prompt="a cat")).id  # type: ignore[attr-defined]
    return promotions


def add(store, industry="food", image=False, ratings=50):
    return store.add(industry, image, OLD, ratings, 20)


def test_an_industry_has_one_open_promotion_for_each_kind_of_call(store):
    first = add(store)
    assert add(store) is None
    assert add(store, image=True) is not None and add(store, industry="travel") is not None
    assert store.change(first, TRAINING, PromotionStatus.DECLINED)
    assert add(store, ratings=40) is not None
    assert (store.last_ratings("food", False), store.last_ratings("finance", False)) == (40, 0)


def test_a_change_of_another_state_does_nothing(store):
    promotion = add(store)
    assert not store.change(promotion, VOTING, PromotionStatus.PROMOTED)
    assert store.change(promotion, TRAINING, PromotionStatus.VOTING, ["it wins"], candidate=NEW)
    assert store.change(promotion, VOTING, PromotionStatus.PROMOTED, ["15 of 20 votes"], "ann")
    found = store.get(promotion)
    assert (found.original, found.candidate) == (OLD, NEW)
    assert [(each.status, each.account, each.why) for each in found.steps[1:]] == [
        ("voting", "", ("it wins",)),
        ("promoted", "ann", ("15 of 20 votes",)),
    ]
    assert found.why == ("15 of 20 votes",) and found.steps[0].time <= found.steps[2].time
    assert [each.id for each in store.list((PromotionStatus.PROMOTED,))] == [promotion] and store.list(VOTING) == []


def test_each_account_has_one_vote_for_a_pair(store):
    promotion = add(store)
    store.change(promotion, TRAINING, PromotionStatus.VOTING)
    store.vote(promotion, "ann", 0, "new")
    store.vote(promotion, "bob", 0, "old")
    store.vote(promotion, "ann", 1, "tie")
    found = store.vote(promotion, "ann", 0, "old")
    assert (found.votes, found.new, found.old, found.ties) == (2, 0, 2, 1)
    assert store.voted(promotion, "ann") == {0: "old", 1: "tie"}


def test_votes_count_only_while_they_are_asked_for(store):
    promotion = add(store)
    with pytest.raises(LimnerError, match="training"):
        store.vote(promotion, "ann", 0, "new")
    with pytest.raises(LimnerError, match="no improvement 99"):
        store.vote(99, "ann", 0, "new")


def test_a_promotion_outlives_its_run(store):
    from sqlalchemy import delete

    from limner.store.tables import RunRow

    promotion = add(store)
    store.assign(promotion, store.run)
    assert store.get(promotion).run == store.run
    with store.database.writing() as session:
        session.execute(delete(RunRow))
    assert store.get(promotion).run is None
