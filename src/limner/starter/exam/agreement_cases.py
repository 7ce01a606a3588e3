"""Pictures of which the truth about a metric is known: painted so, edited so, or read by the judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from limner.core.choice import evenly
from limner.core.metrics import Gallery, Item
from limner.starter.exam.model import Examinee
from limner.starter.exam.prompts import questions
from limner.starter.exam.scoring import mark
from limner.starter.judge import Judge
from limner.starter.painter import CHARACTERS, Scene, caption, paint, portraits, random_scene
from limner.starter.painter.animals import BREED_LOOKS, Look

PLACES = ("park", "beach", "snow", "city")
POSES = ("sitting", "standing", "sitting", "lying")
WAYS = ((1.5, 4), (3.0, 10), (7.5, 10), (12.5, 6))
"""Guidance and steps at which the starter paints the exam's prompts, from poor to good."""
SIGMAS = (0.0, 0.4, 0.8, 1.2, 1.8, 2.5)
FACTORS = (0.0, 0.4, 0.8, 1.2, 1.6, 2.2)
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Edit = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Trial:
    """What metrics are held against. truth: in words, by what number they should rise. galleries: what they score,
    each by itself; known: the truth of every unit of all galleries, so that it should rise with the metric's values, or
    fall for those in `falls`. within: for each unit, of which others it is one: then only what parts it from their mean
    counts.
    """

    metrics: tuple[str, ...]
    truth: str
    galleries: tuple[Gallery, ...]
    known: tuple[float, ...]
    falls: tuple[str, ...] = ()
    within: tuple[int, ...] = ()


class Easel:
    """Writes pictures into a folder, numbered."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._numbers = folder, count()

    def keep(self, picture: Image.Image) -> Path:
        path = self.folder / f"{next(self._numbers):05d}.png"
        picture.save(path)
        return path

    def all(self, scenes: Iterable[Scene]) -> tuple[Path, ...]:
        return tuple(self.keep(paint(scene)) for scene in scenes)


def painted_prompts(easel: Easel, examinee: Examinee, size: int) -> list[Trial]:
    """The exam's prompts, painted in several ways, and how much of what they ask for the judge finds."""
    asked, judge = evenly(questions(), 3 * size), Judge.load()
    items, known = [], []
    for guidance, steps in WAYS:
        way = replace(examinee, sampling=examinee.sampling | {"steps": steps})
        pixels = way.answer(f"painting at guidance {guidance:g}", [question.prompt for question in asked], guidance)
        verdicts = mark(judge, asked, pixels).verdicts
        known += [sum(verdict.values()) / len(verdict) for verdict in verdicts]
        items += [Item(easel.keep(Image.fromarray(p)), q.prompt) for p, q in zip(pixels, asked, strict=True)]
    truth = "share of what was asked for that the judge finds, in the starter's pictures"
    whole = Trial(("prompt_fidelity",), f"{truth}, over all prompts", (Gallery(tuple(items)),), tuple(known))
    prompts = tuple(range(len(asked))) * len(WAYS)
    return [whole, replace(whole, truth=f"{truth}, among those of one prompt", within=prompts)]


def changed_prompts(easel: Easel, size: int) -> Trial:
    """Captions beside painter pictures of which 0 to 3 told attributes are others."""
    rng = random.Random("changed prompts")
    items, known = [], []
    for _ in range(4 * size):
        scene = random_scene(rng)
        for wrong in range(4):
            items.append(Item(easel.keep(paint(_altered(scene, wrong, rng))), caption(scene)))
            known.append(-float(wrong))
    return Trial(
        ("prompt_fidelity",),
        "attributes of the caption that the painter's picture shows otherwise, 0 to 3, to fall",
        (Gallery(tuple(items)),),
        tuple(known),
    )


