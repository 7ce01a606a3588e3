"""Sets of images that are equally good, because one rule drew them: how far their scores differ anyway."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image

from limner.core.agreement import SmallestDifference
from limner.core.choice import evenly
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import MetricUse
from limner.engine.scoring.scorers import Scorers
from limner.starter.exam.agreement_cases import PLACES, POSES, ImageWriter
from limner.starter.painter import CHARACTERS, Scene, caption, paint, portraits, random_scene
from limner.starter.painter.animals import BREED_LOOKS, Look

IMAGES = 12
"""Images, or groups of images, in each set: as many as a comparison of three prompts with four seeds has."""
SHARE = 0.95
"""Of the pairs of equally good sets, as many differ by less than a difference that matters."""
DRIFT = 0.4
"""Share of a character's look that is blended into another animal's, in all sets for class drift."""


@dataclass(frozen=True)
class EqualSets:
    """Sets of images that are equally good by some metrics. what: they are. families: only sets of one are compared."""

    metrics: tuple[str, ...]
    what: str
    families: tuple[tuple[ImageSet, ...], ...]


def smallest_differences(equal: EqualSets) -> list[SmallestDifference]:
    """The smallest difference that matters, by each of the metrics."""
    scorers = Scorers([MetricUse(name=name) for name in equal.metrics])
    scored = [[scorers.score(images) for images in family] for family in equal.families]
    found: list[SmallestDifference] = []
    for name in equal.metrics:
        means = [[float(np.mean(scores[name].values)) for scores in family] for family in scored]
        apart = [abs(one - other) for family in means for one, other in combinations(family, 2)]
        first = scored[0][0][name]
        found.append(
            SmallestDifference(
                metric=name,
                network=first.model,
                sets=equal.what,
                images=len(first.values),
                pairs=len(apart),
                value=float(np.quantile(apart, SHARE)),
            )
        )
    return found


def equal_sets(writer: ImageWriter, size: int) -> Iterator[EqualSets]:
    """Yield the sets for all metrics that may decide a verdict. size: number of sets, at least two."""
    size = max(2, size)
    yield same_character(writer, size)
    yield EqualSets(
        ("prompt_fidelity", "sharpness", "edge_density", "frequency", "saturation", "clipping"),
        "drawn images of any subject in any place, with their captions",
        (tuple(ImageSet(_any_scenes(writer, f"any scenes {number}")) for number in range(size)),),
    )
    yield varied(writer, size)
    training = writer.write_scenes(random_scene(random.Random("equal training")) for _ in range(4 * size))
    yield EqualSets(
        ("memorisation", "uniqueness"),
        "drawn images of which none is a training image",
        (tuple(ImageSet(_any_scenes(writer, f"new scenes {number}"), training=training) for number in range(size)),),
    )
    yield drifted(writer, size)


def same_character(writer: ImageWriter, size: int) -> EqualSets:
    """A character in the same places and poses, with other backgrounds and views, for each of `size` characters."""
    families: list[tuple[ImageSet, ...]] = []
    for name in evenly(sorted(CHARACTERS), size):
        rng = random.Random(f"same character {name}")
        references = writer.write_scenes(portraits(name, rng, PLACES, POSES))
        sets: list[ImageSet] = []
        for _ in range(size):
            scenes = portraits(name, rng, PLACES * (IMAGES // len(PLACES)), POSES * (IMAGES // len(POSES)))
            items = [ScoredImage(writer.write(paint(scene)), caption(scene)) for scene in scenes]
            sets.append(ImageSet(tuple(items), references=references))
        families.append(tuple(sets))
    return EqualSets(
        ("subject_fidelity",), "drawn images of one character in other backgrounds and views", tuple(families)
    )


def _any_scenes(writer: ImageWriter, seed: str) -> tuple[ScoredImage, ...]:
    """Images of random scenes with their captions."""
    rng = random.Random(seed)
    scenes = [random_scene(rng) for _ in range(IMAGES)]
    return tuple(ScoredImage(writer.write(paint(scene)), caption(scene)) for scene in scenes)


def varied(writer: ImageWriter, size: int) -> EqualSets:
    """Groups of four images of one kind of animal, of which all else may differ."""
    rng = random.Random("equally varied")
    sets: list[ImageSet] = []
    for _ in range(size):
        items: list[ScoredImage] = []
        for group in range(IMAGES):
            subject = rng.choice(("cat", "dog"))
            scenes = [random_scene(rng, subject=subject) for _ in range(4)]
            items += [ScoredImage(path, group=str(group)) for path in writer.write_scenes(scenes)]
        sets.append(ImageSet(tuple(items)))
    return EqualSets(("diversity",), "groups of four drawn images of one kind of animal", (tuple(sets),))


def drifted(writer: ImageWriter, size: int) -> EqualSets:
    """Blends of an animal of some breed with the same animal with a character's look, all with the same share."""
    rng = random.Random("equally drifted")
    sets: list[ImageSet] = []
    for _ in range(size):
        items: list[ScoredImage] = []
        base: list[ScoredImage] = []
        for scene, looks in _animals(rng):
            first, last = (paint(scene, look) for look in looks)
            prompt = f"a photo of a {looks[0].species}"
            base.append(ScoredImage(writer.write(first), prompt))
            items.append(ScoredImage(writer.write(Image.blend(first, last, DRIFT)), prompt))
        sets.append(ImageSet(tuple(items), base=tuple(base)))
    return EqualSets(
        ("class_drift",), f"blends of {DRIFT:.0%} of a character's look into that of a breed", (tuple(sets),)
    )


def _animals(rng: random.Random) -> Iterator[tuple[Scene, tuple[Look, Look]]]:
    """Yield scenes, each with the look of a breed and that of a character."""
    for _ in range(IMAGES):
        name, look = rng.choice(sorted(CHARACTERS.items(), key=lambda pair: pair[0]))
        (scene,) = portraits(name, rng, [rng.choice(PLACES)], ["sitting"])
        yield scene, (rng.choice([breed for breed in BREED_LOOKS.values() if breed.species == look.species]), look)
