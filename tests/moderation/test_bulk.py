"""Many texts are judged as one by one, by however many processes, and also where one of these is killed."""

from __future__ import annotations

import os
import re
import signal
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core import blocked_words
from limner.core.moderation import CheckUnavailable, Policy
from limner.moderation import bulk
from limner.moderation.bulk import BulkJudge
from limner.moderation.moderator import Moderator
from limner.moderation.policy import complete

POLICY = complete(Policy.model_validate({"prompt": [{"check": "words", "options": {"add": ["teapot", "thé"]}}]}))
TEXTS = [f"a cat {number}{' with a TEAPOT' if number % 7 == 3 else ''}" for number in range(50)]
TEXTS += ["du thé", "\u2028é\n"]
REFUSED = {text for text in TEXTS if "TEAPOT" in text} | {"du thé"}


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(bulk, "FEW", 10)
    monkeypatch.setattr(bulk, "_cores", lambda: 3)


def test_few_texts_need_no_process():
    with BulkJudge(Moderator(POLICY)) as judge:
        assert judge.refused(TEXTS) == REFUSED and judge.refused([]) == set()
        assert judge._processes is None


def test_processes_judge_as_one_does(two):
    with BulkJudge(Moderator(POLICY)) as judge:
        assert judge.refused(TEXTS) == REFUSED
        assert judge.refused(["a teapot"]) == {"a teapot"}
        processes = [*(judge._processes or ())]
        assert len(processes) == 2 and all(process.poll() is None for process in processes)
        processes[0].send_signal(signal.SIGKILL)
        assert judge.refused(TEXTS) == REFUSED
        processes[0].wait()
        processes[1].send_signal(signal.SIGSTOP)
        os.kill(processes[1].pid, signal.SIGKILL)
        processes[1].wait()
        assert judge.refused(TEXTS) == REFUSED and judge._processes == []
    assert all(process.poll() is not None for process in processes)


def test_a_process_ends_with_its_input(two):
    judge = BulkJudge(Moderator(POLICY))
    (first, second) = judge._started()
    assert first.stdin is not None
    first.stdin.close()
    assert first.wait(60) == 0 and second.poll() is None
    judge.__exit__(None, None, None)


def test_a_check_that_cannot_judge_stops_an_import(two, monkeypatch):
    def broken(text: str):
        raise OSError("no answer")

    moderator = Moderator(POLICY)
    monkeypatch.setattr(moderator, "_judge_of", lambda stage, use: broken)
    with BulkJudge(moderator) as judge, pytest.raises(CheckUnavailable, match="is required and cannot judge now"):
        judge.refused(TEXTS)


def test_other_checks_are_used_by_this_process_alone(two):
    policy = Policy.model_validate({"prompt": [{"check": "service", "options": {"url": "http://localhost:1"}}]})
    assert BulkJudge(Moderator(policy))._started() == []


@given(st.text() | st.text(string.printable) | st.text("ab l1|!@$€+0 8.,"))
def test_texts_without_figures_are_judged_as_they_were(text):
    """The forms of a text that undo figures are left out where it has none, because they are the text itself."""
    short = blocked_words.variants(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocked_words, "_FIGURE", re.compile(""))
        assert blocked_words.variants(text) == short
