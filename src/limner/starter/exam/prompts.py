"""The exam's prompts: combinations that pretraining never showed, and what their images must show."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from limner.starter.judge.attributes import COLOURLESS, NONE
from limner.starter.painter import (
    BREEDS,
    COLOURS,
    EXTRAS,
    LIGHTS,
    PLACES,
    POSES,
    PRODUCTS,
    STUDIO,
    STYLES,
    WEATHERS,
    Scene,
)
from limner.starter.painter.captions import PLACE_PHRASES, STYLE_OPENINGS, article, caption, extra_noun
from limner.starter.painter.reserved import holds_reserved
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import INDOORS

SEED = 42
COUNTS = {"one": 96, "two": 144, "three": 144, "bound": 80, "without": 48}


@dataclass(frozen=True)
class ExamPrompt:
    """A prompt of the exam: its text, the attributes that an image must show, and a scene that shows them."""

    kind: str
    text: str
    expected: dict[str, str]
    scene: Scene


def exam_prompts(counts: dict[str, int] = COUNTS) -> list[ExamPrompt]:
    """The prompts of the exam, always the same 512: with one, two or three attributes, bound colours and "without".

    All of "two", "three" and "bound", and those of "one" with a colour, have a pair that pretraining never showed.
    Other prompts of "one" cannot be a new combination.
    """
    rng = random.Random("exam")
    makers: dict[str, Callable[[random.Random, int], ExamPrompt | None]] = {
        "one": _one,
        "two": lambda rng, i: _several(rng, i, 2),
        "three": lambda rng, i: _several(rng, i, 3),
        "bound": _bound,
        "without": _without,
    }
    found: list[ExamPrompt] = []
    for kind, count in counts.items():
        texts: set[str] = set()
        tries = 0
        while len(texts) < count:
            prompt = makers[kind](rng, tries)
            tries += 1
            if prompt is not None and prompt.text not in texts:
                texts.add(prompt.text)
                found.append(prompt)
    return found


def _subject(rng: random.Random, animal: bool) -> dict[str, str]:
    if not animal:
        return {"subject": rng.choice(PRODUCTS), "colour": rng.choice(tuple(COLOURS))}
    species = rng.choice(tuple(BREEDS))
    return {"subject": species, "breed": rng.choice(BREEDS[species])}


def _scene(rng: random.Random, **values) -> Scene:
    """A scene whose subject does not face left, because a prompt would have to say so."""
    if values.get("extra") in COLOURED_EXTRAS and "extra_colour" not in values:
        values["extra_colour"] = rng.choice(tuple(COLOURS))
    if values.get("place") == STUDIO and "backdrop" not in values:
        values["backdrop"] = rng.choice(tuple(COLOURS))
    while True:
        scene = Scene(**values, seed=rng.getrandbits(31))
        if scene.facing != "left":
            return scene


def _exam_prompt(kind: str, scene: Scene, attributes: tuple[str, ...], rng: random.Random) -> ExamPrompt:
    """A prompt that expects some attributes of a scene; "extra" includes its colour."""
    text = caption(scene, rng)
    while "without" in text:  # that is a separate kind of prompt
        text = caption(scene, rng)
    names = ["subject", *attributes, *(["extra_colour"] if "extra" in attributes and scene.extra_colour else [])]
    if scene.style in COLOURLESS:
        names = [name for name in names if name not in ("colour", "extra_colour", "backdrop", "light")]
    expected = {name: value for name in names if (value := getattr(scene, name)) is not None}
    return ExamPrompt(kind, text, expected, scene)


def _one(rng: random.Random, turn: int) -> ExamPrompt | None:
    """A class word and one attribute, in few words."""
    values = _subject(rng, animal=turn % 4 != 3)
    if turn % 4 == 3:
        scene = _scene(rng, **values, place=STUDIO)
        if not holds_reserved(scene):
            return None
        return ExamPrompt(
            "one", f"a photo of {article(f'{scene.colour} {scene.subject}')}", _expect(scene, "colour"), scene
        )
    species = values["subject"]
    if turn % 4 == 0:
        scene = _scene(rng, **values, place=STUDIO)
        return ExamPrompt("one", f"a photo of {article(f'{scene.breed} {species}')}", _expect(scene, "breed"), scene)
    if turn % 4 == 1:
        scene = _scene(rng, **values, place=rng.choice(PLACES))
        phrase = rng.choice(PLACE_PHRASES[scene.place])
        return ExamPrompt("one", f"a photo of a {species} {phrase}", _expect(scene, "place"), scene)
    if rng.random() < 0.5:
        scene = _scene(rng, **values, place=STUDIO, style=rng.choice(STYLES[1:]))
        return ExamPrompt(
            "one", rng.choice(STYLE_OPENINGS[scene.style]).format(f"a {species}"), _expect(scene, "style"), scene
        )
    scene = _scene(rng, **values, place=STUDIO, extra=rng.choice([e for e in EXTRAS if e not in COLOURED_EXTRAS]))
    return ExamPrompt(
        "one", f"a photo of a {species} wearing {extra_noun(str(scene.extra))}", _expect(scene, "extra"), scene
    )


def _expect(scene: Scene, name: str) -> dict[str, str]:
    """The subject and one more attribute of a scene."""
    return {"subject": scene.subject, name: str(getattr(scene, name))}


def _several(rng: random.Random, turn: int, count: int) -> ExamPrompt | None:
    """A breed or a coloured product with `count` attributes, including that breed or colour."""
    animal = turn % 3 != 2
    values = _subject(rng, animal)
    first = "breed" if animal else "colour"
    choices = ["place", "style", "place", "light", "weather"] + (["extra", "extra", "pose"] if animal else [])
    attributes = {first}
    while len(attributes) < count:
        attributes.add(rng.choice(choices))
    if attributes & {"light", "weather"} and "place" not in attributes:
        return None  # they need a place, which would be one more attribute
    values["place"] = rng.choice(PLACES) if "place" in attributes else STUDIO
    drawn = {
        "style": lambda: rng.choice(STYLES[1:]),
        "extra": lambda: rng.choice(EXTRAS),
        "light": lambda: rng.choice(LIGHTS[1:]),
        "weather": lambda: rng.choice(WEATHERS[1:]),
        "pose": lambda: rng.choice(POSES[1:]),
    }
    values |= {name: draw() for name, draw in drawn.items() if name in attributes}
    if "weather" in attributes and values["place"] in INDOORS:
        return None
    scene = _scene(rng, **values)
    if not holds_reserved(scene):
        return None
    return _exam_prompt({2: "two", 3: "three"}[count], scene, tuple(sorted(attributes)), rng)


def _bound(rng: random.Random, turn: int) -> ExamPrompt | None:
    """Two colours, each of which must be on the right object."""
    values = _subject(rng, animal=turn % 2 == 0)
    backdrop, other = rng.sample(tuple(COLOURS), 2)
    if turn % 2:
        scene = _scene(rng, **values | {"colour": other}, place=STUDIO, backdrop=backdrop)
        attributes: tuple[str, ...] = ("colour", "backdrop")
    else:
        extra = rng.choice(COLOURED_EXTRAS)
        scene = _scene(rng, **values, place=STUDIO, backdrop=backdrop, extra=extra, extra_colour=other)
        attributes = ("breed", "extra", "backdrop")
    return _exam_prompt("bound", scene, attributes, rng) if holds_reserved(scene) else None


def _without(rng: random.Random, turn: int) -> ExamPrompt | None:
    """An extra that must not be there."""
    values = _subject(rng, animal=True)
    scene = _scene(rng, **values, place=rng.choice(PLACES))
    if not holds_reserved(scene):
        return None
    absent = rng.choice(EXTRAS)
    place = rng.choice(PLACE_PHRASES[scene.place])
    text = f"a photo of {article(f'{scene.breed} {scene.subject}')} without {extra_noun(absent)} {place}"
    return ExamPrompt("without", text, _expect(scene, "place") | {"breed": str(scene.breed), "extra": NONE}, scene)
