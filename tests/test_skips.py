"""Skips that automatic checks do not expect are failures there, and nowhere else."""

from __future__ import annotations

import pytest

from skips import unless_unexpected


def report_of(reason: str) -> pytest.TestReport:
    """What becomes of a test that is skipped for a reason."""

    def skipped() -> None:
        pytest.skip(reason)

    report = pytest.TestReport("test", ("test.py", 1, "test"), {}, "skipped", ("test.py", 1, reason), "call")
    return unless_unexpected(report, pytest.CallInfo.from_call(skipped, "call"))


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("the photographs are not here", "skipped"), ("could not import 'tensorboard'", "failed")],
)
def test_only_expected_skips_are_skips_in_automatic_checks(monkeypatch, reason, outcome):
    monkeypatch.setenv("CI", "true")
    report = report_of(reason)
    assert report.outcome == outcome and reason in str(report.longrepr)


def test_elsewhere_every_skip_is_one(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    assert report_of("could not import 'tensorboard'").outcome == "skipped"


def test_a_test_that_passes_is_left_alone(monkeypatch):
    monkeypatch.setenv("CI", "true")
    report = pytest.TestReport("test", ("test.py", 1, "test"), {}, "passed", None, "call")
    assert unless_unexpected(report, pytest.CallInfo.from_call(lambda: None, "call")).outcome == "passed"
