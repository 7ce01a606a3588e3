"""What is pruned by itself: what is older than so many days, and never what the profile paints with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from limner.server.profile import read_profile
from limner.server.retention import retention
from limner.server.settings import Settings
from limner.studio.maintenance import ErasureResult


class Pruned:
    """A studio that notes what it is asked to prune."""

    def __init__(self) -> None:
        self.asked: list[tuple[timedelta | None, list[str]]] = []
        self.maintenance = self

    def prune(self, older: timedelta | None, protected: Any = ()) -> ErasureResult:
        self.asked.append((older, list(protected)))
        return ErasureResult()


@pytest.mark.parametrize(("days", "older"), [(None, None), (30, timedelta(days=30)), (0.5, timedelta(hours=12))])
def test_what_is_older_than_so_many_days_goes(days: float | None, older: timedelta | None) -> None:
    studio, profile = Pruned(), read_profile(None)
    adapter = "sha256:" + "a" * 64
    profile = profile.model_copy(update={"text": profile.text.model_validate({"adapter": [{"path": adapter}]})})
    with retention(studio, Settings(retention_days=days), profile):  # type: ignore[arg-type]
        while not studio.asked:
            pass
    ((asked, protected),) = studio.asked
    assert asked == older and adapter in "".join(protected)
