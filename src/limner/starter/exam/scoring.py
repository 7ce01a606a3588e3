"""Scores of the exam: which of the expected attributes the judge finds, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.prompts import ExamPrompt
from limner.starter.judge import Judge

Rows = list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Proportion:
    """How many of how many are right."""

    right: int
    count: int

    @classmethod
    def of(cls, values: Iterable[bool]) -> Proportion:
        values = list(values)
        return cls(sum(values), len(values))

    @property
    def value(self) -> float:
        return self.right / self.count if self.count else float("nan")

    @property
    def error(self) -> float:
        """Half the width of the 95% interval of a binomial proportion (Agresti & Coull 1998)."""
        n = self.count + 4
        share = (self.right + 2) / n
        return 1.96 * (share * (1 - share) / n) ** 0.5

    def as_json(self) -> dict[str, float]:
        return {"right": self.right, "count": self.count, "share": round(self.value, 4)}

    def percent(self) -> str:
        return f"{100 * self.value:.1f}" if self.count else ""


@dataclass(frozen=True)
class ExamResult:
    """The scores of one set of images. verdicts: for each prompt, whether each expected attribute is there."""

    prompts: tuple[ExamPrompt, ...]
    verdicts: tuple[dict[str, bool], ...]

    @property
    def attributes(self) -> dict[str, Proportion]:
        """The proportion of images that show it, for each attribute."""
        names = dict.fromkeys(name for verdict in self.verdicts for name in verdict)
        return {name: Proportion.of(v[name] for v in self.verdicts if name in v) for name in names}

    @property
    def mean(self) -> float:
        """The mean over the attributes."""
        return float(np.mean([proportion.value for proportion in self.attributes.values()]))

    @property
    def all_right(self) -> Proportion:
        """The proportion of images that show everything expected."""
        return Proportion.of(all(verdict.values()) for verdict in self.verdicts)

    @property
    def kinds(self) -> dict[str, Proportion]:
        """As `all_right`, for each kind of prompt."""
        names = dict.fromkeys(prompt.kind for prompt in self.prompts)
        pairs = list(zip(self.prompts, self.verdicts, strict=True))
        return {name: Proportion.of(all(v.values()) for p, v in pairs if p.kind == name) for name in names}

    def as_json(self) -> dict[str, object]:
        """Proportions with the counts behind them."""
        return {
            "mean per attribute": round(self.mean, 4),
            "all right": self.all_right.as_json(),
            "attributes": {name: proportion.as_json() for name, proportion in self.attributes.items()},
            "all right by kind": {name: proportion.as_json() for name, proportion in self.kinds.items()},
        }


def score_images(judge: Judge, prompts: Sequence[ExamPrompt], pixels: np.ndarray) -> ExamResult:
    """Score images (n, 128, 128, 3): an attribute is there if the judge's probability is over 0.5."""
    readings = judge.read(pixels)
    verdicts = tuple(
        {name: readings.shows(index, name, value) for name, value in prompt.expected.items()}
        for index, prompt in enumerate(prompts)
    )
    return ExamResult(tuple(prompts), verdicts)


def rows(results: Mapping[str, ExamResult]) -> Rows:
    """A table in percent: a row per attribute and kind of prompt, a column per result."""
    columns = list(results.values())
    names = dict.fromkeys(name for result in columns for name in result.attributes)
    kinds = dict.fromkeys(kind for result in columns for kind in result.kinds)
    table: Rows = [(name, [result.attributes[name].percent() for result in columns]) for name in names]
    table.append(("mean per attribute", [f"{100 * result.mean:.1f}" for result in columns]))
    table += [(f"all right, {kind}", [result.kinds[kind].percent() for result in columns]) for kind in kinds]
    whole = [result.all_right for result in columns]
    table.append(("all right", [f"{each.percent()} ± {100 * each.error:.1f}" for each in whole]))
    return table


def readable(name: str) -> str:
    """The name of an attribute in plain words."""
    return name.replace("_", " ")


def markdown(heading: str, columns: Sequence[str], lines: Rows) -> str:
    """A table as Markdown."""
    head = f"| {heading} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    return head + "\n".join(f"| {readable(name)} | {' | '.join(values)} |" for name, values in lines) + "\n"


def print_table(heading: str, columns: Sequence[str], lines: Rows) -> None:
    """Print a table to the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(heading, box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for name, values in lines:
        table.add_row(readable(name), *values)
    Console().print(table)
