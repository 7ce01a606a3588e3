"""Enforcement of the policy: recorded verdicts, and the policy that judges a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, CheckUse, Policy, RequestRefused
from limner.core.requests import CompareRequest, Contestant, GenerateRequest
from limner.moderation.enforcement import MAX_CHARACTERS
from limner.store.queue import Queue
from limner.store.runs import Lease, LeaseLost
from limner.studio.studio import Studio


def bans(word: str, keep_text: bool = False) -> Policy:
    return Policy(prompt=(CheckUse(check="words", options={"add": [word]}),), keep_text=keep_text)


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home, policy=bans("cat"))
    yield found
    found.store.close()


@pytest.mark.parametrize("keep", [False, True])
def test_refused_prompts_are_stored_if_the_policy_says_so(home: Path, keep: bool) -> None:
    studio = Studio(home, policy=bans("cat", keep_text=keep))
    with pytest.raises(RequestRefused):
        studio.gate.admit(GenerateRequest(prompt="a cat"), "ann")
    (verdict,) = studio.verdicts.list(10)
    assert (verdict.text, verdict.owner, verdict.allowed) == ("a cat" if keep else None, "ann", False)
    assert studio.gate.admit(GenerateRequest(prompt="a dog"), "ann")[0].allowed
    studio.store.close()


@pytest.mark.parametrize("keep", [False, True])
def test_refused_captions_are_stored_if_the_policy_says_so(home: Path, keep: bool) -> None:
    studio = Studio(home, policy=bans("cat", keep_text=keep))
    studio.enqueue(GenerateRequest(prompt="a dog"))
    ((run, hold),) = Queue(studio.store).claim("w", 1)
    with pytest.raises(RequestRefused, match="a caption is refused"):
        studio.gate.screening(run, hold, home).admit_captions(["a dog", "a cat"])
    texts = [(verdict.allowed, verdict.text) for verdict in studio.verdicts.list(2, run=run.id)]
    assert texts == [(False, "a cat" if keep else None), (True, None)]
    studio.store.close()


def test_a_worker_without_the_lease_records_no_verdict(studio: Studio) -> None:
    studio.enqueue(GenerateRequest(prompt="a dog"))
    ((run, hold),) = Queue(studio.store).claim("w", 1)
    before = studio.verdicts.list(10)
    with pytest.raises(LeaseLost):
        studio.gate.screening(run, Lease(run.id, "other", hold.attempt), studio.home).admit_captions(["a dog"])
    assert studio.verdicts.list(10) == before


def test_a_run_is_judged_by_the_policy_that_admitted_it(studio: Studio, home: Path) -> None:
    run = studio.enqueue(GenerateRequest(prompt="a dog"))
    assert run.policy == bans("cat").digest
    later = Studio(home, policy=bans("dog"))
    (claimed,) = Queue(later.store).claim("w", 1)
    screening = later.gate.screening(*claimed, home)
    assert screening.moderator.policy == bans("cat")
    allowed = {text: screening.moderator.judge_texts([text], "x").refusal is None for text in ("a dog", "a cat")}
    assert allowed == {"a dog": True, "a cat": False}
    assert later.gate.moderator.policy == bans("dog"), "the policy of new requests"
    assert later.gate.screening(*claimed, home).moderator is screening.moderator, "its checks are loaded once"
    later.store.close()


def test_each_run_is_judged_by_its_own_policy(studio: Studio, home: Path) -> None:
    studio.enqueue(GenerateRequest(prompt="a dog"))
    other = Studio(home, policy=bans("cow"))
    other.enqueue(GenerateRequest(prompt="a dog"))
    worker = Studio(home)
    claimed = [run for _ in range(2) for run in Queue(worker.store).claim("w", 1)]
    assert [worker.gate.screening(*each, home).moderator.policy for each in claimed] == [bans("cat"), bans("cow")]
    other.store.close()
    worker.store.close()


def test_a_run_without_a_policy_is_judged_by_the_current_one(studio: Studio) -> None:
    run = studio.enqueue(GenerateRequest(prompt="a dog")).model_copy(update={"policy": None})
    assert studio.gate.screening(run, Lease(run.id, "w", 1), studio.home).moderator is studio.gate.moderator


def test_verdicts_name_stage_policy_and_run(studio: Studio) -> None:
    run = studio.enqueue(GenerateRequest(prompt="a dog"))
    (verdict,) = studio.verdicts.list(10, run=run.id)
    assert (verdict.stage, verdict.policy, verdict.check) == (CheckStage.PROMPT, bans("cat").digest, "words")


def words_of(length: int, letter: str = "a") -> CompareRequest:
    """A compare request whose prompts have this many characters in total."""
    prompts = [f"{start:06}".ljust(min(10_000, length - start), letter) for start in range(0, length, 10_000)]
    return CompareRequest(contestants=(Contestant(model="a"), Contestant(model="b")), prompt=tuple(prompts))


@pytest.mark.parametrize(("length", "letter"), [(MAX_CHARACTERS + 6, "a"), (20_000, "\ufdfa")])
def test_prompts_beyond_the_limit_are_refused(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, length: int, letter: str
) -> None:
    monkeypatch.setattr(studio.gate.moderator, "judge_request", lambda request: pytest.fail("they were judged"))
    with pytest.raises(LimnerError, match="characters in total; the limit is 250,000"):
        studio.gate.admit(words_of(length, letter), "ann")


def test_prompts_up_to_the_limit_are_admitted(studio: Studio) -> None:
    assert len(studio.gate.admit(words_of(MAX_CHARACTERS), "ann")) == 25
