"""Judging by a policy with made-up checks: in order, up to the first that refuses, each text by itself."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import BaseModel

from limner.core.moderation import CheckStage, CheckUse, Finding, JudgeFunction, Policy, RequestRefused, Unable
from limner.moderation import moderator as moderators
from limner.moderation.moderator import Moderator


class Bans:
    """Refuses what holds a word; told "broken", it cannot judge."""

    class Options(BaseModel):
        word: str = "bad"

    texts = pictures = True

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def ready(self, options: Any) -> JudgeFunction:
        self.loaded.append(options.word)

        def judge(subject: Any) -> Finding:
            if options.word == "broken":
                raise OSError("it is down")
            return Finding(f"holds {options.word}" if options.word in str(subject) else None, 0.25)

        return judge


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Bans:
    found = Bans()
    monkeypatch.setattr(moderators, "check_for", lambda stage, name: found)
    return found


def use(word: str = "bad", required: bool = True) -> CheckUse:
    return CheckUse(check="bans", required=required, options={"word": word})


def policy(*uses: CheckUse) -> Policy:
    """A policy without the shipped list, which every policy has of its prompts."""
    return Policy(picture=uses, input=uses)


def judged(*uses: CheckUse, subject: str = "a bad, worse picture") -> Any:
    return Moderator(policy(*uses)).judge(CheckStage.PICTURE, subject, "0" * 64, "the picture was withheld")


def test_the_first_check_that_refuses_is_the_last_that_is_asked(check: Bans) -> None:
    said = judged(use("good"), use("worse"), use("bad"))
    assert [(verdict.allowed, verdict.category) for verdict in said.verdicts] == [(True, None), (False, "holds worse")]
    assert isinstance(said.refusal, RequestRefused) and said.refusal.category == "holds worse"
    assert {verdict.score for verdict in said.verdicts} == {0.25} and check.loaded == ["good", "worse"]
    assert judged(use("good")).refusal is None


def test_a_check_that_cannot_judge_refuses_where_it_is_required(check: Bans) -> None:
    said = judged(use("broken"), use("good"))
    (verdict,) = said.verdicts
    assert isinstance(said.refusal, Unable) and (verdict.allowed, verdict.skipped) == (False, True)


def test_a_check_that_is_not_required_is_skipped_and_noted(check: Bans) -> None:
    said = judged(use("broken", required=False), use("good"))
    assert said.refusal is None
    assert [(verdict.allowed, verdict.skipped) for verdict in said.verdicts] == [(True, True), (True, False)]
    refused = judged(use("bad", required=False))
    assert isinstance(refused.refusal, RequestRefused), "what it refuses is refused all the same"


def test_a_check_is_loaded_once_for_the_same_options_and_anew_for_others(check: Bans) -> None:
    moderator = Moderator(policy(use("bad"), use("worse"), use("bad", required=False)))
    for subject in ("good", "good"):
        assert moderator.judge(CheckStage.PICTURE, subject, "0" * 64, "x").refusal is None
    assert check.loaded == ["bad", "worse"]


def test_all_texts_are_judged_up_to_the_first_that_is_refused(check: Bans, monkeypatch: pytest.MonkeyPatch) -> None:
    moderator = Moderator(Policy())  # the stand-in takes the place of its list of words
    told = moderator.judge_texts(["a cat", "a bad cat", "a dog"], "a caption is refused")
    assert [(verdict.subject, verdict.allowed) for verdict in told.verdicts] == [
        (hashlib.sha256(b"a cat").hexdigest(), True),
        (hashlib.sha256(b"a bad cat").hexdigest(), False),
    ]
    assert told.text == "a bad cat" and str(told.refusal).startswith("a caption is refused: holds bad")
    fine = moderator.judge_texts(["a cat", "a dog"], "x")
    assert (len(fine.verdicts), fine.refusal, fine.text) == (2, None, None)
