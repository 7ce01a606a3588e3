"""Retention: old runs are erased, files of the profile stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from limner.server.erasure import retention
from limner.server.profile import read_profile
from limner.server.settings import Settings
from limner.studio.maintenance import ErasureResult


class Pruned:
    """A studio that records what it is asked to prune."""

    def __init__(self) -> None:
        self.asked: list[tuple[timedelta | None, list[str]]] = []
        self.maintenance = self

    def prune(self, older: timedelta | None, protected: Any = ()) -> ErasureResult:
        self.asked.append((older, list(protected)))
        return ErasureResult()


@pytest.mark.parametrize(("days", "older"), [(None, None), (30, timedelta(days=30)), (0.5, timedelta(hours=12))])
def test_old_runs_are_pruned(days: float | None, older: timedelta | None) -> None:
    studio, profile = Pruned(), read_profile(None)
    adapter = "sha256:" + "a" * 64
    profile = profile.model_copy(update={"text": profile.text.model_validate({"adapter": [{"path": adapter}]})})
    with retention(studio, Settings(retention_days=days), profile):  # type: ignore[arg-type]
        while not studio.asked:
            pass
    ((asked, protected),) = studio.asked
    assert asked == older and adapter in "".join(protected)
