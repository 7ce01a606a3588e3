"""The exam's questions: prompts whose combinations pretraining never showed, and what their pictures must show."""

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
from limner.starter.painter.captions import PLACE_PHRASES, STYLE_OPENINGS, article, caption
from limner.starter.painter.reserved import holds_reserved
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import INDOORS

SEED = 42
COUNTS = {"one": 96, "two": 144, "three": 144, "bound": 80, "without": 48}


@dataclass(frozen=True)
class Question:
    """A prompt, what a picture of it must show by attribute, and a scene that would be a right answer."""

    kind: str
    prompt: str
    wanted: dict[str, str]
    scene: Scene


def questions(counts: dict[str, int] = COUNTS) -> list[Question]:
    """The exam, always the same 512 questions: single attributes, two, three, bound colours and "without".

    All of "two", "three", "bound" and the coloured ones of "one" hold a pair that pretraining never showed. A single
    attribute can be no new combination; there it is the picture that is new.
    """
    rng = random.Random("exam")
    makers: dict[str, Callable[[random.Random, int], Question | None]] = {
        "one": _one,
        "two": lambda rng, i: _several(rng, i, 2),
        "three": lambda rng, i: _several(rng, i, 3),
        "bound": _bound,
        "without": _without,
    }
    found: list[Question] = []
    for kind, count in counts.items():
        prompts: set[str] = set()
        tries = 0
        while len(prompts) < count:
            question = makers[kind](rng, tries)
            tries += 1
            if question is not None and question.prompt not in prompts:
                prompts.add(question.prompt)
                found.append(question)
    return found


def _subject(rng: random.Random, animal: bool) -> dict[str, str]:
    if not animal:
        return {"subject": rng.choice(PRODUCTS), "colour": rng.choice(tuple(COLOURS))}
    species = rng.choice(tuple(BREEDS))
    return {"subject": species, "breed": rng.choice(BREEDS[species])}


def _scene(rng: random.Random, **values) -> Scene:
    """A scene whose subject does not face left, which a prompt would have to say."""
    if values.get("extra") in COLOURED_EXTRAS and "extra_colour" not in values:
        values["extra_colour"] = rng.choice(tuple(COLOURS))
    if values.get("place") == STUDIO and "backdrop" not in values:
        values["backdrop"] = rng.choice(tuple(COLOURS))
    while True:
        scene = Scene(**values, seed=rng.getrandbits(31))
        if scene.facing != "left":
            return scene


def _question(kind: str, scene: Scene, asked: tuple[str, ...], rng: random.Random) -> Question:
    """Ask for some attributes of a scene by name; "extra" asks for its colour too."""
    text = caption(scene, rng)
    while "without" in text:  # which is a kind of its own
        text = caption(scene, rng)
    names = ["subject", *asked, *(["extra_colour"] if "extra" in asked and scene.extra_colour else [])]
    if scene.style in COLOURLESS:
        names = [name for name in names if name not in ("colour", "extra_colour", "backdrop", "light")]
    wanted = {name: value for name in names if (value := getattr(scene, name)) is not None}
    return Question(kind, text, wanted, scene)


def _one(rng: random.Random, turn: int) -> Question | None:
    """A class word and one thing more, in as few words as a user would take."""
    values = _subject(rng, animal=turn % 4 != 3)
    if turn % 4 == 3:
        scene = _scene(rng, **values, place=STUDIO)
        if not holds_reserved(scene):
            return None
        return Question(
            "one", f"a photo of {article(f'{scene.colour} {scene.subject}')}", _kept(scene, "colour"), scene
        )
    species = values["subject"]
    if turn % 4 == 0:
        scene = _scene(rng, **values, place=STUDIO)
        return Question("one", f"a photo of {article(f'{scene.breed} {species}')}", _kept(scene, "breed"), scene)
    if turn % 4 == 1:
        scene = _scene(rng, **values, place=rng.choice(PLACES))
        phrase = rng.choice(PLACE_PHRASES[scene.place])
        return Question("one", f"a photo of a {species} {phrase}", _kept(scene, "place"), scene)
    if rng.random() < 0.5:
        scene = _scene(rng, **values, place=STUDIO, style=rng.choice(STYLES[1:]))
        return Question(
            "one", rng.choice(STYLE_OPENINGS[scene.style]).format(f"a {species}"), _kept(scene, "style"), scene
        )
    scene = _scene(rng, **values, place=STUDIO, extra=rng.choice([e for e in EXTRAS if e not in COLOURED_EXTRAS]))
    worn = scene.extra if scene.extra in ("glasses", "sunglasses") else article(str(scene.extra))
    return Question("one", f"a photo of a {species} wearing {worn}", _kept(scene, "extra"), scene)


def _kept(scene: Scene, name: str) -> dict[str, str]:
    return {"subject": scene.subject, name: str(getattr(scene, name))}


def _several(rng: random.Random, turn: int, count: int) -> Question | None:
    """A breed or a coloured product with `count` attributes, the first of which is that breed or colour."""
    animal = turn % 3 != 2
    values = _subject(rng, animal)
    first = "breed" if animal else "colour"
    choices = ["place", "style", "place", "light", "weather"] + (["extra", "extra", "pose"] if animal else [])
    asked = {first}
    while len(asked) < count:
        asked.add(rng.choice(choices))
    if asked & {"light", "weather"} and "place" not in asked:  # they need a place, which is asked for then as well
        return None
    values["place"] = rng.choice(PLACES) if "place" in asked else STUDIO
    drawn = {
        "style": lambda: rng.choice(STYLES[1:]),
        "extra": lambda: rng.choice(EXTRAS),
        "light": lambda: rng.choice(LIGHTS[1:]),
        "weather": lambda: rng.choice(WEATHERS[1:]),
        "pose": lambda: rng.choice(POSES[1:]),
    }
    values |= {name: draw() for name, draw in drawn.items() if name in asked}
    if "weather" in asked and values["place"] in INDOORS:
        return None
    scene = _scene(rng, **values)
    if not holds_reserved(scene):
        return None
    return _question({2: "two", 3: "three"}[count], scene, tuple(sorted(asked)), rng)


def _bound(rng: random.Random, turn: int) -> Question | None:
    """Two colours, each of which must be on the right thing."""
    values = _subject(rng, animal=turn % 2 == 0)
    backdrop, other = rng.sample(tuple(COLOURS), 2)
    if turn % 2:
        scene = _scene(rng, **values | {"colour": other}, place=STUDIO, backdrop=backdrop)
        asked: tuple[str, ...] = ("colour", "backdrop")
    else:
        extra = rng.choice(COLOURED_EXTRAS)
        scene = _scene(rng, **values, place=STUDIO, backdrop=backdrop, extra=extra, extra_colour=other)
        asked = ("breed", "extra", "backdrop")
    return _question("bound", scene, asked, rng) if holds_reserved(scene) else None


def _without(rng: random.Random, turn: int) -> Question | None:
    """Something to wear is named and must not be there."""
    values = _subject(rng, animal=True)
    scene = _scene(rng, **values, place=rng.choice(PLACES))
    if not holds_reserved(scene):
        return None
    absent = rng.choice(EXTRAS)
    thing = absent if absent in ("glasses", "sunglasses") else article(absent)
    place = rng.choice(PLACE_PHRASES[scene.place])
    text = f"a photo of {article(f'{scene.breed} {scene.subject}')} without {thing} {place}"
    return Question("without", text, _kept(scene, "place") | {"breed": str(scene.breed), "extra": NONE}, scene)
