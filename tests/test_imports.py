"""Imports run down only. The check reads every import statement of the package, the lazy ones too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import limner

PACKAGE = Path(limner.__file__).parent
FLOORS = (
    ("core",),
    ("registry", "fetch"),
    ("store",),
    ("diffusion",),
    ("families", "methods", "controls", "moderation"),
    ("data",),
    ("metrics", "sources", "detectors", "captioners"),
    ("pages",),
    ("engine",),
    ("safety",),
    ("recipes", "references", "logs"),
    ("studio",),
    ("",),
    ("demo", "exam", "feedback"),
    ("worker", "server"),
    ("terminal", "flags"),
    ("commands",),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
WINGS = ("", "provenance", "scoring", "preparing", "painting", "training", "influence", "trials", "execute")
"""The parts of the engine, from the ground up; "" is what lies in the engine's own folder."""
ROOMS = ("", "reading", "rights", "judging", "cutting", "likeness", "entries", "wording", "variety", "sets")
"""The parts of `data`, likewise."""
PARTED = {"engine": WINGS, "data": ROOMS}
PLUGINS = ("families", "methods", "controls", "moderation", "metrics", "sources", "detectors", "captioners")
SURFACES = {
    "cli": {"commands", "core", "studio", "exam", "flags", "server", ""},
    "commands": {
        "core",
        "recipes",
        "studio",
        "terminal",
        "demo",
        "exam",
        "feedback",
        "flags",
        "server",
        "worker",
        "logs",
    },
    "terminal": {"core"},
    "flags": {"core"},
}
HEAVY = {"torch", "diffusers", "transformers", "peft", "sqlalchemy", "alembic", "numpy", "fastapi"}
SQL = {"sqlalchemy", "alembic"}


def name_of(path: Path) -> str:
    """A file's dotted name below the package: "engine.models", "core" for core/__init__.py, "" for the root."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


@cache
def tree_of(source: str) -> ast.Module:
    return ast.parse(source)


def imports(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Absolute dotted names of everything that a source imports."""
    here = f"limner.{module}".rstrip(".").split(".")
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = here[: len(here) - node.level + is_package]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner.removeprefix("limner.") in MODULES else base


def room_of(module: str) -> str:
    return module.split(".")[0]


def faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """What is wrong with a module's imports, a line each."""
    found = []
    room = room_of(module)
    for target in imports(source, module, is_package):
        top = target.split(".")[0]
        if top in SQL and room != "store":
            found.append(f"{module} imports {top}: only store knows SQL")
        if room in SURFACES and top in HEAVY:
            found.append(f"{module} imports {top}: a surface must start fast")
        if top != "limner":
            continue
        theirs = target.removeprefix("limner").removeprefix(".")
        if upward(module, theirs):
            found.append(f"{module} imports {theirs or 'limner'}: that runs upward")
        if room in SURFACES and room_of(theirs) not in {room, *SURFACES[room]}:
            found.append(f"{module} imports {theirs}: surfaces know studio and core only")
        if room in PLUGINS and room_of(theirs) == room and theirs != room:
            found.append(f"{module} imports its sibling {theirs}")
    return found


def part_of(module: str) -> str:
    room, part = [*module.split("."), ""][:2]
    return part if part in PARTED[room] else ""


def upward(module: str, target: str) -> bool:
    ours, theirs = room_of(module), room_of(target)
    if ours == theirs and ours in PARTED:
        return PARTED[ours].index(part_of(target)) > PARTED[ours].index(part_of(module))
    if ours == "starter" or theirs == "starter":
        return (ours, theirs) != ("starter", "starter") and (ours == "starter" or FLOOR[ours] <= FLOOR["studio"])
    return ours != theirs and FLOOR[theirs] >= FLOOR[ours]


def choices(source: str) -> list[int]:
    """Lines that choose by the name of a family or a method."""
    lines = []
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(_names_plugin, sides)) and any(map(_is_text, sides)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Match) and _names_plugin(node.subject):
            lines.append(node.lineno)
    return lines


def _names_plugin(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in ("family", "method", "family_name", "method_name")


def _is_text(node: ast.expr) -> bool:
    items = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    return bool(items) and all(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in items)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down(module):
    path = MODULES[module]
    room = room_of(module)
    assert room in FLOOR or room == "starter", f"say in this test on which floor the room {room!r} is"
    assert faults(path.read_text(), module, path.name == "__init__.py") == []


@pytest.mark.parametrize("module", sorted(m for m in MODULES if room_of(m) not in PLUGINS))
def test_no_choice_by_plugin_name(module):
    assert choices(MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.requests", "from ..store import runs"),
        ("core.requests", "import limner.engine.training.train"),
        ("store.runs", "def f():\n    from ..engine.training import train"),
        ("engine.training.train", "from ... import studio"),
        ("engine.training.train", "from ...starter.painter import paint"),
        ("engine.painting.generate", "from ..training import train"),
        ("engine.models", "from .provenance.labels import read_label"),
        ("data.reading.photographs", "from ..sets.folder import scan"),
        ("starter.painter.paint", "from limner.core.errors import LimnerError"),
        ("families.sd", "from .sdxl import plugin"),
        ("families.sd", "from . import sdxl"),
        ("families.sd", "from ..methods import lora"),
        ("engine.training.train", "import sqlalchemy.orm"),
        ("studio", "from alembic import command"),
        ("cli", "import torch"),
        ("terminal", "from diffusers import UNet2DConditionModel"),
        ("cli", "from .engine.models import resolve"),
        ("terminal", "from .store.runs import Store"),
        ("studio", "from .cli import main"),
        ("registry", "from . import studio"),
    ],
)
def test_the_check_sees_an_upward_import(module, source):
    assert len(faults(source, module)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "engine.training.train",
            "from ... import registry\nfrom ...core import errors\nfrom .. import models",
        ),
        ("cli", "from .studio import Studio\nfrom . import __doc__"),
        ("demo.job", "from ..starter.painter import paint"),
        ("store.tables", "import sqlalchemy"),
        ("families.sd", "import torch\nfrom ..diffusion.text import tokenise"),
    ],
)
def test_the_check_lets_a_downward_import_be(module, source):
    assert faults(source, module) == []


@pytest.mark.parametrize(
    "source",
    [
        "if family == 'sd': pass",
        "x = 1 if model.family_name != 'sdxl' else 2",
        "if request.method in ('lora', 'full'): pass",
        "match method:\n    case 'lora': pass",
    ],
)
def test_the_check_sees_a_choice(source):
    assert choices(source) == [1]


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [(["--help"], HEAVY), (["--version"], HEAVY), (["generate", "--help"], HEAVY), (["train", "--help"], HEAVY - SQL)],
)
def test_surfaces_start_without_heavy_libraries(arguments, heavy):
    script = f"""
import sys
from limner.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print("HEAVY", sorted({heavy!r} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