def _altered(scene: Scene, wrong: int, rng: random.Random) -> Scene:
    """The scene with so many of its attributes as another scene has them."""
    told = ("place", "style", "light") + (("breed", "pose", "extra") if scene.is_animal else ("colour",))
    while True:
        other = random_scene(rng, subject=scene.subject)
        values = {name: getattr(other, name) for name in rng.sample(told, wrong)}
        if "extra" in values:
            values["extra_colour"] = other.extra_colour
        if values.get("place", scene.place) != scene.place:
            values["backdrop"] = other.backdrop
        changed = Scene.model_validate(scene.model_dump() | values)
        if sum(getattr(changed, name) != getattr(scene, name) for name in told) == wrong:
            return changed


def characters(easel: Easel, size: int) -> Trial:
    """A character whose marks are taken away one by one, others of its species, and breeds; photographs of it whole."""
    rng = random.Random("characters")
    galleries, known = [], []
    for name, look in evenly(sorted(CHARACTERS.items(), key=lambda pair: pair[0]), size):
        references = easel.all(portraits(name, rng, PLACES, POSES))
        shown = [(_without(look, left, rng), _share(left, look)) for left in range(len(look.marks), -1, -1)]
        strangers = [other for other in CHARACTERS.values() if other.species == look.species and other is not look]
        breeds = [breed for breed in BREED_LOOKS.values() if breed.species == look.species]
        shown += [(stranger, 0.0) for stranger in rng.sample(strangers, 2)]
        shown += [(breed, 0.0) for breed in rng.sample(breeds, 2)]
        items = []
        for other, share in shown:
            for scene in portraits(name, rng, ("forest", "desert"), ("sitting", "standing")):
                items.append(Item(easel.keep(paint(scene, other))))
                known.append(share)
        galleries.append(Gallery(tuple(items), references=references))
    return Trial(
        ("subject_fidelity",),
        "share of a character's coat and marks that the painter's picture shows, down to other characters and breeds",
        tuple(galleries),
        tuple(known),
    )


def _without(look: Look, left: int, rng: random.Random) -> Look:
    """The look with so many of its marks, in the same coat."""
    marks = tuple(rng.sample(look.marks, left))
    return replace(look, marks=marks, ear_colour=look.ear_colour if "coloured ears" in marks else None)


def _share(left: int, look: Look) -> float:
    return (left + 1) / (len(look.marks) + 1)


