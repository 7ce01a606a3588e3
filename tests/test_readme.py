"""The README is true: its commands parse, its Python compiles, its links and pictures lead somewhere."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError

from limner.cli.app import COMMANDS, application
from limner.core.datasets import SUBJECT_IMAGES
from limner.core.kinds import KINDS
from limner.studio.choices import choices

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of every code block, fenced or indented."""
    fenced = [(match[1], match[2]) for match in FENCE.finditer(text)]
    rest = FENCE.sub("", text)
    return fenced + [("", match[0]) for match in INDENTED.finditer(rest)]


def commands(text: str) -> list[str]:
    """Every `limner ...` line of the code blocks that are no Python, without prompt and comment."""
    lines = [
        line.strip().removeprefix("$ ")
        for kind, block in blocks(text)
        if kind != "python"
        for line in block.splitlines()
    ]
    lines = [re.sub(r"\s+#.*$", "", line) for line in lines]
    return [part.strip() for line in lines if line.startswith("limner ") for part in line.split(" / ")]


def parse(command: str) -> None:
    """Take a command line apart as `limner` does, without running it; raises what `limner` would tell."""
    arguments = shlex.split(command)[1:]
    function, bound, _ = application(arguments).parse_args(arguments, exit_on_error=False, print_error=False)
    assert callable(function) and bound is not None


README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def python(page: Path) -> list[str]:
    """Its blocks of Python."""
    return [block for kind, block in blocks(page.read_text()) if kind == "python"]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "src/limner/reports/demo.html"], ids=lambda page: page.name)
def test_pages_recommend_one_number_of_photos(page):
    found = re.findall(r"(\d+) (?:to|or|[-\u2013]) (\d+) (?:photo|image|picture)", page.read_text(encoding="utf-8"))
    assert {tuple(map(int, each)) for each in found} <= {SUBJECT_IMAGES}


def links(page: Path) -> list[str]:
    """What it points at on this disk."""
    found = LINK.findall(FENCE.sub("", page.read_text()))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def test_there_is_something_to_check():
    assert len(commands(README)) > 5 and isinstance(application(), App)
    assert any(kind == "python" for kind, _ in blocks(README))


@pytest.mark.parametrize("command", sorted({line for page in PAGES for line in commands(page.read_text())}))
def test_commands_parse(command):
    parse(command)


@pytest.mark.parametrize("wrong", ["limner trian photos/", "limner train photos/ --clas dog", "limner generate"])
def test_the_check_sees_a_wrong_command(wrong):
    with pytest.raises(CycloptsError):
        parse(wrong)


@pytest.mark.parametrize("page", [*filter(python, PAGES)], ids=lambda page: page.name)
def test_python_compiles_and_imports(page):
    imported = 0
    for block in python(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            imported += isinstance(node, (ast.Import, ast.ImportFrom))
    assert imported, "its Python says where nothing comes from"


def test_python_makes_valid_requests():
    """Requests that the README builds are built here too; nothing is run."""
    names: dict[str, object] = {}
    exec("from limner import *", names)
    built = [
        eval(compile(ast.Expression(node), "README", "eval"), names)
        for block in python(ROOT / "README.md")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Request")
    ]
    assert {type(request).__name__ for request in built} >= {"TrainRequest", "GenerateRequest"}


@pytest.mark.parametrize("page", [*filter(links, PAGES)], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert [target for target in links(page) if not (page.parent / target).exists()] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def anchored(page: Path) -> list[tuple[Path, str]]:
    """The pages and anchors that a page links to."""
    found = re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", FENCE.sub("", page.read_text()))
    return [(page.parent / target if target else page, anchor) for target, anchor in found]


@pytest.mark.parametrize("page", [*filter(anchored, PAGES)], ids=lambda page: page.name)
def test_links_to_headings_lead_to_one(page):
    assert [anchor for target, anchor in anchored(page) if anchor not in anchors(target)] == []


FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*")
OTHER_PROGRAMS = {
    "--index-url",  # pip
    "--check",  # ruff
    "--rm --scale",  # docker compose
    "--dynamo_backend --mixed_precision --multi_gpu --num_machines --num_processes",  # accelerate
    "--anew --begin-with --grow --photographs --recipe --stage",  # python -m limner.starter.pretrain
    "--json --rows --threads",  # benchmarks
    "--no-dora",  # a recipe's, where the recipe turns DoRA on
    "--options.rank --options",  # named as what is not used
}


def own_flags() -> set[str]:
    """Every flag of every command, subcommand and training method."""
    found: set[str] = {"--help", "--version"}
    for name in {**KINDS, **COMMANDS}:
        command = application([name])[name]
        parts = [command, *(command[part] for part in command if not part.startswith("-"))]
        collections = [part.assemble_argument_collection() for part in parts if part.default_command is not None]
        found |= {flag for collection in collections for argument in collection for flag in argument.names}
    for method in choices("methods"):
        collection = application(["train", "--method", method])["train"].assemble_argument_collection()
        found |= {flag for argument in collection for flag in argument.names}
    return found


def test_flags_in_the_text_exist():
    known = own_flags() | {flag for flags in OTHER_PROGRAMS for flag in flags.split()}
    wrong = {page.name: sorted({*FLAG.findall(page.read_text())} - known) for page in PAGES}
    assert {name: flags for name, flags in wrong.items() if flags} == {}


def test_the_prompts_of_comparisons_fit_any_subject():
    prompts = (ROOT / "recipes/prompts.txt").read_text().splitlines()
    assert prompts and all(prompt.count("{}") == 1 and "sks" not in prompt for prompt in prompts)


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200
