"""Whether `limner influence` predicts the effect of training without those images.

    python benchmarks/influence.py FOLDER --threads 1 --json influence.json

FOLDER keeps images and adapters, so that an interrupted run can continue. The starter is trained on a character with 12
images and generates four. Then it is trained again on random halves of the 12. Each time the loss is measured on the
four images and on eight images of the character that were never trained on.

LDS is the linear datamodelling score (Park et al. 2023, arXiv 2303.14186, definition 2.4): the rank correlation over
the halves between minus the loss and the sum of the scores of the training images, averaged over the images. For
comparison it is computed from image similarity too (the starter's image encoder). "without": the change of the loss
on an image, and of the image generated again with its seed, when the three highest-scoring or three random training
images are left out. "planted": two images of another character among the 12, captioned as if they showed this one.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

import numpy as np
import torch

from figures import machine, write_json
from limner import AdapterUse, GenerateRequest, InfluenceRequest, Studio, TrainRequest
from limner.core.workspace import Workspace
from limner.data.sets.album import write_album
from limner.data.sets.folder import scan
from limner.engine.influence import attribution
from limner.engine.influence.gradients import evenly
from limner.engine.influence.influence import Query, encode_query, features_of, read_queries, trace
from limner.engine.influence.restored import restored
from limner.engine.scoring.encoders import open_encoder
from limner.engine.train.batches import generator_for
from limner.engine.train.plan import make_plan
from limner.models.adapters import open_adapter
from limner.models.logging import quiet_libraries
from limner.starter.exam.personalise import IDENTIFIER
from limner.starter.exam.planted import PLACES, POSES
from limner.starter.painter import CHARACTERS, caption, paint, portraits
from limner.stats.intervals import rank_correlation

CHARACTER, OTHER = "pixie", "ziggy"
ASKED = ("on the beach", "in the park", "in the snow", "in the living room")
REMOVED, PAINTING, TIMES, UNSEEN = 3, 12, 16, 8
Output = Literal["square", "loss"]
SETTINGS: tuple[tuple[Output, int], ...] = (("square", 10), ("loss", 10))
RIDGES = (1e-3, 1e-2, 0.1, 1.0, 10.0)
PLANTED = (3, 8)


@dataclass(frozen=True)
class Bench:
    """The folder of all results, and the length of each training."""

    folder: Path
    steps: int

    @property
    def studio(self) -> Studio:
        return Studio(self.folder / "home")

    def album(self, name: str, planted: Sequence[int] = ()) -> list[Path]:
        """The 12 training images with captions; optionally some of another character."""
        place = self.folder / name
        drawn = []
        for index, where in enumerate(zip(PLACES, POSES, strict=True)):
            who = OTHER if index in planted else CHARACTER
            scene = portraits(who, random.Random(f"{who}/{index}"), *((one,) for one in where))[0]
            drawn.append((paint(scene), caption(scene, identifier=IDENTIFIER)))
        if not place.exists():
            write_album(place, drawn)
        return sorted(place.glob("*.png"))

    def unseen(self) -> list[Query]:
        """Eight images of the character that are not trained on, with captions."""
        place, rng = self.folder / "unseen", random.Random("unseen")
        if not place.exists():
            scenes = portraits(CHARACTER, rng, PLACES[:UNSEEN], POSES[:UNSEEN])
            write_album(place, ((paint(s), caption(s, identifier=IDENTIFIER)) for s in scenes))
        return read_queries(str(place), None)

    def some(self, name: str, pictures: Sequence[Path], kept: Sequence[int]) -> Path:
        """A folder with some of the images."""
        place = self.folder / "parts" / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for index in kept:
            for file in (pictures[index], pictures[index].with_suffix(".txt")):
                shutil.copyfile(file, place / file.name)
        return place

    def adapter(self, name: str, data: Path) -> Path:
        """The adapter trained on a folder; made once."""
        out = self.folder / "adapters" / name
        if not out.exists():
            request = TrainRequest(
                data=str(data), class_word=CHARACTERS[CHARACTER].species, steps=self.steps, batch=4,
                prior=False, held_out=0, checkpoint_every=100_000,
            )  # fmt: skip
            self.studio.run(request, out)
        return out

    def painted(self, name: str, adapter: Path) -> list[Path]:
        """Four images generated with an adapter, each with its seed; made once."""
        out = self.folder / "painted" / name
        for number, where in enumerate(ASKED):
            if not (out / f"{number + 1:04d}.png").exists():
                prompt = f"a photo of {IDENTIFIER} {CHARACTERS[CHARACTER].species} {where}"
                use = AdapterUse(path=str(adapter))
                request = GenerateRequest(prompt=prompt, adapter=(use,), seed=number, steps=PAINTING)
                self.studio.run(request, out)
        return sorted(out.glob("*.png"))


def silent(event: object) -> None:
    return None


@torch.no_grad()
def losses(adapter: Path, queries: Sequence[Query]) -> np.ndarray:
    """Loss on each image with an adapter, at fixed timesteps and noise: (q,)."""
    request = InfluenceRequest(adapter=str(adapter), precision="fp32")
    with restored(open_adapter(str(adapter)), request, "cpu", silent) as opened:
        plan = make_plan(opened.request, scan(queries[0].image.path), opened.facts, opened.components.side)
        found = []
        for query in queries:
            example = encode_query(query, opened, plan, 0, False, False)
            shape = torch.Size((8 * TIMES, *example.latents.shape[2:]))
            objective = opened.model.family.objective(opened.components)
            draw = evenly(objective.draw(shape, generator_for(1, "watched", 0)), TIMES)
            batch = example.batch([0] * TIMES, [0] * TIMES, example.text_of([0] * TIMES))
            found.append(objective.loss(batch, draw).mean().item())
    return np.array(found)


def features(bench: Bench, adapter: Path, pictures: Sequence[Path], queries: Sequence[Query]) -> Mapping[str, Any]:
    """Features of the queries and of the 12, by setting."""
    found: dict[str, Any] = {}
    workspace = Workspace("bench", bench.folder, bench.folder, bench.folder)
    request = InfluenceRequest(adapter=str(adapter), precision="fp32")
    with restored(open_adapter(str(adapter)), request, "cpu", silent) as opened:
        learnt = scan(pictures[0].parent)
        plan = make_plan(opened.request, learnt, opened.facts, opened.components.side)
        kept = [Query(image, image.caption or "") for image in learnt.images]
        for output, timesteps in SETTINGS:
            request = InfluenceRequest(adapter=str(adapter), output=output, timesteps=timesteps, precision="fp32")
            began = time.monotonic()
            training, _, asked = features_of(request, opened, plan, (kept, [], queries), workspace, silent)
            found[f"{output}, {timesteps} times"] = asked, training, time.monotonic() - began
    return found


def likeness(queries: Sequence[Path], pictures: Sequence[Path]) -> np.ndarray:
    """Cosine of the starter's image features, (q, n)."""
    encoder = open_encoder("starter")
    with torch.inference_mode():
        return (encoder.images(queries) @ encoder.images(pictures).T).double().numpy()


