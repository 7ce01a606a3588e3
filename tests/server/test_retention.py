"""Retention: old runs are erased, files of the profile stay."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from limner.core.errors import Unavailable
from limner.server import erasure
from limner.server.erasure import retention
from limner.server.profile import read_profile
from limner.server.settings import Settings
from limner.studio.maintenance import ErasureResult
from waiting import until

PROMOTED = '["folder:1"]'


class Pruned:
    """A studio that records what it is asked to prune."""

    def __init__(self) -> None:
        self.asked: list[tuple[timedelta | None, list[str]]] = []
        self.maintenance = self.promotions = self

    def used(self) -> str:
        return PROMOTED

    def prune(self, older: timedelta | None, protected: Any = ()) -> ErasureResult:
        self.asked.append((older, list(protected)))
        return ErasureResult()


def test_old_runs_are_pruned_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert erasure.RETENTION_INTERVAL == 6 * 3600
    monkeypatch.setattr(erasure, "RETENTION_INTERVAL", 0.001)
    studio, fails = Pruned(), threading.Event()
    prune = studio.prune

    def prune_or_fail(older: timedelta | None, protected: Any = ()) -> ErasureResult:
        if fails.is_set():
            return prune(older, protected)
        fails.set()
        raise Unavailable("the database is away")

    studio.prune = prune_or_fail  # type: ignore[method-assign]
    with retention(studio, Settings(retention_days=1), read_profile(None)):  # type: ignore[arg-type]
        until("three searches", lambda: len(studio.asked) >= 3, 20)
    ended = len(studio.asked)
    time.sleep(0.1)
    assert len(studio.asked) <= ended + 1, "it ends with the server"


@pytest.mark.parametrize(("days", "older"), [(None, None), (30, timedelta(days=30)), (0.5, timedelta(hours=12))])
def test_old_runs_are_pruned(days: float | None, older: timedelta | None) -> None:
    studio, profile = Pruned(), read_profile(None)
    adapter = "sha256:" + "a" * 64
    profile = profile.model_copy(update={"text": profile.text.model_validate({"adapter": [{"path": adapter}]})})
    with retention(studio, Settings(retention_days=days), profile):  # type: ignore[arg-type]
        until("a search", lambda: studio.asked, 20)
    ((asked, protected),) = studio.asked
    assert asked == older and adapter in "".join(protected) and PROMOTED in protected
