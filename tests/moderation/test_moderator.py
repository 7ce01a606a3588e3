"""Moderator: checks in order up to the first refusal, for each text."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import BaseModel

from limner.core.moderation import (
    CheckStage,
    CheckUnavailable,
    CheckUse,
    Finding,
    JudgeFunction,
    Policy,
    RequestRefused,
)
from limner.moderation import moderator as moderators
from limner.moderation.moderator import Moderator


class Bans:
    """Refuses texts with a word; fails for "broken"."""

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
    """A policy without the word list, which every policy has for prompts."""
    return Policy(picture=uses, input=uses)


def judged(*uses: CheckUse, subject: str = "a bad, worse picture") -> Any:
    return Moderator(policy(*uses)).judge(CheckStage.IMAGE, subject, "0" * 64, "the image was withheld")


def test_checks_stop_at_the_first_refusal(check: Bans) -> None:
    judgement = judged(use("good"), use("worse"), use("bad"))
    assert [(verdict.allowed, verdict.category) for verdict in judgement.verdicts] == [
        (True, None),
        (False, "holds worse"),
    ]
    assert isinstance(judgement.refusal, RequestRefused) and judgement.refusal.category == "holds worse"
    assert {verdict.score for verdict in judgement.verdicts} == {0.25} and check.loaded == ["good", "worse"]
    assert judged(use("good")).refusal is None


def test_a_required_check_that_fails_refuses(check: Bans) -> None:
    judgement = judged(use("broken"), use("good"))
    (verdict,) = judgement.verdicts
    assert isinstance(judgement.refusal, CheckUnavailable) and (verdict.allowed, verdict.skipped) == (False, True)


def test_an_optional_check_that_fails_is_skipped(check: Bans) -> None:
    judgement = judged(use("broken", required=False), use("good"))
    assert judgement.refusal is None
    assert [(verdict.allowed, verdict.skipped) for verdict in judgement.verdicts] == [(True, True), (True, False)]
    refused = judged(use("bad", required=False))
    assert isinstance(refused.refusal, RequestRefused), "what it refuses is refused all the same"


def test_checks_are_loaded_once_per_options(check: Bans) -> None:
    moderator = Moderator(policy(use("bad"), use("worse"), use("bad", required=False)))
    for subject in ("good", "good"):
        assert moderator.judge(CheckStage.IMAGE, subject, "0" * 64, "x").refusal is None
    assert check.loaded == ["bad", "worse"]


def test_texts_are_judged_up_to_the_first_refusal(check: Bans, monkeypatch: pytest.MonkeyPatch) -> None:
    moderator = Moderator(Policy())  # the stand-in replaces its word list
    judgement = moderator.judge_texts(["a cat", "a bad cat", "a dog"], "a caption is refused")
    assert [(verdict.subject, verdict.allowed) for verdict in judgement.verdicts] == [
        (hashlib.sha256(b"a cat").hexdigest(), True),
        (hashlib.sha256(b"a bad cat").hexdigest(), False),
    ]
    assert judgement.text == "a bad cat" and str(judgement.refusal).startswith("a caption is refused: holds bad")
    fine = moderator.judge_texts(["a cat", "a dog"], "x")
    assert (len(fine.verdicts), fine.refusal, fine.text) == (2, None, None)
