"""The lists of the mutation check: each mutant still fits the source, and names tests that there are."""

from __future__ import annotations

import importlib.util
import marshal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("mutation_check", ROOT / "tests/mutants/run.py")
assert SPEC is not None and SPEC.loader is not None
run = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = run  # where dataclasses look their annotations up
SPEC.loader.exec_module(run)
MUTANTS = [mutant for path in run.lists() for mutant in run.load(path)]


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(MUTANTS) >= 150
    assert not [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1]
    assert {path.stem for path in run.lists()} >= {"training", "sampling", "adapters", "data", "statistics"}
    assert {path.stem for path in run.lists()} >= {"store", "server", "security", "provenance"}


def code_of(source: str) -> bytes:
    """What a module is compiled to, without its line numbers."""
    return marshal.dumps(without_lines(compile(source, "module", "exec", dont_inherit=True, optimize=0)))


def without_lines(code: CodeType) -> CodeType:
    inner = tuple(without_lines(part) if isinstance(part, CodeType) else part for part in code.co_consts)
    return code.replace(co_consts=inner, co_linetable=b"", co_firstlineno=1)


def test_each_fits_its_source():
    for mutant in MUTANTS:
        source = (ROOT / run.PACKAGE / mutant.file).read_text(encoding="utf-8")
        assert mutant.mutate(source) != source, f"{mutant.name} changes nothing"


@pytest.mark.slow
def test_each_changes_what_the_source_means():
    for file in sorted({mutant.file for mutant in MUTANTS}):
        source = (ROOT / run.PACKAGE / file).read_text(encoding="utf-8")
        meaning = code_of(source)
        for mutant in (mutant for mutant in MUTANTS if mutant.file == file):
            assert code_of(mutant.mutate(source)) != meaning, f"{mutant.name} changes nothing"


def test_each_names_tests_that_there_are():
    for mutant in MUTANTS:
        assert mutant.tests, mutant.name
        for test in mutant.tests:
            path, _, function = test.partition("::")
            assert (ROOT / path).is_file(), f"{mutant.name}: there is no {path}"
            name = function.partition("[")[0].rpartition("::")[2]
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8") or not name, f"{mutant.name}: {test}"
