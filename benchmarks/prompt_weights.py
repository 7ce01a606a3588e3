"""How often the judge finds the subject in the starter's images with and without weights in their prompts.

    python benchmarks/prompt_weights.py --prompts 6000 --json prompt-weights.json

Each prompt is a random caption of the painter. One image is generated from it as it is, and one from the same noise
with one to four of its phrases weighted between 0.5 and 1.6. The judge checks both images.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from figures import machine, print_table, write_json
from limner.engine.generate.sampling import sample_images
from limner.models import loading
from limner.models.conditioning import conditioning
from limner.models.devices import pick_device, pick_dtype
from limner.starter.exam.scoring import Proportion
from limner.starter.judge import Judge
from limner.starter.painter import caption, random_scene

SIDE = 128
LEAST, MOST, WEIGHTS = 0.5, 1.6, 4


@dataclass(frozen=True)
class Asked:
    """A prompt without and with weights, the subject that both name, and the number of weights."""

    plain: str
    weighted: str
    subject: str
    weights: int


def prompts(count: int, seed: int) -> Iterator[Asked]:
    """Random captions; their words are cut into phrases of one to three words, of which some are weighted."""
    rng = random.Random(seed)
    for _ in range(count):
        scene = random_scene(rng)
        text = caption(scene, rng)
        weights = rng.randint(1, WEIGHTS)
        yield Asked(text, weighted(text, weights, rng), scene.subject, weights)


def weighted(text: str, count: int, rng: random.Random) -> str:
    """The text with `count` of its phrases weighted, or all of them where it has fewer."""
    words, phrases = text.split(), list[str]()
    while words:
        length = rng.randint(1, 3)
        phrases.append(" ".join(words[:length]))
        words = words[length:]
    for place in rng.sample(range(len(phrases)), min(count, len(phrases))):
        phrases[place] = f"({phrases[place]}:{rng.uniform(LEAST, MOST):.2f})"
    return " ".join(phrases)


class Starter:
    """The starter and the judge."""

    def __init__(self, steps: int, precision: str) -> None:
        model, device = loading.resolve("starter"), pick_device("auto")
        self.family, self.sampling = model.family, model.sampling | {"steps": steps}
        self.components = loading.load(model, pick_dtype(precision, device), device)
        self.pipeline, self.judge = self.family.pipeline(self.components), Judge.load()

    def finds(self, texts: Sequence[str], seeds: Sequence[int], subjects: Sequence[str]) -> list[bool]:
        """Whether the judge finds each prompt's subject in the image that is generated from it."""
        arguments = conditioning(self.family, self.components, texts)
        images = sample_images(self.pipeline, arguments, seeds, self.sampling, (SIDE, SIDE), batch=len(texts))
        pixels = np.stack(list(images))
        readings = self.judge.read(pixels)
        return [readings.shows(place, "subject", subject) for place, subject in enumerate(subjects)]


def measure(starter: Starter, asked: Sequence[Asked], seed: int, batch: int) -> tuple[list[bool], list[bool]]:
    """For each prompt, whether its subject is found without and with weights."""
    plain: list[bool] = []
    heavy: list[bool] = []
    with tqdm(total=len(asked), unit="prompt", mininterval=10) as bar:
        for start in range(0, len(asked), batch):
            part = asked[start : start + batch]
            seeds = [seed + start + place for place in range(len(part))]
            subjects = [each.subject for each in part]
            plain += starter.finds([each.plain for each in part], seeds, subjects)
            heavy += starter.finds([each.weighted for each in part], seeds, subjects)
            bar.set_postfix_str(f"found {sum(plain)} without weights, {sum(heavy)} with", refresh=False)
            bar.update(len(part))
    return plain, heavy


def table(asked: Sequence[Asked], plain: Sequence[bool], heavy: Sequence[bool]) -> list[list[str]]:
    """Rows of shares in percent: for each number of weights, and for all."""
    rows = []
    for name in (*(str(number) for number in range(1, WEIGHTS + 1)), "all"):
        chosen = [place for place, each in enumerate(asked) if name in (str(each.weights), "all")]
        without, along = (Proportion.of(found[place] for place in chosen) for found in (plain, heavy))
        gap, error = paired([heavy[place] - plain[place] for place in chosen])
        shares = [f"{100 * share.value:.1f}" for share in (without, along)]
        rows.append([name, str(len(chosen)), *shares, f"{100 * gap:+.1f}", f"{100 * error:.1f}"])
    return rows


def paired(differences: Sequence[int]) -> tuple[float, float]:
    """Mean of paired differences, and half of its 95% interval."""
    if not differences:
        return float("nan"), float("nan")
    return float(np.mean(differences)), 1.96 * float(np.std(differences)) / len(differences) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=6000, help="how many prompts")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps")
    parser.add_argument("--batch", type=int, default=32, help="images that go through the model together")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--seed", type=int, default=42, help="of the prompts and of the first image")
    parser.add_argument("--threads", type=int, help="threads of torch (default: as many as there are cores)")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    asked = list(prompts(options.prompts, options.seed))
    plain, heavy = measure(Starter(options.steps, options.precision), asked, options.seed, options.batch)
    header = ("weights", "prompts", "found without weights, %", "with weights, %", "difference", "95% interval, +-")
    print_table(header, table(asked, plain, heavy))
    if options.json:
        verdicts = [
            {"prompt": each.weighted, "subject": each.subject, "without": bare, "with": found}
            for each, bare, found in zip(asked, plain, heavy, strict=True)
        ]
        facts = {"prompts": options.prompts, "steps": options.steps, "seed": options.seed, "machine": machine()}
        write_json(options.json, facts | {"verdicts": verdicts})


if __name__ == "__main__":
    main()
