"""Learning from feedback where the truth is known: adapters of the starter, improved for simulated raters.

    python benchmarks/improve.py FOLDER --json improve.json --page docs/improve.md
    python benchmarks/improve.py FOLDER --taste blue --pairs 200 --wrong 10 --lesson preference --seed 1

For each taste an adapter is trained on photos of which many go against it, or only briefly. It generates a pool of
images, a simulated rater votes on pairs of them, or gives them stars, and a share of the answers is wrong. `limner
improve` learns from that. The new adapter and the old one then generate the same prompts, which no rater has seen, from
the same seeds; the judge reads the images. A case that is in FOLDER is not measured again, so a stopped benchmark goes
on. --page replaces the table of a page.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np

from figures import machine, markdown, print_table, write_between, write_json
from limner.core.requests import ImproveRequest, TrainRequest
from limner.core.requests.improve import LessonName
from limner.core.version import version
from limner.data.sets.album import write_album
from limner.starter.exam.personalise import IDENTIFIER
from limner.starter.exam.subject_scores import DRIFT_PROMPTS, PersonalisationPrompt
from limner.starter.exam.tastes import TASTES, Taste, prompts, stars, votes
from limner.starter.judge import Judge, Readings
from limner.starter.judge.attributes import MARKINGS, truth
from limner.starter.painter import paint
from limner.stats.intervals import wilson
from limner.store.files import atomic_file
from limner.studio.studio import Studio
from simulated import compared_images, rated_images, rater, scores_of, vote_rows, write_feedback

LESSONS = get_args(LessonName)
PAIRS, WRONG, AIMED_AT = (50, 200, 1000), (0, 10, 30), (200, 10)
AIMS = {"after": (0.75, 1.0), "prompt kept": (0.97, np.inf), "drift": (-np.inf, 0.05)}
"""Least and most of a case with AIMED_AT."""
IN_POOL, COMPARED, DRIFT_IMAGES = 24, 6, 72
"""Images of each rated prompt, of each prompt to compare with, and of the class word alone."""
MARK = "<!-- table of benchmarks/improve.py -->"


@dataclass(frozen=True)
class Case:
    """One improvement. wrong: percent of the answers that are against the taste. rate, steps: None for the default."""

    taste: str
    pairs: int
    wrong: int
    lesson: str
    seed: int = 0
    steps: int | None = None
    rate: float | None = None

    @property
    def name(self) -> str:
        settings = "".join(f"-{value:g}" for value in (self.steps, self.rate) if value is not None)
        return f"{self.taste}-{self.pairs}-{self.wrong}-{self.lesson}-{self.seed}{settings}"


class Bench:
    """The adapters, images and measurements of one taste in a folder."""

    def __init__(self, folder: Path, taste: Taste, judge: Judge, studio: Studio) -> None:
        self.folder, self.taste, self.judge, self.studio = folder, taste, judge, studio
        self.rated, self.compared = prompts()
        self.original = folder / "original"

    def train(self) -> None:
        """Train the original adapter, unless it is there."""
        if self.original.exists():
            return
        photos = self.folder / "photographs"
        write_album(photos, zip(map(paint, self.taste.scenes), self.taste.captions(), strict=True))
        fields = {"data": str(photos), "class_word": self.taste.class_word, "identifier": IDENTIFIER}
        fields |= {} if self.taste.steps is None else {"steps": self.taste.steps}
        self.studio.run(TrainRequest.model_validate(fields), self.original)

    @cached_property
    def pool(self) -> list[Path]:
        """The files of the images that are rated: IN_POOL of each prompt."""
        texts = [prompt.text(self.taste.subject) for prompt in self.rated]
        return rated_images(self.studio, self.folder / "pool", self.original, texts, IN_POOL)

    @property
    def prompt_of(self) -> list[int]:
        return [prompt for prompt in range(len(self.rated)) for _ in range(IN_POOL)]

    @cached_property
    def scores(self) -> np.ndarray:
        return scores_of(self.pool, self.judge, self.taste.score)

    def feedback(self, case: Case) -> Path:
        """Write the feedback of a case as a file: votes, or stars for the images that were voted on."""
        cast = votes(self.scores, self.prompt_of, case.pairs, case.wrong / 100, case.seed)
        texts = [self.rated[prompt].text(self.taste.subject) for prompt in self.prompt_of]
        if case.lesson == "preference":
            rows = vote_rows(cast, self.pool, texts)
        else:
            shown = sorted({image for vote in cast for image in (vote.better, vote.worse)})
            given = stars(self.scores[shown], case.wrong / 100, case.seed)
            rows = [
                {
                    "prompt": texts[image],
                    "stars": int(given[number]),
                    "user_id": rater(number),
                    "image_url": self.pool[image].as_uri(),
                }
                for number, image in enumerate(shown)
            ]
        return write_feedback(self.folder / f"{case.name}.jsonl", rows)

    def measured(self, adapter: Path) -> dict[str, Any]:
        """What the judge sees in images of new prompts, and of the class word alone ("own")."""
        shown = [prompt for prompt in self.compared for _ in range(COMPARED)]
        drift = [DRIFT_PROMPTS[i % len(DRIFT_PROMPTS)].format(self.taste.class_word) for i in range(DRIFT_IMAGES)]
        texts = [prompt.text(self.taste.subject) for prompt in shown] + drift
        read = self.judge.read(compared_images(self.folder / "answers", "compared", adapter, texts))
        own = [read.shows(index, *self.taste.own) for index in range(len(shown), len(texts))]
        return {
            "taste": self.taste.matches(read)[: len(shown)].tolist(),
            "prompt": [seen for index, prompt in enumerate(shown) for seen in self.followed(read, index, prompt)],
            "marks": [seen for index in range(len(shown)) for seen in self.marks(read, index)],
            "own": own,
        }

    def followed(self, read: Readings, index: int, prompt: PersonalisationPrompt) -> list[bool]:
        expected = {"subject": self.taste.class_word, **prompt.expected}
        return [read.shows(index, name, value) for name, value in expected.items()]

    def marks(self, read: Readings, index: int) -> list[bool]:
        """Whether the marks of a character are seen; nothing for products."""
        scene = self.taste.scenes[0]
        true = truth(scene) if scene.character else {}
        return [
            read.shows(index, place, value)
            for place, values in MARKINGS.items()
            if (value := true.get(place)) and value != values[0]
        ]

    def improved(self, case: Case) -> dict[str, Any]:
        """Improve the original adapter by the feedback of a case, and compare both."""
        out = self.folder / case.name
        settings = {"steps": case.steps, "learning_rate": case.rate}
        request = ImproveRequest.model_validate(
            {
                "target": str(self.original),
                "source": str(self.feedback(case)),
                "lesson": case.lesson,
                "seed": case.seed,
                **{name: value for name, value in settings.items() if value is not None},
            }
        )
        began = time.monotonic()
        if not out.exists():
            self.studio.run(request, out)
        seconds = time.monotonic() - began
        before, after = map(self.measured, (self.original, out))
        share = {
            name: [float(np.mean(found[name])) for found in (before, after)] for name in ("taste", "prompt", "own")
        }
        record = json.loads((out / "record.json").read_text(encoding="utf-8"))
        return {
            **asdict(case),
            "seconds": seconds,
            "before": share["taste"][0],
            "after": share["taste"][1],
            "interval": wilson(sum(after["taste"]), len(after["taste"]))[1:],
            "prompt kept": share["prompt"][1] / share["prompt"][0],
            "marks kept": np.mean(after["marks"]) / np.mean(before["marks"]) if before["marks"] else None,
            "drift": share["own"][1] - share["own"][0],
            "verdict": record["decision"],
        }


def default_cases() -> list[Case]:
    """200 pairs, of which 10% are wrong, by each lesson; other numbers and shares by the preference lesson."""
    pairs, wrong = AIMED_AT
    found = [Case(taste, pairs, wrong, lesson) for lesson in LESSONS for taste in TASTES]
    found += [Case(taste, number, wrong, "preference") for number in PAIRS for taste in TASTES]
    found += [Case(taste, pairs, share, "preference") for share in WRONG for taste in TASTES]
    return list(dict.fromkeys(found))


def meets_aims(row: Mapping[str, Any]) -> bool:
    return all(least <= row[name] <= most for name, (least, most) in AIMS.items())


COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "taste": lambda row: TASTES[row["taste"]]().likes,
    "pairs": lambda row: str(row["pairs"]),
    "wrong": lambda row: f"{row['wrong']}%",
    "lesson": lambda row: row["lesson"],
    "before": lambda row: f"{100 * row['before']:.0f}%",
    "after (95%)": lambda row: "{:.0f}% ({:.0f} to {:.0f})".format(*(100 * np.array([row["after"], *row["interval"]]))),
    "prompt": lambda row: f"{100 * row['prompt kept']:.0f}%",
    "marks": lambda row: "" if row["marks kept"] is None else f"{100 * row['marks kept']:.0f}%",
    "drift": lambda row: f"{100 * row['drift']:+.0f}",
    "aim": lambda row: ("met" if meets_aims(row) else "missed") if (row["pairs"], row["wrong"]) == AIMED_AT else "",
    "replaces": lambda row: "yes" if row["verdict"]["replaces"] else "no",
}


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[cell(row) for cell in COLUMNS.values()] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--taste", choices=TASTES, help="measure one case of this taste")
    parser.add_argument("--pairs", type=int, default=AIMED_AT[0])
    parser.add_argument("--wrong", type=int, default=AIMED_AT[1], metavar="PERCENT")
    parser.add_argument("--lesson", choices=LESSONS, default=LESSONS[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--known", action="store_true", help="measure nothing: only the cases that are in FOLDER")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    cases = default_cases()
    if options.taste:
        chosen = (options.taste, options.pairs, options.wrong, options.lesson)
        cases = [Case(*chosen, options.seed, options.steps, options.rate)]
    judge, studio, rows = Judge.load(), Studio(options.folder / "home"), list[dict[str, Any]]()
    for case in cases:
        done = options.folder / f"{case.name}.json"
        if options.known and not done.exists():
            continue
        if not done.exists():
            bench = Bench(options.folder / case.taste, TASTES[case.taste](), judge, studio)
            bench.train()
            result = bench.improved(case)
            with atomic_file(done) as partial:
                write_json(partial, result)
        rows.append(json.loads(done.read_text(encoding="utf-8")))
        print_table(list(COLUMNS), table(rows[-1:]))
    if options.json:
        write_json(options.json, {**machine(), "version": version(), "cases": rows})
    if options.page:
        write_between(options.page, MARK, markdown(list(COLUMNS), table(rows)))


if __name__ == "__main__":
    main()
