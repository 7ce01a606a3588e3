"""What the targets of the Makefile install."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def dry_run(target: str, venv: Path) -> str:
    """The commands that a target would run with an environment that does not exist yet."""
    command = ["make", "--dry-run", target, f"VENV={venv}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["demo", "venv"])
def test_users_get_no_tools_for_tests(target: str, tmp_path: Path) -> None:
    commands = dry_run(target, tmp_path / "new")
    assert "--group dev" not in commands and "nodejs" not in commands
    assert '-e ".[prepare,evaluate]"' in commands


@pytest.mark.parametrize("target", ["test", "test-long", "check", "mutants", "venv-dev"])
def test_developers_get_them_too(target: str, tmp_path: Path) -> None:
    commands = dry_run(target, tmp_path / "new")
    assert commands.index('-e ".[prepare,evaluate]"') < commands.index("--group dev")
