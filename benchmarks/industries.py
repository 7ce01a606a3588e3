"""Ten industries, each with an adapter of the starter that is rated, improved and routed to: stars before and after.

    python benchmarks/industries.py FOLDER --json industries.json --page docs/improve.md --figure docs/images/ten.png
    python benchmarks/industries.py FOLDER --sector food

For each industry an adapter is trained on 200 of the painter's captioned images. It generates images of a few prompts,
and a simulated rater with a taste of its own, whose answers are wrong in one case of ten, votes on pairs of them.
`limner improve` learns from the votes. The old and the improved adapter then generate prompts that were not rated, from
the same seeds. Their stars are those that the rater's taste gives, as the judge reads the images. The service's own
choice of adapters by ratings is simulated on the same images. An industry that is in FOLDER is not measured again, and
what a stopped benchmark has trained and generated is used. --page replaces the table of a page.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from figures import machine, markdown, print_table, write_between, write_json
from limner.core.feedback import RatingSummary
from limner.core.requests import AdapterUse, ImproveRequest, TrainRequest
from limner.core.version import version
from limner.data.sets.album import write_album
from limner.reports.plots import ACCENT, FAINT, INK, new_figure, show_spines
from limner.server.bandit import choose_adapter
from limner.starter.exam.sector_tastes import SECTOR_TASTES, SectorTaste
from limner.starter.exam.tastes import stars, votes
from limner.starter.judge import Judge
from limner.starter.painter import paint
from limner.stats.intervals import difference, interval
from limner.store.files import atomic_file, atomic_folder
from limner.studio.studio import Studio
from simulated import compared_images, rated_images, scores_of, vote_rows, write_feedback

RATED, PAIRS, WRONG = 10, 200, 0.1
"""Prompts that are rated, pairs that are voted on, and the share of wrong answers."""
ALBUM, ALBUM_SEED = 200, 1
STREAMS = 500
"""Simulated sequences of requests to the service."""
END = 1 / 3
"""The share of a sequence that is its end."""
MARK = "<!-- table of benchmarks/industries.py -->"
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Settings:
    """Sizes of the measurement of an industry.

    steps: of the adapter's training. pool: rated images of each prompt. requests: prompts that were not rated, with an
    image of each adapter. lesson_steps: of the improvement; None for the default.
    """

    steps: int = 300
    pool: int = 24
    requests: int = 48
    lesson_steps: int | None = None

    @property
    def suffix(self) -> str:
        """The settings that are not the defaults, for the name of a folder."""
        changed = {name: value for name, value in asdict(self).items() if value != getattr(Settings, name)}
        return "".join(f"-{name}-{value}" for name, value in changed.items())


class Bench:
    """The adapters, images and measurements of one industry in a folder."""

    def __init__(self, folder: Path, taste: SectorTaste, settings: Settings, judge: Judge, studio: Studio) -> None:
        self.folder, self.taste, self.settings = folder, taste, settings
        self.judge, self.studio = judge, studio
        prompts = taste.prompts(RATED + settings.requests)
        self.rated, self.asked = prompts[:RATED], prompts[RATED:]
        self.original, self.improved = folder / "adapter", folder / "improved"

    def train(self) -> None:
        """Train the industry's adapter as `limner starter industries` does, unless it is there."""
        if self.original.exists():
            return
        album = self.folder / "images"
        if not album.exists():
            with atomic_folder(album) as drawn:
                write_album(drawn, ((paint(scene), text) for scene, text in self.taste.pairs(ALBUM, ALBUM_SEED)))
        request = {"data": str(album), "class_word": "product", "identifier": None, "prior": False}
        self.studio.run(TrainRequest.model_validate({**request, "steps": self.settings.steps}), self.original)

    @cached_property
    def pool(self) -> list[Path]:
        """The files of the images that are rated, with their labels: `settings.pool` of each prompt."""
        texts = [prompt.text for prompt in self.rated]
        return rated_images(self.studio, self.folder / "pool", self.original, texts, self.settings.pool)

    @property
    def prompt_of(self) -> list[int]:
        return [prompt for prompt in range(len(self.rated)) for _ in range(self.settings.pool)]

    @cached_property
    def scores(self) -> np.ndarray:
        """How much each image of the pool is to the rater's taste, (n,), 0 to 1."""
        return scores_of(self.pool, self.judge, self.taste.score)

    def feedback(self) -> Path:
        """Write the votes as a file, as `limner feedback export` does."""
        cast = votes(self.scores, self.prompt_of, PAIRS, WRONG, seed=0)
        texts = [self.rated[prompt].text for prompt in self.prompt_of]
        return write_feedback(self.folder / "votes.jsonl", vote_rows(cast, self.pool, texts))

    def improve(self) -> dict[str, Any]:
        """Improve the adapter by the votes, unless that is done; returns the record."""
        if not self.improved.exists():
            request = {"target": str(self.original), "source": str(self.feedback())}
            lesson = {"steps": self.settings.lesson_steps} if self.settings.lesson_steps else {}
            self.studio.run(ImproveRequest.model_validate(request | lesson), self.improved)
        return json.loads((self.improved / "record.json").read_text(encoding="utf-8"))

    def answered(self, adapter: Path) -> dict[str, Any]:
        """The stars of an adapter's image of each prompt that was not rated, and whether it shows what was asked."""
        texts = [prompt.text for prompt in self.asked]
        pixels = compared_images(self.folder / "answers", "asked", adapter, texts)
        read = self.judge.read(pixels)
        return {
            "stars": stars(self.taste.score(read), 0, seed=0).tolist(),
            "followed": [
                read.shows(index, name, value)
                for index, prompt in enumerate(self.asked)
                for name, value in prompt.expected.items()
            ],
        }

    def measure(self) -> dict[str, Any]:
        """Train, rate, improve and route; returns what was measured. seconds: of each part that was not done before."""
        seconds = dict[str, float]()

        def timed(name: str, part: Callable[[], Any]) -> Any:
            began = time.monotonic()
            result = part()
            seconds[name] = round(time.monotonic() - began, 1)
            return result

        timed("train", self.train)
        rated = stars(timed("rate", lambda: self.scores), WRONG, seed=0)
        record = timed("improve", self.improve)
        before, after = (timed(name, partial(self.answered, path)) for name, path in self.versions)
        routed = timed("route", lambda: route((before["stars"], after["stars"]), rated.tolist()))
        return {
            "sector": self.taste.sector,
            **asdict(self.settings),
            "seconds": seconds,
            "rated": rated.tolist(),
            "before": before,
            "after": after,
            "routed": routed,
            "pairs": record["pairs"] + record["held_out_pairs"],
            "decision": record["decision"],
        }

    @property
    def versions(self) -> tuple[tuple[str, Path], tuple[str, Path]]:
        return ("before", self.original), ("after", self.improved)


