"""Reading answers with the judge, and counting. The exam's results as a table in a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.prompts import Question
from limner.starter.judge import Judge


@dataclass(frozen=True)
class Share:
    """How many of how many were right."""

    right: int
    count: int

    @classmethod
    def of(cls, values: Iterable[bool]) -> Share:
        values = list(values)
        return cls(sum(values), len(values))

    @property
    def value(self) -> float:
        return self.right / self.count if self.count else float("nan")

    @property
    def error(self) -> float:
        """Half of the 95% interval of a binomial share (Agresti & Coull 1998)."""
        n = self.count + 4
        share = (self.right + 2) / n
        return 1.96 * (share * (1 - share) / n) ** 0.5


@dataclass(frozen=True)
class Result:
    """What the judge found. verdicts: for each question, whether each attribute asked for is there."""

    questions: tuple[Question, ...]
    verdicts: tuple[dict[str, bool], ...]

    @property
    def attributes(self) -> dict[str, Share]:
        names = dict.fromkeys(name for verdict in self.verdicts for name in verdict)
        return {name: Share.of(v[name] for v in self.verdicts if name in v) for name in names}

    @property
    def mean(self) -> float:
        """Mean over the attributes of their shares."""
        return float(np.mean([share.value for share in self.attributes.values()]))

    @property
    def all_right(self) -> Share:
        return Share.of(all(verdict.values()) for verdict in self.verdicts)

    @property
    def kinds(self) -> dict[str, Share]:
        """Share of pictures in which all is right, by kind of question."""
        names = dict.fromkeys(question.kind for question in self.questions)
        pairs = list(zip(self.questions, self.verdicts, strict=True))
        return {name: Share.of(all(v.values()) for q, v in pairs if q.kind == name) for name in names}

    def told(self) -> dict[str, object]:
        """Plain values for JSON: shares with the counts behind them."""

        def plain(share: Share) -> dict[str, float]:
            return {"right": share.right, "count": share.count, "share": round(share.value, 4)}

        return {
            "mean per attribute": round(self.mean, 4),
            "all right": plain(self.all_right),
            "attributes": {name: plain(share) for name, share in self.attributes.items()},
            "all right by kind": {name: plain(share) for name, share in self.kinds.items()},
        }


def mark(judge: Judge, questions: Sequence[Question], pixels: np.ndarray) -> Result:
    """Read the answers (n, 128, 128, 3); an attribute is there when the judge finds it more likely than not."""
    readings = judge.read(pixels)
    verdicts = tuple(
        {name: readings.shows(index, name, value) for name, value in question.wanted.items()}
        for index, question in enumerate(questions)
    )
    return Result(tuple(questions), verdicts)


Rows = list[tuple[str, list[str]]]


def percent(share: Share) -> str:
    return f"{100 * share.value:.1f}" if share.count else ""


def rows(results: Mapping[str, Result]) -> Rows:
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
