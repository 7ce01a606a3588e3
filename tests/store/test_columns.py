"""Tests of which values a column may hold, on both sides of each limit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from limner.store.columns import Base, check_row

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("runs", "priority", 2**31 - 1),
        ("runs", "priority", -(2**31)),
        ("keys", "kept_bytes", 2**63 - 1),
        ("keys", "kept_bytes", None),
        ("runs", "worker", "w" * 64),
        ("runs", "cancel", True),
        ("runs", "error", "ä 🐇\n"),
        ("runs", "created", MOMENT),
        ("pictures", "mean", 0.5),
        ("webhooks", "events", ["run.done"]),
        ("accounts", "name", "a" * 64),
    ],
)
def test_valid_values(table: str, column: str, value: Any) -> None:
    check_row(Base.metadata.tables[table], {column: value})


@pytest.mark.parametrize(
    ("table", "column", "value", "problem"),
    [
        ("runs", "priority", 2**31, "too large"),
        ("runs", "priority", -(2**31) - 1, "too large"),
        ("keys", "kept_bytes", 2**63, "too large"),
        ("runs", "priority", True, "no int"),
        ("runs", "priority", 1.0, "no int"),
        ("runs", "cancel", 1, "no bool"),
        ("runs", "priority", None, "missing"),
        ("runs", "worker", "w" * 65, "longer than 64 characters"),
        ("runs", "worker", 7, "no text"),
        ("runs", "error", "a\0b", "not storable on every database"),
        ("runs", "error", "\ud800", "not storable on every database"),
        ("runs", "worker", "a\nb", "not in the format"),
        ("runs", "status", "asleep", "not in the format"),
        ("runs", "created", MOMENT.replace(tzinfo=None), "no time with a time zone"),
        ("runs", "created", "2026-01-02", "no time with a time zone"),
        ("pictures", "mean", float("inf"), "not finite"),
        ("pictures", "mean", float("nan"), "not finite"),
        ("pictures", "mean", 1, "no float"),
        ("webhooks", "events", {"run.done": 1}, "no list"),
        ("runs", "tags", ["a"], "no dict"),
        ("artifacts", "details", {"reference": "/srv/a"}, "invalid in reference"),
        ("artifacts", "details", {"reference": 7}, "invalid in reference"),
        ("accounts", "name", "-a", "not in the format"),
    ],
)
def test_invalid_values(table: str, column: str, value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"^{column} of '{table}' is .*, which is {problem}"):
        check_row(Base.metadata.tables[table], {column: value})
