"""The OpenAPI document is current, and responses match it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from schemathesis.cli import schemathesis

from limner.server.openapi import openapi_json
from serving import service

KEPT = Path(__file__).parents[2] / "docs" / "openapi.json"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def test_the_openapi_document_is_current() -> None:
    remedy = "python -m limner.server.openapi > docs/openapi.json, and review the changes"
    assert KEPT.read_text(encoding="utf-8") == openapi_json(), remedy


@pytest.mark.slow
def test_responses_match_the_openapi_document(home: Path, starter: Path) -> None:
    """The coverage phase sends every value of every field, which takes most of the time."""
    flags = ["--phases", "examples,coverage,fuzzing", "--max-examples", "2", "--request-timeout", "150"]
    flags += ["--checks", ",".join(CHECKS), "--suppress-health-check", "all", "--generation-database", "none"]
    flags += ["--seed", "1", "--no-color"]
    with service(home, run_seconds=1, wait_seconds=120) as running:
        done = CliRunner().invoke(schemathesis, ["run", f"{running.call.address}/openapi.json", *flags])
    assert done.exit_code == 0, done.output[-6000:]
