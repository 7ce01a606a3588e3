"""Cases of known truth: images that were drawn, edited or read by the judge, so that the right order is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from limner.core.choice import evenly
from limner.core.metrics import ImageSet, ScoredImage
from limner.starter.exam.model import ModelUnderTest
from limner.starter.exam.prompts import exam_prompts
from limner.starter.exam.scoring import score_images
from limner.starter.judge import Judge
from limner.starter.painter import CHARACTERS, Scene, caption, paint, portraits, random_scene
from limner.starter.painter.animals import BREED_LOOKS, Look

PLACES = ("park", "beach", "snow", "city")
POSES = ("sitting", "standing", "sitting", "lying")
SETTINGS = ((1.5, 4), (3.0, 10), (7.5, 10), (12.5, 6))
"""Guidance scales and steps for the exam's prompts, from poor to good."""
SIGMAS = (0.0, 0.4, 0.8, 1.2, 1.8, 2.5)
FACTORS = (0.0, 0.4, 0.8, 1.2, 1.6, 2.2)
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Edit = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class AgreementCase:
    """Images with a known truth, with which the values of metrics should rise or fall.

    truth: what it is, in words. image_sets: what the metrics score, one set at a time. values: the truth of every item
    of all sets. falling: metrics whose values should fall as it rises. groups: the group of every item; if given, only
    the differences from the group's means are compared.
    """

    metrics: tuple[str, ...]
    truth: str
    image_sets: tuple[ImageSet, ...]
    values: tuple[float, ...]
    falling: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()


class ImageWriter:
    """Writes images into a folder with numbers as names."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._numbers = folder, count()

    def write(self, image: Image.Image) -> Path:
        path = self.folder / f"{next(self._numbers):05d}.png"
        image.save(path)
        return path

    def write_scenes(self, scenes: Iterable[Scene]) -> tuple[Path, ...]:
        return tuple(self.write(paint(scene)) for scene in scenes)


def generated_prompts(writer: ImageWriter, model: ModelUnderTest, size: int) -> list[AgreementCase]:
    """Images of the exam's prompts at several settings; truth: how many expected attributes the judge finds."""
    prompts, judge = evenly(exam_prompts(), 3 * size), Judge.load()
    items, values = [], []
    for guidance, steps in SETTINGS:
        changed = replace(model, sampling=model.sampling | {"steps": steps})
        pixels = changed.generate(f"guidance {guidance:g}", [prompt.text for prompt in prompts], guidance)
        verdicts = score_images(judge, prompts, pixels).verdicts
        values += [sum(verdict.values()) / len(verdict) for verdict in verdicts]
        items += [
            ScoredImage(writer.write(Image.fromarray(p)), each.text) for p, each in zip(pixels, prompts, strict=True)
        ]
    truth = "share of the expected attributes that the judge finds in the starter's images"
    whole = AgreementCase(("prompt_fidelity",), f"{truth}, over all prompts", (ImageSet(tuple(items)),), tuple(values))
    groups = tuple(range(len(prompts))) * len(SETTINGS)
    return [whole, replace(whole, truth=f"{truth}, among those of one prompt", groups=groups)]


def changed_captions(writer: ImageWriter, size: int) -> AgreementCase:
    """Captions of drawn images in which 0 to 3 attributes differ from the caption."""
    rng = random.Random("changed prompts")
    items, values = [], []
    for _ in range(4 * size):
        scene = random_scene(rng)
        for wrong in range(4):
            items.append(ScoredImage(writer.write(paint(_altered(scene, wrong, rng))), caption(scene)))
            values.append(-float(wrong))
    return AgreementCase(
        ("prompt_fidelity",),
        "attributes of the caption that the drawn image shows differently, 0 to 3, to fall",
        (ImageSet(tuple(items)),),
        tuple(values),
    )