def route(given: tuple[Sequence[int], Sequence[int]], rated: Sequence[int]) -> dict[str, list[float]]:
    """Simulated sequences of requests, of which the service answers each by the old or the improved adapter.

    given: stars of the old and of the improved adapter's image of each request. rated: stars that people gave to images
    of the old one before. Each sequence draws the requests with replacement (bootstrap), and a share of the ratings
    that the service learns from is wrong. Returns of each sequence the mean of the stars that people got, and the share
    of requests at its end that the improved adapter answered.
    """
    rng, count = random.Random("route"), len(given[0])
    means, shares = list[float](), list[float]()
    for _ in range(STREAMS):
        known: tuple[list[int], list[int]] = [*rated], []
        got, chosen = list[int](), list[int]()
        for request in rng.choices(range(count), k=count):
            adapter = choice(known, rng.getrandbits(32))
            seen = given[adapter][request]
            known[adapter].append(6 - seen if rng.random() < WRONG else seen)
            got.append(seen)
            chosen.append(adapter)
        means.append(round(float(np.mean(got)), 4))
        shares.append(round(float(np.mean(chosen[-max(1, round(END * count)) :])), 4))
    return {"means": means, "shares": shares}


USES = AdapterUse(path="old"), AdapterUse(path="improved")


def choice(known: Sequence[Sequence[int]], seed: int) -> int:
    """The adapter that the service chooses, 0 or 1, by the stars that each is known to have."""
    standings = [
        RatingSummary(
            name=use.path,
            ratings=len(given),
            mean=float(np.mean(given)),
            standard_error=None,
            low=None,
            high=None,
            wins=0,
            losses=0,
            ties=0,
            reasons={},
        )
        for use, given in zip(USES, known, strict=True)
        if given
    ]
    return USES.index(choose_adapter(USES, standings, seed).adapter)


