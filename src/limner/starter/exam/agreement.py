"""`limner starter agreement`: whether each metric says what is true, where the truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from limner.core.events import Stage
from limner.core.metrics import DEFAULTS
from limner.core.requests import MetricUse
from limner.engine.scoring.scorers import Scorers
from limner.starter.exam.agreement_cases import AgreementCase, ImageWriter, agreement_cases
from limner.starter.exam.model import Listener, ModelUnderTest, Stop
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.scoring import markdown, print_table
from limner.stats.intervals import correlation
from limner.store.files import atomic_file, make_folder
from limner.store.locks import with_output_lock

SIZE = 8


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation of a metric's values with n known truths, turned so that 1 is full agreement, with its 95%
    interval (percentile bootstrap over the pairs).
    """

    metric: str
    truth: str
    n: int
    correlation: float
    low: float
    high: float


def measure_case(trial: AgreementCase) -> list[Agreement]:
    """What the metrics of a trial say, held against what is known."""
    scorers = Scorers([MetricUse(name=name) for name in trial.metrics])
    told = [scorers.score(gallery) for gallery in trial.galleries]
    found = []
    for name in trial.metrics:
        values = np.concatenate([scored[name].values for scored in told])
        turned = -values if name in trial.falls else values
        known = np.array(trial.known)
        if trial.within:
            turned, known = subtract_group_means(turned, trial.within), subtract_group_means(known, trial.within)
        found.append(Agreement(name, trial.truth, len(values), *correlation(turned, known)))
    return found


def subtract_group_means(values: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    """Values (n,) less the mean of those of the same block."""
    _, block = np.unique(blocks, return_inverse=True)
    return values - (np.bincount(block, values) / np.bincount(block))[block]


@with_output_lock
def measure_agreement(out: Path, sitting: ExamOptions, listener: Listener, stop: Stop) -> list[Agreement]:
    """Hold every metric against the truth and write agreement.json and agreement.md into `out`."""
    make_folder(out)
    examinee = ModelUnderTest.open(sitting, listener, stop)
    found: list[Agreement] = []
    with TemporaryDirectory() as folder:
        for trial in agreement_cases(ImageWriter(Path(folder)), examinee, SIZE):
            listener(Stage(name=", ".join(trial.metrics), total=None))
            found += measure_case(trial)
    told = {"model": examinee.facts, "size": SIZE, "agreement": [asdict(line) for line in found]}
    with atomic_file(out / "agreement.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with atomic_file(out / "agreement.md") as partial:
        partial.write_text(markdown("metric", COLUMNS, rows(found)), encoding="utf-8")
    return found


COLUMNS = ("default", "agrees with", "n", "rank correlation", "95% interval")


def rows(found: list[Agreement]) -> list[tuple[str, list[str]]]:
    return [
        (
            line.metric,
            [
                "yes" if line.metric in DEFAULTS else "",
                line.truth,
                str(line.n),
                f"{line.correlation:.2f}",
                f"{line.low:.2f} to {line.high:.2f}",
            ],
        )
        for line in found
    ]


def print_agreement(out: Path, sitting: ExamOptions, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Measure; what is returned prints the table."""
    found = measure_agreement(out, sitting, listener, stop)

    def table() -> None:
        print_table("metric", COLUMNS, rows(found))
        print(f"\n{out / 'agreement.json'}")

    return table
