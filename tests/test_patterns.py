"""Every regular expression of the package takes time in proportion to the text, whoever wrote that."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import limner
from hostile import TooSlow, attacks, texts, within

PACKAGE = Path(limner.__file__).parent
METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
STANDS_IN = r"a\s+b"
"""For what a pattern is given only when it is used: words of a user, white space between them as it may be."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    """The modules that make or use a pattern."""
    concerned = re.compile(rf"\bre\b|\b_?[A-Z][A-Z_]*\.(?:{'|'.join(METHODS)})\(")
    for path in sorted(PACKAGE.rglob("*.py")):
        if not concerned.search(text := path.read_text(encoding="utf-8")):
            continue
        name = ".".join(("limner", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        yield name, ast.parse(text)


def written(module: str, node: ast.expr) -> str | bytes:
    """The pattern of a call, with STANDS_IN for what is known only when it is made."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(written(module, part)) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return written(module, node.value)
    try:
        return eval(compile(ast.Expression(node), module, "eval"), dict(vars(importlib.import_module(module))))
    except NameError:
        return STANDS_IN


def flags_of(node: ast.Call, method: str) -> int:
    place = {"compile": 1, "split": 3, "sub": 4, "subn": 4}.get(method, 2)
    given = [*node.args[place : place + 1], *(word.value for word in node.keywords if word.arg == "flags")]
    return int(eval(compile(ast.Expression(given[0]), "flags", "eval"), {"re": re})) if given else 0


def patterns() -> dict[tuple[str | bytes, int], tuple[str, set[str]]]:
    """Each pattern of the package with its flags: where it stands, and by which methods it is used."""
    named: dict[int, str] = {}
    used, found = defaultdict[str, set[str]](set), list[tuple[str, str, ast.Call]]()
    for module, tree in trees():
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                named |= {id(node.value): target.id} if isinstance(target, ast.Name) else {}
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
                used[node.value.id].add(node.attr)
        for node in nodes:
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=attr)) if attr in (*METHODS, "compile"):
                    found.append((module, attr, node))
    known: dict[tuple[str | bytes, int], tuple[str, set[str]]] = {}
    for module, method, node in found:
        key = written(module, node.args[0]), flags_of(node, method)
        _, methods = known.setdefault(key, (f"{module}:{node.lineno}", set()))
        methods |= {method} if method != "compile" else used.get(named.get(id(node), ""), set()) or {"search"}
    return known


LENGTH = 50_000
"""Characters of a text: a time that grows with their square is seconds."""


def slow(pattern: str | bytes, flags: int, methods: set[str]) -> Iterator[str]:
    """The texts for which a pattern takes too long, a line each."""
    compiled = re.compile(pattern, flags)
    for text in (*attacks(compiled, LENGTH), *(text[-LENGTH:] for text in texts("x")[:8])):
        for method in methods:
            given = text if isinstance(pattern, str) else text.encode("latin-1")
            arguments = ("-", given) if method in ("sub", "subn") else (given,)
            try:
                result = within(getattr(compiled, method), *arguments)
                within(list, result if method == "finditer" else ())
            except TooSlow:
                yield f"{method} of {pattern!r} takes too long for {text[:40]!r}...{text[-10:]!r}"


@pytest.mark.slow
def test_time_is_in_proportion_to_the_text() -> None:
    found = patterns()
    assert len(found) > 90
    modules = {place.partition(":")[0] for place, _ in found.values()}
    assert {"limner.core.blocked_words", "limner.server.files", "limner.provenance.rights.opt_out"} < modules
    assert [f"{place}: {line}" for key, (place, methods) in found.items() for line in slow(*key, methods)] == []


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"\s+$", r"-\w+\d+!"])
def test_the_check_sees_a_slow_pattern(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostile.SECONDS", 0.2)
    assert next(slow(pattern, 0, {"search"}), None)
