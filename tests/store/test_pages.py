"""Tests of lists in pages."""

from __future__ import annotations

from pathlib import Path

from limner.core.moderation import CheckStage, Policy, Verdict
from limner.core.requests import GenerateRequest
from limner.store.runs import Store
from limner.store.verdicts import Verdicts


def test_each_run_is_on_one_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ids = [store.create(GenerateRequest(prompt="a dog")).id for _ in range(5)]
    seen: list[str] = []
    for _ in range(4):
        page = store.list(2, before=seen[-1] if seen else None)
        seen += [run.id for run in page]
    assert seen == ids[::-1]
    store.close()


def test_each_verdict_is_on_one_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    verdicts, policy = Verdicts(store), Policy()
    verdicts.save_policy(policy.digest, policy.text)
    for number in range(5):
        verdict = Verdict(stage=CheckStage.PROMPT, subject=f"{number:064x}", check="words", allowed=True)
        verdicts.add([verdict], policy.digest)
    seen: list[int] = []
    for _ in range(4):
        page = verdicts.list(2, before=seen[-1] if seen else None)
        seen += [verdict.id for verdict in page]
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == len(seen) == 5
    store.close()
