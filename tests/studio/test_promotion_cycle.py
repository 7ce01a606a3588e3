"""The cycle of a team: improvements start after new ratings, wait for votes, and are used, restored and promoted."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from gallery import add_image
from improvements import LOST, PLAN, PROMPTS, finish, rate, start, store_adapter, vote_for, voting
from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.promotions import ImprovementPlan, PromotionStatus
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.store.tables import PromotionRow
from limner.studio.maintenance import EraseSelection
from limner.studio.promotions import PRIORITY, STARTING
from limner.studio.studio import Studio

ANN, BOB, ADMIN = (
    Caller(account=name, role=role) for name, role in (("ann", Role.MAKER), ("bob", Role.MAKER), ("eve", Role.ADMIN))
)
METRICS = ImprovementPlan(after=10, by="metrics")


@pytest.fixture
def studio(home):
    made = Studio(home)
    yield made
    made.close()


def runs_of(studio):
    return studio.runs.list(kind="improve")


def test_an_improvement_starts_after_so_many_new_ratings_and_not_before(studio):
    old, other = store_adapter(studio, "old"), store_adapter(studio, "other")
    rate(studio, old, 9, "food")
    rate(studio, store_adapter(studio, "of others"), 20, "travel")
    assert start(studio, [old, other], "Food") is None and not runs_of(studio)
    rate(studio, old, 1, first=9)
    started = start(studio, [old, other], " FOOD ")
    (run,) = runs_of(studio)
    assert (started.run, started.industry, started.original, started.needed) == (run.id, "food", old, 6)
    assert (run.priority, run.tags, run.owner) == (PRIORITY, {"industry": "food"}, "") and PRIORITY < 0
    assert (run.request.industry, run.request.model, str(run.request.target)) == ("food", "starter", old.path)
    assert start(studio, [old, other]) is None, "one at a time"
    finish(studio, run.id)
    studio.promotions.follow()
    studio.promotions.restore(started.id, "")
    assert start(studio, [old, other]) is None, "no rating is new"
    rate(studio, old, 9, first=10)
    assert start(studio, [old, other]) is None
    rate(studio, other, 1, first=19)
    assert start(studio, [old, other]) is not None, "the ratings of all adapters count"


def test_erased_ratings_lead_to_another_improvement(studio):
    old = store_adapter(studio, "old")
    rate(studio, old, 10)
    gone = rate(studio, old, 10, first=10)
    started = start(studio, [old])
    studio.runs.cancel(started.run)
    studio.promotions.follow()
    assert start(studio, [old]) is None
    studio.maintenance.erase(EraseSelection(images=(gone,)))
    assert start(studio, [old]) is not None


def test_two_processes_start_one_run(studio, home):
    old, ready, found = store_adapter(studio, "old"), threading.Barrier(4), []
    rate(studio, old, 10)

    def race():
        own = Studio(home)
        ready.wait()
        found.append(start(own, [old]))
        own.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each is not None for each in found) == 1 and len(runs_of(studio)) == 1


def test_a_refused_improvement_is_recorded_and_not_tried_each_minute(studio):
    old = store_adapter(studio, "old")
    rate(studio, old, 10)
    started = studio.promotions.start("food", False, [old], PLAN, "/nowhere/model")
    assert started.status is PromotionStatus.FAILED and "could not be queued" in started.why[0]
    assert start(studio, [old]) is None and not runs_of(studio)


def test_a_finished_improvement_waits_for_votes_which_decide(studio):
    promotion, old, new = voting(studio)
    assert (promotion.status, promotion.candidate) == (PromotionStatus.VOTING, new)
    assert promotion.why[0].startswith("preference accuracy")
    vote_for(studio, promotion, ADMIN, "tie", 2)
    promotion = vote_for(studio, promotion, ADMIN, "new", 5)
    assert (promotion.status, promotion.votes, promotion.ties) == (PromotionStatus.VOTING, 5, 2), "ties do not decide"
    assert (promotion.blind.new, promotion.blind.old) == (None, None)
    promotion = vote_for(studio, promotion, ADMIN, "new", 1)
    assert promotion.status is PromotionStatus.PROMOTED and promotion.blind.new == 6
    assert promotion.why == ("6 of 6 votes for the new one (100%, 95% interval 61% to 100%): more than chance",)
    assert studio.promotions.adapters("Food", False, [old]) == (old, new)
    assert (
        studio.promotions.adapters("travel", False, [old]) == studio.promotions.adapters("food", True, [old]) == (old,)
    )
    with pytest.raises(LimnerError, match="the comparison is promoted"):
        studio.promotions.cast(promotion.id, ADMIN, 0, "left")


def test_a_majority_that_may_be_chance_does_not_decide_for_the_new_one(studio):
    promotion, old, _ = voting(studio)
    vote_for(studio, promotion, ADMIN, "old", 1)
    promotion = vote_for(studio, promotion, ADMIN, "new", 5)
    assert promotion.status is PromotionStatus.DECLINED, "5 of 6: the interval begins at 44%"
    assert "that may be chance" in promotion.why[0] and studio.promotions.adapters("food", False, [old]) == (old,)


@pytest.mark.parametrize(("replaces", "status"), [(True, "promoted"), (False, "declined")])
def test_the_record_decides_where_the_profile_says_so(studio, replaces, status):
    old = store_adapter(studio, "old")
    rate(studio, old, 10)
    started = start(studio, [old], plan=METRICS)
    finish(studio, started.run, replaces=replaces, why=["it loses diversity"], measured=[LOST])
    studio.promotions.follow()
    found = studio.promotions.get(started.id)
    assert (found.status, found.why, found.needed) == (status, ("it loses diversity",), 0)


def test_the_record_decides_where_there_is_nothing_to_vote_on(studio):
    promotion, _, _ = voting(studio, prompts=())
    assert promotion.status is PromotionStatus.PROMOTED and "no images to vote on" in promotion.why[-1]


def test_an_improvement_ends_with_its_run(studio):
    old = store_adapter(studio, "old")
    rate(studio, old, 10)
    started = start(studio, [old])
    queue = Queue(studio.store, lease=timedelta(minutes=5))
    ((_, lease),) = queue.claim("worker", 1)
    queue.finish(lease, Status.FAILED, "there is too little feedback; collect more")
    studio.promotions.follow()
    found = studio.promotions.get(started.id)
    assert (found.status, found.why) == (PromotionStatus.FAILED, ("there is too little feedback; collect more",))


def test_restored_in_one_call_and_promoted_again_with_every_step_recorded(studio):
    promotion, old, new = voting(studio)
    vote_for(studio, promotion, ADMIN, "new", 6)
    restored = studio.promotions.restore(promotion.id, "eve")
    assert restored.status is PromotionStatus.RESTORED and studio.promotions.adapters("food", False, [old]) == (old,)
    with pytest.raises(LimnerError, match="is restored; take back one that is in use"):
        studio.promotions.restore(promotion.id, "eve")
    again = studio.promotions.promote(promotion.id, "eve")
    assert studio.promotions.adapters("food", False, [old]) == (old, new)
    assert [(each.status, each.account) for each in again.steps] == [
        ("training", ""), ("voting", ""), ("promoted", ""), ("restored", "eve"), ("promoted", "eve"),
    ]  # fmt: skip
    assert all(each.why for each in again.steps) and sorted(each.time for each in again.steps)[0] == again.steps[0].time


def test_an_admin_ends_a_vote_with_the_old_one(studio):
    promotion, _, _ = voting(studio)
    found = studio.promotions.restore(promotion.id, "eve")
    assert (found.status, found.why) == (PromotionStatus.DECLINED, ("the vote was ended by eve",))
    assert studio.promotions.promote(promotion.id, "eve").status is PromotionStatus.PROMOTED


def test_sides_are_mixed_by_account_and_pair_and_stay(studio):
    promotion, _, _ = voting(studio)
    sides = {}
    for caller in [Caller(account=f"admin{number}") for number in range(5)]:
        shown = studio.promotions.shown_pairs(promotion, caller)
        assert shown == studio.promotions.shown_pairs(promotion, caller)
        news = {each.number: each.new for each in studio.promotions.pairs(promotion)}
        sides[caller.account] = [(each.number, each.left == news[each.number]) for each in shown]
    lefts = [left for each in sides.values() for _, left in each]
    assert len(lefts) == 40 and 8 <= sum(lefts) <= 32
    assert len({tuple(each) for each in sides.values()}) == 5 and all(sorted(each) for each in sides.values())


def test_an_account_votes_on_its_own_prompts_only(studio):
    promotion, _, _ = voting(studio)
    add_image(studio, PROMPTS[1].upper(), owner="ann")
    assert {each.prompt for each in studio.promotions.shown_pairs(promotion, ANN)} == {PROMPTS[1]}
    assert studio.promotions.shown_pairs(promotion, BOB) == []
    hidden = next(each.number for each in studio.promotions.pairs(promotion) if each.prompt == PROMPTS[0])
    for caller, pair in ((ANN, hidden), (BOB, hidden), (ADMIN, 999)):
        with pytest.raises(LimnerError, match=f"there is no pair {pair}"):
            studio.promotions.cast(promotion.id, caller, pair, "left")
    vote_for(studio, promotion, ANN, "new", 4)
    assert [each.vote is None for each in studio.promotions.shown_pairs(promotion, ANN)] == [False] * 4


def test_a_vote_is_shown_on_its_side_and_can_be_changed(studio):
    promotion, _, _ = voting(studio)
    first = studio.promotions.shown_pairs(promotion, ADMIN)[0]
    for choice in ("left", "right", "tie"):
        studio.promotions.cast(promotion.id, ADMIN, first.number, choice)
        assert studio.promotions.shown_pairs(promotion, ADMIN)[0].vote == choice
    assert (studio.promotions.get(promotion.id).votes, studio.promotions.get(promotion.id).ties) == (0, 1)


def test_an_erased_run_leaves_the_list_and_no_promoted_adapter_without_files(studio):
    promotion, old, _ = voting(studio)
    vote_for(studio, promotion, ADMIN, "new", 6)
    studio.maintenance.erase(EraseSelection(runs=(promotion.run,)))
    (found,) = studio.promotions.list()
    assert found.run is None and found.status is PromotionStatus.PROMOTED
    assert studio.promotions.pairs(found) == [] and studio.promotions.record(found) is None
    assert studio.promotions.adapters("food", False, [old]) == (old,), "its files are gone"
    studio.promotions.restore(found.id, "eve")
    with pytest.raises(LimnerError, match="files of improvement 1 are not stored"):
        studio.promotions.promote(found.id, "eve")


def test_a_vote_whose_images_were_erased_ends(studio):
    promotion, old, _ = voting(studio)
    studio.maintenance.erase(EraseSelection(runs=(promotion.run,)))
    studio.promotions.follow()
    found = studio.promotions.get(promotion.id)
    assert found.status is PromotionStatus.FAILED and "erased" in found.why[0]
    rate(studio, old, 10, first=20)
    assert start(studio, [old]) is not None, "the industry is free for the next one"


def test_an_improvement_whose_run_was_erased_early_ends(studio):
    old = store_adapter(studio, "old")
    rate(studio, old, 10)
    started = start(studio, [old])
    studio.runs.cancel(started.run)
    studio.maintenance.erase(EraseSelection(runs=(started.run,)))
    studio.promotions.follow()
    assert studio.promotions.get(started.id).status is PromotionStatus.TRAINING, "another process may be starting it"
    with studio.store.session() as session:
        session.execute(update(PromotionRow).values(created=started.created - STARTING - timedelta(seconds=1)))
    studio.promotions.follow()
    assert studio.promotions.get(started.id).why == ("its run was erased",)


def test_retention_keeps_what_is_promoted_or_waits(studio):
    promotion, _, new = voting(studio)
    sha256 = new.path.partition(":")[2]
    for _ in range(2):
        studio.maintenance.prune(timedelta(0), [studio.promotions.used()])
        assert sha256 in studio.files and studio.runs.get(promotion.run)
        promotion = studio.promotions.promote(promotion.id, "") if promotion.status == "voting" else promotion
    studio.maintenance.prune(timedelta(0), [])
    assert sha256 not in studio.files, "without that it goes"


def test_votes_go_with_their_account(studio):
    promotion, _, _ = voting(studio)
    vote_for(studio, promotion, ADMIN, "new", 3)
    studio.maintenance.erase(EraseSelection(owner="eve"))
    assert studio.promotions.get(promotion.id).votes == 0