def lds(scores: np.ndarray, halves: np.ndarray, measured: np.ndarray) -> list[float]:
    """For each image. scores: (q, n). halves: (m, n) of 0 and 1. measured: losses (m, q)."""
    predicted = halves @ scores.T
    return [rank_correlation(predicted[:, i], -measured[:, i]) for i in range(scores.shape[0])]


def mean_and_error(values: Sequence[float]) -> dict[str, float]:
    return {"mean": mean(values), "error": stdev(values) / len(values) ** 0.5}


def by_kind(values: Sequence[float], painted: int) -> dict[str, dict[str, float]]:
    """The score for generated images, for held-out images of the painter, and for all."""
    return {
        "painted": mean_and_error(values[:painted]),
        "unseen": mean_and_error(values[painted:]),
        "all": mean_and_error(values),
    }


def difference(one: Path, other: Path) -> float:
    """1 - cosine of the starter's image features of two images."""
    return 1 - float(likeness([one], [other])[0, 0])


def without(bench: Bench, pictures: Sequence[Path], queries: Sequence[Query], scores: np.ndarray, count: int) -> Any:
    """Change of the loss and of the image when the highest-scoring or random training images are left out."""
    full = bench.folder / "adapters" / "all"
    before, originals = losses(full, queries), bench.painted("all", full)
    top = {i: tuple(sorted(np.argsort(-scores[i])[:REMOVED].tolist())) for i in range(len(queries))}
    rng = random.Random(3)
    chance = [tuple(sorted(rng.sample(range(len(pictures)), REMOVED))) for _ in range(count)]
    shifts, seen = {}, {}
    for removed in dict.fromkeys((*top.values(), *chance)):
        name = "without-" + "-".join(map(str, removed))
        kept = [index for index in range(len(pictures)) if index not in removed]
        adapter = bench.adapter(name, bench.some(name, pictures, kept))
        shifts[removed] = losses(adapter, queries) - before
        if removed in chance or removed in [top[i] for i in range(len(originals))]:
            seen[removed] = [difference(a, b) for a, b in zip(originals, bench.painted(name, adapter), strict=True)]
    pairs = [(i, removed) for i in top for removed in chance if not set(removed) & set(top[i])]
    painted_ = range(len(originals))
    drawn = range(len(originals), len(queries))
    return {
        "loss on painted": sides(shifts, top, pairs, painted_),
        "loss on unseen": sides(shifts, top, pairs, drawn),
        "picture": sides(seen, top, pairs, painted_),
    }