def _altered(scene: Scene, wrong: int, rng: random.Random) -> Scene:
    """The scene with `wrong` of its attributes from another scene."""
    names = ("place", "style", "light") + (("breed", "pose", "extra") if scene.is_animal else ("colour",))
    while True:
        other = random_scene(rng, subject=scene.subject)
        values = {name: getattr(other, name) for name in rng.sample(names, wrong)}
        if "extra" in values:
            values["extra_colour"] = other.extra_colour
        if values.get("place", scene.place) != scene.place:
            values["backdrop"] = other.backdrop
        changed = Scene.model_validate(scene.model_dump() | values)
        if sum(getattr(changed, name) != getattr(scene, name) for name in names) == wrong:
            return changed


def characters(writer: ImageWriter, size: int) -> AgreementCase:
    """A character with fewer and fewer of its marks, other characters and breeds, compared with images of it."""
    rng = random.Random("characters")
    image_sets, values = [], []
    for name, look in evenly(sorted(CHARACTERS.items(), key=lambda pair: pair[0]), size):
        references = writer.write_scenes(portraits(name, rng, PLACES, POSES))
        shown = [(_without(look, left, rng), _share(left, look)) for left in range(len(look.marks), -1, -1)]
        strangers = [other for other in CHARACTERS.values() if other.species == look.species and other is not look]
        breeds = [breed for breed in BREED_LOOKS.values() if breed.species == look.species]
        shown += [(stranger, 0.0) for stranger in rng.sample(strangers, 2)]
        shown += [(breed, 0.0) for breed in rng.sample(breeds, 2)]
        items = []
        for other, share in shown:
            for scene in portraits(name, rng, ("forest", "desert"), ("sitting", "standing")):
                items.append(ScoredImage(writer.write(paint(scene, other))))
                values.append(share)
        image_sets.append(ImageSet(tuple(items), references=references))
    return AgreementCase(
        ("subject_fidelity",),
        "share of a character's coat and marks that the drawn image shows, down to other characters and breeds",
        tuple(image_sets),
        tuple(values),
    )


def _without(look: Look, left: int, rng: random.Random) -> Look:
    """The look with `left` of its marks, chosen at random, and the same coat."""
    marks = tuple(rng.sample(look.marks, left))
    return replace(look, marks=marks, ear_colour=look.ear_colour if "coloured ears" in marks else None)


def _share(left: int, look: Look) -> float:
    return (left + 1) / (len(look.marks) + 1)


