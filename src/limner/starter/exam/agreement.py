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
from limner.starter.exam.agreement_cases import Easel, Trial, trials
from limner.starter.exam.model import Examinee, Listener, Stop
from limner.starter.exam.options import Sitting
from limner.starter.exam.scoring import markdown, show
from limner.stats.intervals import correlation
from limner.store.files import make_folder, writing
from limner.store.locks import alone

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


def measure(trial: Trial) -> list[Agreement]:
    """What the metrics of a trial say, held against what is known."""
    scorers = Scorers([MetricUse(name=name) for name in trial.metrics])
    told = [scorers.score(gallery) for gallery in trial.galleries]
    found = []
    for name in trial.metrics:
        values = np.concatenate([scored[name].values for scored in told])
        turned = -values if name in trial.falls else values
        known = np.array(trial.known)
        if trial.within:
            turned, known = among(turned, trial.within), among(known, trial.within)
        found.append(Agreement(name, trial.truth, len(values), *correlation(turned, known)))
    return found


def among(values: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    """Values (n,) less the mean of those of the same block."""
    _, block = np.unique(blocks, return_inverse=True)
    return values - (np.bincount(block, values) / np.bincount(block))[block]


@alone
def measure_agreement(out: Path, sitting: Sitting, listener: Listener, stop: Stop) -> list[Agreement]:
    """Hold every metric against the truth and write agreement.json and agreement.md into `out`."""
    make_folder(out)
    examinee = Examinee.open(sitting, listener, stop)
    found: list[Agreement] = []
    with TemporaryDirectory() as folder:
        for trial in trials(Easel(Path(folder)), examinee, SIZE):
            listener(Stage(name=", ".join(trial.metrics), total=None))
            found += measure(trial)
    told = {"model": examinee.facts, "size": SIZE, "agreement": [asdict(line) for line in found]}
    with writing(out / "agreement.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with writing(out / "agreement.md") as partial:
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


def print_agreement(out: Path, sitting: Sitting, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Measure; what is returned prints the table."""
    found = measure_agreement(out, sitting, listener, stop)

    def table() -> None:
        show("metric", COLUMNS, rows(found))
        print(f"\n{out / 'agreement.json'}")

    return table