def sides(changes: Mapping[Any, Any], top: Mapping[int, Any], pairs: Sequence[tuple[int, Any]], which: range) -> Any:
    """The change without the highest-scoring images, and without random ones that include none of them."""
    return {
        "top": mean_and_error([float(changes[top[i]][i]) for i in which]),
        "random": mean_and_error([float(changes[removed][i]) for i, removed in pairs if i in which]),
    }


def planted(bench: Bench, output: Output, timesteps: int, ridge: float) -> dict[str, Any]:
    """Ranks by worth, from the lowest, of the images that show another character."""
    pictures = bench.album("planted", PLANTED)
    adapter = bench.adapter("planted", pictures[0].parent)
    request = InfluenceRequest(
        adapter=str(adapter),
        output=output,
        timesteps=timesteps,
        ridge=ridge,
        precision="fp32",
    )
    traced = trace(request, Workspace("bench", bench.folder, bench.folder, bench.folder), silent)
    worths = [each.worth or 0.0 for each in traced.training]
    order = np.argsort(worths).tolist()
    return {
        "ranks": [order.index(index) + 1 for index in PLANTED],
        "worth": worths,
        "verdicts": [each.verdict for each in traced.training],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder for images and adapters")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--steps", type=int, default=60, help="steps of each training")
    parser.add_argument("--halves", type=int, default=10, help="number of random halves of the training images")
    parser.add_argument("--random", type=int, default=3, help="number of trainings without three random images")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    quiet_libraries()
    began = time.monotonic()
    bench = Bench(o.folder, o.steps)
    pictures = bench.album("pictures")
    full = bench.adapter("all", pictures[0].parent)
    queries = [each for path in bench.painted("all", full) for each in read_queries(str(path), None)]
    every = [*queries, *bench.unseen()]
    found = features(bench, full, pictures, every)
    rng, rows = random.Random(5), []
    measured = []
    for number in range(o.halves):
        kept = sorted(rng.sample(range(len(pictures)), len(pictures) // 2))
        adapter = bench.adapter(f"half-{number}", bench.some(f"half-{number}", pictures, kept))
        rows.append([int(index in kept) for index in range(len(pictures))])
        measured.append(losses(adapter, every))
        print("half", number, kept, measured[-1].round(4).tolist(), flush=True)
    halves, losses_ = np.array(rows), np.array(measured)
    result: dict[str, Any] = {"machine": machine(), "steps": o.steps, "halves": o.halves, "lds": {}, "seconds": {}}
    tried: dict[tuple[str, float], np.ndarray] = {}
    for name, (asked, training, seconds) in found.items():
        result["seconds"][name] = seconds
        for ridge in RIDGES:
            tried[name, ridge] = attribution.scores(asked, training, ridge)
            result["lds"][f"{name}, ridge {ridge:g}"] = by_kind(lds(tried[name, ridge], halves, losses_), len(queries))
    alike = likeness([each.image.path for each in every], pictures)
    result["lds"]["likeness of pictures"] = by_kind(lds(alike, halves, losses_), len(queries))
    for name, kinds in result["lds"].items():
        print(name, *(f"{kind} {v['mean']:.3f} ± {v['error']:.3f}" for kind, v in kinds.items()), sep=", ", flush=True)
    usual = InfluenceRequest.model_fields
    output, timesteps, ridge = (usual[name].default for name in ("output", "timesteps", "ridge"))
    write_json(o.json, result)
    result["planted"] = planted(bench, output, timesteps, ridge)
    result["without"] = without(bench, pictures, every, tried[f"{output}, {timesteps} times", ridge], o.random)
    for part, sides in result["without"].items():
        print(part, *(f"{side} {v['mean']:.5f} ± {v['error']:.5f}" for side, v in sides.items()))
    print("planted", result["planted"])
    result["minutes"] = (time.monotonic() - began) / 60
    write_json(o.json, result)


if __name__ == "__main__":
    main()
