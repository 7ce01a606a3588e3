"""Imports run down only. The check reads every import statement of the package, the lazy ones too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import limner

PACKAGE = Path(limner.__file__).parent
LAYERS = (
    ("core",),
    ("plugins.registry", "fetch", "stats"),
    ("imaging",),
    ("store",),
    ("provenance",),
    ("data",),
    ("models",),
    ("plugins",),
    ("reports",),
    ("engine",),
    ("moderation",),
    ("studio",),
    ("",),
    ("starter",),
    ("workers", "server"),
    ("web",),
    ("cli",),
)
"""Packages from the lowest layer up; "" is `limner` itself. The registry loads plugins by name and imports none."""
LAYER = {package: number for number, packages in enumerate(LAYERS) for package in packages}
PARTS = {
    "engine": (
        "scoring",
        "generate",
        "train",
        "influence",
        "prepare",
        "sweep",
        "compare",
        "evaluate",
        "improve",
        "execute",
    ),
    "data": ("", "quality", "duplicates", "entries", "preferences", "prompts", "captions", "diversity", "sets"),
    "cli": ("output", "flags", "terminal", "recipes", "commands", "app", "", "__main__"),
}
"""The parts of packages, likewise."""
PLUGINS = (
    "families",
    "methods",
    "controls",
    "checks",
    "metrics",
    "sources",
    "detectors",
    "captioners",
)
SURFACES = {
    "cli": {"core", "studio", "starter", "server", "workers", "web", ""},
    "web": {"core", "studio", "server", ""},
}
FRAMEWORKS = {"web": {"fastapi"}}
"""What a surface is made with, heavy or not."""
STORELESS = {"cli", "server", "web"}
"""Surfaces use the store only through the sub-facades of the studio."""
HEAVY = {"torch", "diffusers", "transformers", "peft", "sqlalchemy", "alembic", "numpy", "fastapi"}
SQL = {"sqlalchemy", "alembic"}


def name_of(path: Path) -> str:
    """A file's dotted name below the package: "engine.models", "core" for core/__init__.py, "" for the root."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


@cache
def nodes_of(source: str) -> list[ast.AST]:
    return [*ast.walk(ast.parse(source))]