def spread(means: Sequence[float] | np.ndarray) -> Interval:
    """The mean of bootstrap draws and the interval of 95% of them."""
    low, high = np.quantile(means, (0.025, 0.975))
    return float(np.mean(means)), float(low), float(high)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean stars with 95% intervals of an industry, or of several together, in which each counts alike."""
    before, after = (np.concatenate([row[name]["stars"] for row in rows]) for name in ("before", "after"))
    followed = [np.mean([np.mean(row[name]["followed"]) for row in rows]) for name in ("before", "after")]
    return {
        "industry": rows[0]["sector"] if len(rows) == 1 else f"all {len(rows)}",
        "likes": SECTOR_TASTES[rows[0]["sector"]].likes if len(rows) == 1 else "",
        "before": interval(before),
        "improved": interval(after),
        "difference": difference(before, after),
        "routed": spread(np.mean([row["routed"]["means"] for row in rows], axis=0)),
        "share": float(np.mean([row["routed"]["shares"] for row in rows])),
        "prompt kept": float(followed[1] / followed[0]),
        "replaces": replaced(rows),
    }


def replaced(rows: Sequence[Mapping[str, Any]]) -> str:
    """Whether the improved adapter replaces the original, by the record; of several industries, in how many."""
    count = sum(row["decision"]["replaces"] for row in rows)
    return f"{count} of {len(rows)}" if len(rows) > 1 else "yes" if count else "no"


def with_interval(values: Interval) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*values)


COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "industry": lambda row: row["industry"],
    "its rater likes": lambda row: row["likes"],
    "before (95%)": lambda row: with_interval(row["before"]),
    "improved (95%)": lambda row: with_interval(row["improved"]),
    "difference (95%)": lambda row: "{:+.2f} ({:+.2f} to {:+.2f})".format(*row["difference"]),
    "routed (95%)": lambda row: with_interval(row["routed"]),
    "routed to the improved": lambda row: f"{100 * row['share']:.0f}%",
    "prompt": lambda row: f"{100 * row['prompt kept']:.0f}%",
    "replaces": lambda row: row["replaces"],
}


def summaries(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The summary of each industry, and of all together if there are several."""
    return [summary([row]) for row in rows] + ([summary(rows)] if len(rows) > 1 else [])


def table(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[cell(row) for cell in COLUMNS.values()] for row in found]


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a plot of the mean stars before and after, with their intervals, as a PNG."""
    shown = {"before": (FAINT, 0.12), "routed": (ACCENT, -0.12)}
    names = {"before": "before", "routed": "after, as the service routes requests"}
    with new_figure(7, 1 + 0.42 * len(found), font=11) as figure:
        axes = figure.add_subplot()
        for name, (colour, offset) in shown.items():
            for place, row in enumerate(reversed(found)):
                mean, low, high = row[name]
                height, label = place + offset, names[name] if place == 0 else None
                axes.plot((low, high), (height, height), color=colour, linewidth=2, solid_capstyle="round")
                axes.plot(mean, height, "o", color=colour, markersize=6, label=label)
        axes.set_yticks(range(len(found)), [row["industry"] for row in reversed(found)], color=INK)
        axes.set_xlim(1, 5)
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.set_xlabel("mean stars, with 95% interval", color=INK)
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, labelcolor=INK)
        show_spines(axes, "bottom")
        with atomic_file(path) as written, written.open("wb") as file:
            figure.savefig(file, format="png", dpi=150)


def measured(folder: Path, sectors: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """What was measured of each industry; those that are in the folder are read."""
    judge, studio, rows = Judge.load(), Studio(folder / "home"), list[dict[str, Any]]()
    for sector in sectors:
        name = f"{sector.replace(' ', '-')}{settings.suffix}"
        done = folder / f"{name}.json"
        if not done.exists():
            result = Bench(folder / name, SECTOR_TASTES[sector], settings, judge, studio).measure()
            with atomic_file(done) as written:
                write_json(written, result)
        rows.append(json.loads(done.read_text(encoding="utf-8")))
        print_table(list(COLUMNS), table(summaries(rows[-1:])))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sector", choices=SECTOR_TASTES, help="measure this industry only")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of the adapter's training")
    parser.add_argument("--pool", type=int, default=Settings.pool, help="rated images of each prompt")
    parser.add_argument("--requests", type=int, default=Settings.requests, help="prompts that were not rated")
    parser.add_argument("--lesson-steps", type=int, help="of the improvement (default: of limner improve)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--figure", type=Path, help="PNG of the table; --page shows it")
    options = parser.parse_args()
    settings = Settings(options.steps, options.pool, options.requests, options.lesson_steps)
    rows = measured(options.folder.absolute(), [options.sector] if options.sector else [*SECTOR_TASTES], settings)
    found = summaries(rows)
    if options.json:
        write_json(options.json, {**machine(), "version": version(), "summary": found, "industries": rows})
    if options.figure:
        draw(found, options.figure)
    if options.page:
        text = markdown(list(COLUMNS), table(found))
        if options.figure:
            place = os.path.relpath(options.figure, options.page.parent)
            text += f"\n\n![mean stars of each industry before and after]({Path(place).as_posix()})"
        write_between(options.page, MARK, text)


if __name__ == "__main__":
    main()
