"""`limner starter agreement`: whether metrics agree with the truth, on images of which it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from limner.core.events import Stage
from limner.core.metrics import DEFAULTS
from limner.core.requests import MetricUse
from limner.core.requests.evaluate import DRIFT
from limner.engine.scoring.scorers import Scorers
from limner.starter.exam.agreement_cases import AgreementCase, ImageWriter, agreement_cases
from limner.starter.exam.exam import write_report
from limner.starter.exam.model import Listener, ModelUnderTest, Stop
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.scoring import Rows, markdown, print_table
from limner.stats.intervals import correlation
from limner.store.files import make_folder
from limner.store.locks import with_output_lock

SIZE = 8
COLUMNS = ("default", "agrees with", "n", "rank correlation", "95% interval")


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation of n values of a metric with the truth, negated if they should fall, so that 1 is best.

    low and high: its 95% interval (percentile bootstrap over the pairs).
    """

    metric: str
    truth: str
    n: int
    correlation: float
    low: float
    high: float


def measure_case(case: AgreementCase) -> list[Agreement]:
    """The agreement of each metric of a case."""
    scorers = Scorers([MetricUse(name=name) for name in case.metrics])
    scores = [scorers.score(images) for images in case.image_sets]
    agreements = []
    for name in case.metrics:
        values = np.concatenate([scored[name].values for scored in scores])
        values, truth = (-values if name in case.falling else values), np.array(case.values)
        if case.groups:
            values, truth = subtract_group_means(values, case.groups), subtract_group_means(truth, case.groups)
        agreements.append(Agreement(name, case.truth, len(values), *correlation(values, truth)))
    return agreements


def subtract_group_means(values: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Values (n,) minus the mean of their group."""
    _, group = np.unique(groups, return_inverse=True)
    return values - (np.bincount(group, values) / np.bincount(group))[group]


@with_output_lock
def measure_agreement(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> list[Agreement]:
    """Measure the agreement of every metric and write agreement.json and agreement.md into `out`."""
    make_folder(out)
    model = ModelUnderTest.load(options, listener, stop)
    agreements: list[Agreement] = []
    with TemporaryDirectory() as folder:
        for case in agreement_cases(ImageWriter(Path(folder)), model, SIZE):
            listener(Stage(name=", ".join(case.metrics), total=None))
            agreements += measure_case(case)
    report = {"model": model.facts, "size": SIZE, "agreement": [asdict(each) for each in agreements]}
    write_report(out, "agreement", report, markdown("metric", COLUMNS, rows(agreements)))
    return agreements


def rows(agreements: Sequence[Agreement]) -> Rows:
    """A table: a row per metric and truth."""
    return [
        (
            each.metric,
            [
                "yes" if each.metric in DEFAULTS else "for adapters" if each.metric == DRIFT else "",
                each.truth,
                str(each.n),
                f"{each.correlation:.2f}",
                f"{each.low:.2f} to {each.high:.2f}",
            ],
        )
        for each in agreements
    ]


def print_agreement(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Measure the agreement and return a function that prints its table."""
    agreements = measure_agreement(out, options, listener, stop)

    def print_rows() -> None:
        print_table("metric", COLUMNS, rows(agreements))
        print(f"\n{out / 'agreement.json'}")

    return print_rows