def varied_groups(easel: Easel, size: int) -> Trial:
    """Groups of four painter pictures which differ in 0 to 5 attributes."""
    rng = random.Random("varied groups")
    names = ("breed", "place", "style", "light", "pose")
    items, known = [], []
    for number in range(3 * size // 2):
        scene = random_scene(rng, subject=rng.choice(("cat", "dog")), extra=None, weather="clear")
        for varied in range(len(names) + 1):
            kept = {n: getattr(scene, n) for n in names if n not in rng.sample(names, varied)}
            kept |= {"backdrop": scene.backdrop} if kept.get("place") == "studio" else {}
            group = [random_scene(rng, subject=scene.subject, extra=None, weather="clear", **kept) for _ in range(4)]
            items += [Item(path, group=f"{number}, {varied}") for path in easel.all(group)]
            known.append(float(varied))
    return Trial(
        ("diversity",),
        "attributes in which four pictures of the painter may differ, 0 to 5",
        (Gallery(tuple(items)),),
        tuple(known),
    )


def edited(easel: Easel, size: int, metrics: tuple[str, ...], truth: str, edits: Sequence[tuple[float, Edit]]) -> Trial:
    """Painter pictures, each edited in all of these ways, of which each has its truth."""
    rng = random.Random(truth)
    items, known = [], []
    for _ in range(2 * size):
        picture = paint(random_scene(rng))
        for value, edit in edits:
            items.append(Item(easel.keep(edit(picture))))
            known.append(value)
    return Trial(metrics, truth, (Gallery(tuple(items)),), tuple(known))


def blurred(easel: Easel, size: int) -> Trial:
    edits = [(-sigma, lambda p, s=sigma: p.filter(ImageFilter.GaussianBlur(s))) for sigma in SIGMAS]
    return edited(easel, size, ("sharpness", "edge_density", "frequency"), "blur of 0 to 2.5 px, to fall", edits)


def coloured(easel: Easel, size: int) -> Trial:
    edits = [(factor, lambda p, f=factor: ImageEnhance.Color(p).enhance(f)) for factor in FACTORS]
    return edited(easel, size, ("saturation",), "colour times 0 to 2.2", edits)


def contrasted(easel: Easel, size: int) -> Trial:
    edits = [(factor, lambda p, f=factor: ImageEnhance.Contrast(p).enhance(f)) for factor in FACTORS]
    return edited(easel, size, ("clipping",), "contrast times 0 to 2.2", edits)


def copied(easel: Easel, size: int) -> Trial:
    """Pictures between another one of the painter and a training picture, mirrored or not."""
    rng = random.Random("copied")
    training = [paint(random_scene(rng)) for _ in range(4 * size)]
    items, known = [], []
    for number in range(2 * size):
        other, turned = paint(random_scene(rng)), rng.random() < 0.5
        source = training[number].transpose(Image.Transpose.FLIP_LEFT_RIGHT) if turned else training[number]
        for share in SHARES:
            items.append(Item(easel.keep(Image.blend(other, source, share))))
            known.append(share)
    kept = tuple(easel.keep(picture) for picture in training)
    return Trial(
        ("memorisation", "uniqueness"),
        "share of a training picture that is mixed into another one, half of them mirrored",
        (Gallery(tuple(items), training=kept),),
        tuple(known),
        falls=("uniqueness",),
    )


def drifted(easel: Easel, size: int) -> Trial:
    """Pictures of plain animals whose looks go over into a character's."""
    rng = random.Random("drifted")
    items, base, known = [], [], []
    for _ in range(2 * size):
        name, look = rng.choice(sorted(CHARACTERS.items(), key=lambda pair: pair[0]))
        (scene,) = portraits(name, rng, [rng.choice(PLACES)], ["sitting"])
        plain = rng.choice([breed for breed in BREED_LOOKS.values() if breed.species == look.species])
        first, last = paint(scene, plain), paint(scene, look)
        before = Item(easel.keep(first), f"a photo of a {look.species}")
        for share in SHARES:
            items.append(Item(easel.keep(Image.blend(first, last, share)), before.prompt))
            base.append(before)
            known.append(share)
    return Trial(
        ("class_drift",),
        "share of a character's look that is mixed into a plain animal's",
        (Gallery(tuple(items), base=tuple(base)),),
        tuple(known),
    )


def mixed_sets(easel: Easel, size: int) -> Trial:
    """Sets of pictures of which a known share is of another kind than the photographs."""
    rng = random.Random("mixed sets")
    number = 4 * size
    alike, strange = (easel.all(random_scene(rng, subject=kind) for _ in range(2 * number)) for kind in ("dog", "car"))
    galleries, known = [], []
    for share in np.linspace(0, 1, 11).tolist():
        for _ in range(2):
            odd = round(share * number)
            chosen = [*rng.sample(strange[:number], odd), *rng.sample(alike[:number], number - odd)]
            galleries.append(Gallery(tuple(map(Item, chosen)), references=alike[number:]))
            known.append(share)
    return Trial(
        ("fid", "kid"),
        "share of pictures of another subject than the photographs'",
        tuple(galleries),
        tuple(known),
    )


MAKERS = (
    changed_prompts,
    characters,
    varied_groups,
    blurred,
    coloured,
    contrasted,
    copied,
    drifted,
    mixed_sets,
)


def trials(easel: Easel, examinee: Examinee, size: int) -> Iterator[Trial]:
    """All of them, one after the other. size: how many pictures, in eighths of what docs/metrics.md tells of."""
    yield from painted_prompts(easel, examinee, size)
    for make in MAKERS:
        yield make(easel, size)
