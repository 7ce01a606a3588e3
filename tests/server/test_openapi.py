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


BRIEF = """
[[operations]]
include-path = "/v1/runs"
include-method = "POST"
phases.coverage.enabled = false
[[operations]]
include-path-regex = "^/v1/images/"
phases.coverage.enabled = false
"""
"""Not in the brief run: every value of every request field, which is most of the complete run."""


@pytest.mark.parametrize(
    ("config", "examples"), [(BRIEF, 1), pytest.param("", 2, marks=pytest.mark.slow)], ids=["brief", "whole"]
)
def test_responses_match_the_openapi_document(
    home: Path, tmp_path: Path, starter: Path, config: str, examples: int
) -> None:
    (tmp_path / "schemathesis.toml").write_text(config)
    flags = ["--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--request-timeout", "150"]
    flags += ["--checks", ",".join(CHECKS), "--suppress-health-check", "all", "--generation-database", "none"]
    flags += ["--seed", "1", "--no-color"]
    with service(home, run_seconds=1, wait_seconds=120) as running:
        command = ["--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{running.call.address}/openapi.json"]
        done = CliRunner().invoke(schemathesis, [*command, *flags])
    assert done.exit_code == 0, done.output[-6000:]