def imports(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Absolute dotted names of everything that a source imports."""
    here = f"limner.{module}".rstrip(".").split(".")
    for node in nodes_of(source):
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


def package_of(module: str) -> str:
    """The package, or the module beside them, in which a module lies: "engine", "plugins.registry"."""
    return module if module in LAYER else module.split(".")[0]


def faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """What is wrong with a module's imports, a line each."""
    found = []
    package = package_of(module)
    for target in imports(source, module, is_package):
        top = target.split(".")[0]
        if top in SQL and package != "store":
            found.append(f"{module} imports {top}: only store knows SQL")
        if package in SURFACES and top in HEAVY - FRAMEWORKS.get(package, set()):
            found.append(f"{module} imports {top}: a surface must start fast")
        if top != "limner":
            continue
        theirs = target.removeprefix("limner").removeprefix(".")
        if upward(module, theirs):
            found.append(f"{module} imports {theirs or 'limner'}: that is a higher layer")
        if package in SURFACES and package_of(theirs) not in {package, *SURFACES[package]}:
            found.append(f"{module} imports {theirs}: surfaces know studio and core only")
        if package in STORELESS and package_of(theirs) == "store":
            found.append(f"{module} imports {theirs}: surfaces use the studio's parts, such as studio.runs")
        if plugin_of(module) and plugin_of(theirs) and plugin_of(module) != plugin_of(theirs):
            found.append(f"{module} imports another plugin, {theirs}")
    return found


def plugin_of(module: str) -> str:
    """The name of a plugin's module below `plugins`, such as "families.sd"; "" for all else."""
    parts = module.split(".")
    return ".".join(parts[1:3]) if parts[0] == "plugins" and len(parts) > 2 else ""


def part_of(module: str) -> str:
    package, part = [*module.split("."), ""][:2]
    return part if part in PARTS[package] else ""


def upward(module: str, target: str) -> bool:
    ours, theirs = package_of(module), package_of(target)
    if ours == theirs:
        return ours in PARTS and _order(target) > _order(module)
    return LAYER[theirs] >= LAYER[ours]


def _order(module: str) -> int:
    parts = PARTS[package_of(module)]
    return parts.index(part_of(module)) if part_of(module) in parts else -1


def choices(source: str) -> list[int]:
    """Lines that choose by the name of a family or a method."""
    lines = []
    for node in nodes_of(source):
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


def test_every_package_has_a_layer():
    missing = {package_of(module) for module in MODULES} - LAYER.keys()
    assert not missing, f"say in this test in which layer {sorted(missing)} are"


def test_imports_go_down():
    found = [faults(path.read_text(), module, path.name == "__init__.py") for module, path in sorted(MODULES.items())]
    assert [line for lines in found for line in lines] == []


def test_no_cycles():
    graph = {
        module: {
            name
            for target in imports(path.read_text(), module, path.name == "__init__.py")
            if (name := target.removeprefix("limner.")) in MODULES and name != module
        }
        for module, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def stores_through_the_studio(source: str) -> list[str]:
    """Lines that reach the store or the gate of a studio."""
    return [
        f"line {node.lineno}: .{node.attr}"
        for node in nodes_of(source)
        if isinstance(node, ast.Attribute)
        and node.attr in ("store", "gate")
        and ast.unparse(node.value).endswith(("studio", "Studio()"))
    ]


def test_surfaces_reach_no_store_through_the_studio():
    surfaces = {module: path for module, path in MODULES.items() if package_of(module) in STORELESS}
    found = {module: stores_through_the_studio(path.read_text()) for module, path in surfaces.items()}
    assert surfaces and {module: lines for module, lines in found.items() if lines} == {}
    source = "self.studio.store.a\nStudio().gate"
    assert sorted(stores_through_the_studio(source)) == ["line 1: .store", "line 2: .gate"]


def test_no_choice_by_plugin_name():
    found = {module: choices(path.read_text()) for module, path in MODULES.items() if not plugin_of(module)}
    assert found and {module: lines for module, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.requests.train", "from limner.store import runs"),
        ("core.requests.train", "import limner.engine.train.train"),
        ("store.runs", "def f():\n    from limner.engine.train import train"),
        ("engine.train.train", "from limner.studio import studio"),
        ("engine.train.train", "from limner.starter.painter import paint"),
        ("engine.generate.generate", "from ..train import train"),
        ("models.loading", "from limner.engine.generate.generate import generate"),
        ("imaging.decode", "from limner.data.sets.folder import scan"),
        ("data.quality.borders", "from ..sets.folder import scan"),
        ("plugins.families.sd", "from .sdxl import plugin"),
        ("plugins.families.sd", "from . import sdxl"),
        ("plugins.families.sd", "from ..methods import lora"),
        ("plugins.registry", "from limner.plugins.families import sd"),
        ("engine.train.train", "import sqlalchemy.orm"),
        ("studio.studio", "from alembic import command"),
        ("cli.app", "import torch"),
        ("cli.terminal", "from diffusers import UNet2DConditionModel"),
        ("cli.app", "from limner.models.loading import resolve"),
        ("cli.terminal", "from limner.store.runs import Store"),
        ("server.runs", "from limner.store.queue import Queue"),
        ("server.app", "def f():\n    from limner.store import blobs"),
        ("web.site", "from limner.models.loading import resolve"),
        ("web.site", "import torch"),
        ("server.app", "from limner.web.site import create_site"),
        ("cli.flags", "from .app import main"),
        ("studio.studio", "from limner.cli import main"),
        ("plugins.registry", "from limner import studio"),
    ],
)
def test_the_check_sees_an_upward_import(module, source):
    assert len(faults(source, module)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "engine.train.train",
            "from limner.plugins import registry\nfrom limner.core import errors\nfrom ..generate import generate",
        ),
        ("cli.app", "from limner.studio.studio import Studio\nfrom limner import __doc__"),
        ("starter.demo.job", "from ..painter import paint"),
        ("store.tables", "import sqlalchemy"),
        ("plugins.families.sd", "import torch\nfrom limner.models.prompts import tokenise"),
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
    ("commands", "heavy"),
    [([["--version"], ["--help"], ["generate", "--help"]], HEAVY), ([["train", "--help"]], HEAVY - SQL)],
)
def test_surfaces_start_without_heavy_libraries(commands, heavy):
    script = f"""
import sys
from limner.cli import main
for arguments in {commands!r}:
    try:
        main(arguments)
    except SystemExit:
        pass
print("HEAVY", sorted({heavy!r} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_processes_that_prepare_images_start_without_torch():
    script = """
import sys
import limner.engine.prepare.contact_sheets, limner.engine.prepare.image
print("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
