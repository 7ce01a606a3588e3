"""The exam's results as a table in a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limner.starter.exam.scoring import ExamResult, Proportion

Rows = list[tuple[str, list[str]]]


def percent(share: Proportion) -> str:
    return f"{100 * share.value:.1f}" if share.count else ""


def rows(results: Mapping[str, ExamResult]) -> Rows:
    """A row an attribute and kind of question, a column a result, in percent."""
    columns = list(results.values())
    names = dict.fromkeys(name for result in columns for name in result.attributes)
    kinds = dict.fromkeys(kind for result in columns for kind in result.kinds)
    found: Rows = [(name, [percent(r.attributes[name]) for r in columns]) for name in names]
    found.append(("mean per attribute", [f"{100 * result.mean:.1f}" for result in columns]))
    found += [(f"all right, {kind}", [percent(r.kinds[kind]) for r in columns]) for kind in kinds]
    found.append(("all right", [f"{percent(r.all_right)} ± {100 * r.all_right.error:.1f}" for r in columns]))
    return found


def plain(name: str) -> str:
    """An attribute's name as people write it."""
    return name.replace("_", " ")


def markdown(heading: str, columns: Sequence[str], lines: Rows) -> str:
    head = f"| {heading} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    return head + "\n".join(f"| {plain(name)} | {' | '.join(values)} |" for name, values in lines) + "\n"


def show(heading: str, columns: Sequence[str], lines: Rows) -> None:
    """Print a table to the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(heading, box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for name, values in lines:
        table.add_row(plain(name), *values)
    Console().print(table)
