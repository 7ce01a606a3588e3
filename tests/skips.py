"""Which tests may be skipped in automatic checks."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import pytest

EXPECTED = ("the photographs", "the administrator may write everywhere", "the starter's weights are not in")
"""How the reasons begin."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def unless_unexpected(report: Report, call: pytest.CallInfo[Any] | None) -> Report:
    """The report; where the environment variable CI is set, a failure if it is of a skip that is not expected."""
    error = None if call is None or call.excinfo is None else call.excinfo.value
    unexpected = isinstance(error, pytest.skip.Exception) and not str(error).startswith(EXPECTED)
    if "CI" in os.environ and report.skipped and unexpected:
        report.outcome, report.longrepr = "failed", f"skipped, and not for one of the expected reasons: {error}"
    return report