def varied_groups(writer: ImageWriter, size: int) -> AgreementCase:
    """Groups of four drawn images that differ in 0 to 5 attributes."""
    rng = random.Random("varied groups")
    names = ("breed", "place", "style", "light", "pose")
    items, values = [], []
    for number in range(3 * size // 2):
        scene = random_scene(rng, subject=rng.choice(("cat", "dog")), extra=None, weather="clear")
        for varied in range(len(names) + 1):
            changed = rng.sample(names, varied)
            same = {name: getattr(scene, name) for name in names if name not in changed}
            same |= {"backdrop": scene.backdrop} if same.get("place") == "studio" else {}
            group = [random_scene(rng, subject=scene.subject, extra=None, weather="clear", **same) for _ in range(4)]
            items += [ScoredImage(path, group=f"{number}, {varied}") for path in writer.write_scenes(group)]
            values.append(float(varied))
    return AgreementCase(
        ("diversity",),
        "attributes in which four drawn images may differ, 0 to 5",
        (ImageSet(tuple(items)),),
        tuple(values),
    )


def edited(
    writer: ImageWriter, size: int, metrics: tuple[str, ...], truth: str, edits: Sequence[tuple[float, Edit]]
) -> AgreementCase:
    """Drawn images, each with every edit; edits: the truth and the edit. The truth in words is the seed."""
    rng = random.Random(truth)
    items, values = [], []
    for _ in range(2 * size):
        image = paint(random_scene(rng))
        for value, edit in edits:
            items.append(ScoredImage(writer.write(edit(image))))
            values.append(value)
    return AgreementCase(metrics, truth, (ImageSet(tuple(items)),), tuple(values))


def blurred(writer: ImageWriter, size: int) -> AgreementCase:
    edits = [(-sigma, lambda p, s=sigma: p.filter(ImageFilter.GaussianBlur(s))) for sigma in SIGMAS]
    return edited(writer, size, ("sharpness", "edge_density", "frequency"), "blur of 0 to 2.5 px, to fall", edits)


def coloured(writer: ImageWriter, size: int) -> AgreementCase:
    edits = [(factor, lambda p, f=factor: ImageEnhance.Color(p).enhance(f)) for factor in FACTORS]
    return edited(writer, size, ("saturation",), "colour times 0 to 2.2", edits)


def contrasted(writer: ImageWriter, size: int) -> AgreementCase:
    edits = [(factor, lambda p, f=factor: ImageEnhance.Contrast(p).enhance(f)) for factor in FACTORS]
    return edited(writer, size, ("clipping",), "contrast times 0 to 2.2", edits)


def copied(writer: ImageWriter, size: int) -> AgreementCase:
    """Blends of a training image, half of them mirrored, with another drawn image."""
    rng = random.Random("copied")
    training = [paint(random_scene(rng)) for _ in range(4 * size)]
    items, values = [], []
    for number in range(2 * size):
        other, mirrored = paint(random_scene(rng)), rng.random() < 0.5
        source = training[number].transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else training[number]
        for share in SHARES:
            items.append(ScoredImage(writer.write(Image.blend(other, source, share))))
            values.append(share)
    paths = tuple(writer.write(image) for image in training)
    return AgreementCase(
        ("memorisation", "uniqueness"),
        "share of a training image that is blended into another one, half of them mirrored",
        (ImageSet(tuple(items), training=paths),),
        tuple(values),
        falling=("uniqueness",),
    )


def drifted(writer: ImageWriter, size: int) -> AgreementCase:
    """Blends of an animal of some breed with the same animal with a character's look."""
    rng = random.Random("drifted")
    items, base, values = [], [], []
    for _ in range(2 * size):
        name, look = rng.choice(sorted(CHARACTERS.items(), key=lambda pair: pair[0]))
        (scene,) = portraits(name, rng, [rng.choice(PLACES)], ["sitting"])
        plain = rng.choice([breed for breed in BREED_LOOKS.values() if breed.species == look.species])
        first, last = paint(scene, plain), paint(scene, look)
        before = ScoredImage(writer.write(first), f"a photo of a {look.species}")
        for share in SHARES:
            items.append(ScoredImage(writer.write(Image.blend(first, last, share)), before.prompt))
            base.append(before)
            values.append(share)
    return AgreementCase(
        ("class_drift",),
        "share of a character's look that is blended into that of a breed",
        (ImageSet(tuple(items), base=tuple(base)),),
        tuple(values),
    )


def mixed_sets(writer: ImageWriter, size: int) -> AgreementCase:
    """Sets of images of which a known share has another subject than the references."""
    rng = random.Random("mixed sets")
    number = 4 * size
    same, other = (
        writer.write_scenes(random_scene(rng, subject=kind) for _ in range(2 * number)) for kind in ("dog", "car")
    )
    image_sets, values = [], []
    for share in np.linspace(0, 1, 11).tolist():
        for _ in range(2):
            wrong = round(share * number)
            chosen = [*rng.sample(other[:number], wrong), *rng.sample(same[:number], number - wrong)]
            image_sets.append(ImageSet(tuple(map(ScoredImage, chosen)), references=same[number:]))
            values.append(share)
    return AgreementCase(
        ("fid", "kid"),
        "share of images of another subject than that of the references",
        tuple(image_sets),
        tuple(values),
    )


CASES = (
    changed_captions,
    characters,
    varied_groups,
    blurred,
    coloured,
    contrasted,
    copied,
    drifted,
    mixed_sets,
)


def agreement_cases(writer: ImageWriter, model: ModelUnderTest, size: int) -> Iterator[AgreementCase]:
    """Yield all cases. size: number of images; 8 is that of the figures in docs/metrics.md."""
    yield from generated_prompts(writer, model, size)
    for make in CASES:
        yield make(writer, size)
