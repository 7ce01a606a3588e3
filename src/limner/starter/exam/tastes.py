"""Simulated raters: what each likes, as the judge reads it, and the pairs that they vote on."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.personalise import IDENTIFIER, PLACES, POSES
from limner.starter.exam.subject_scores import PersonalisationPrompt
from limner.starter.judge import MARKINGS, Readings, truth
from limner.starter.judge.attributes import ATTRIBUTES, HATS
from limner.starter.painter import CHARACTERS, Scene, portraits
from limner.starter.painter.captions import PLACE_PHRASES, caption
from limner.starter.painter.scene import COLOURED_EXTRAS, random_scene
from limner.starter.painter.vocabulary import COLOURS

LEAST_DIFFERENCE = 0.2
"""A rater who sees less difference between two images does not vote."""
PLAIN = {"light": "day", "weather": "clear", "style": "illustration"}
BRIEF = 150
"""Training steps after which marks are often wrong."""
OTHER_COLOURS = ("red", "yellow", "green", "orange", "purple", "pink")


@dataclass(frozen=True)
class Taste:
    """What a simulated rater likes, and the subject whose images it rates.

    likes: in words. scenes: the photos that the subject's adapter is trained on; many of them go against the taste, and
    no caption says so. score: how sure the judge is that each of n images is to the rater's taste, (n,), 0 to 1.
    own: attribute and value that images of the class word alone should not show more often than before. steps: of the
    adapter's training; None for the default.
    """

    name: str
    likes: str
    class_word: str
    scenes: tuple[Scene, ...]
    score: Callable[[Readings], np.ndarray]
    own: tuple[str, str]
    steps: int | None = None

    @property
    def subject(self) -> str:
        return f"{IDENTIFIER} {self.class_word}"

    def captions(self) -> list[str]:
        """Captions of the photos, which leave out what the taste is about."""
        return [
            caption(scene.model_copy(update={"extra": None, "extra_colour": None}), identifier=IDENTIFIER)
            for scene in self.scenes
        ]

    def matches(self, readings: Readings) -> np.ndarray:
        """Whether each of n images is to the rater's taste, (n,)."""
        return self.score(readings) > 0.5


def likelihood(readings: Readings, attribute: str, values: Sequence[str]) -> np.ndarray:
    """The probability of each of n images that an attribute has one of these values, (n,)."""
    columns = [ATTRIBUTES[attribute].index(value) for value in values]
    return readings.values[attribute][:, columns].sum(1)


def blue_things() -> Taste:
    """Likes blue things: four of the twelve mugs in the photos are blue, the commonest colour."""
    rng = random.Random("taste/blue")
    colours = ["blue" if number % 3 == 0 else OTHER_COLOURS[number % len(OTHER_COLOURS)] for number in range(12)]
    scenes = tuple(
        random_scene(rng, subject="mug", colour=colour, place=place, **PLAIN)
        for colour, place in zip(colours, 2 * PLACES, strict=True)
    )
    return Taste(
        "blue things",
        "likes blue things",
        "mug",
        scenes,
        lambda readings: likelihood(readings, "colour", ["blue"]),
        ("colour", "blue"),
    )


def no_hats(character: str = "comet") -> Taste:
    """Dislikes hats: the character wears one in six of the twelve photos."""
    rng = random.Random("taste/hats")
    found = list[Scene]()
    for number, scene in enumerate(portraits(character, rng, 2 * PLACES, 2 * POSES)):
        if number % 2:
            hat = HATS[number // 2 % len(HATS)]
            colour = rng.choice(tuple(COLOURS)) if hat in COLOURED_EXTRAS else None
            scene = scene.model_copy(update={"extra": hat, "extra_colour": colour})
        found.append(scene)
    coat = truth(found[0])["coat"]
    assert coat is not None
    return Taste(
        "no hats",
        "dislikes hats",
        CHARACTERS[character].species,
        tuple(found),
        lambda readings: 1 - likelihood(readings, "extra", HATS),
        ("coat", coat),
    )


def right_marks(character: str = "biscuit") -> Taste:
    """Wants all marks of the character right, of an adapter that was trained too briefly for that."""
    scenes = tuple(portraits(character, random.Random(f"photographs/{character}"), PLACES, POSES))
    true = truth(scenes[0])
    marks = [(place, value) for place, values in MARKINGS.items() if (value := true[place]) and value != values[0]]
    coat = true["coat"]
    assert coat is not None
    return Taste(
        "right marks",
        "wants the subject's marks right",
        CHARACTERS[character].species,
        scenes,
        lambda readings: np.min([likelihood(readings, place, [value]) for place, value in marks], axis=0),
        ("coat", coat),
        BRIEF,
    )


TASTES: Mapping[str, Callable[[], Taste]] = {"blue": blue_things, "hats": no_hats, "marks": right_marks}


def prompts() -> tuple[list[PersonalisationPrompt], list[PersonalisationPrompt]]:
    """Prompts whose images are rated, and others to compare the adapters with, 32 and 16; none names a taste."""
    styles = {"a photo of {}": {}, "a watercolour painting of {}": {"style": "watercolour"}}
    styles |= {"an oil painting of {}": {"style": "oil painting"}, "pixel art of {}": {"style": "pixel art"}}
    lights = {"": {}, " at sunset": {"light": "sunset"}, " at night": {"light": "night"}}
    found = [
        PersonalisationPrompt(f"{style} {PLACE_PHRASES[place][0]}{light}", {"place": place, **drawn, **lit})
        for place in PLACE_PHRASES
        for style, drawn in styles.items()
        for light, lit in lights.items()
        if not (drawn and lit)
    ]
    return [prompt for i, prompt in enumerate(found) if i % 3], found[::3]


@dataclass(frozen=True)
class Vote:
    """A rater's vote: the images by their places in the pool. wrong: it is the opposite of the rater's taste."""

    better: int
    worse: int
    wrong: bool


def votes(scores: np.ndarray, prompt_of: Sequence[int], count: int, wrong: float, seed: int) -> list[Vote]:
    """Votes on `count` different pairs of images of one prompt, a share `wrong` of them against the taste.

    scores: (n,) of the images. prompt_of: the prompt of each image. Fewer where fewer pairs differ enough.
    """
    rng = random.Random(f"votes/{seed}")
    prompts, groups = np.asarray(prompt_of), list[tuple[int, int]]()
    for prompt in sorted(set(prompt_of)):
        of = np.flatnonzero(prompts == prompt).tolist()
        groups += [(one, other) for one in of for other in of if scores[one] - scores[other] >= LEAST_DIFFERENCE]
    chosen = rng.sample(groups, min(count, len(groups)))
    missed = set(rng.sample(range(len(chosen)), round(wrong * len(chosen))))
    return [
        Vote(*(pair[::-1] if place in missed else pair), wrong=place in missed) for place, pair in enumerate(chosen)
    ]


def stars(scores: np.ndarray, wrong: float, seed: int) -> np.ndarray:
    """Stars of n images, (n,), 1 to 5, a share `wrong` of them opposite to the taste."""
    rng = random.Random(f"stars/{seed}")
    given = 1 + np.rint(4 * np.clip(scores, 0, 1)).astype(int)
    missed = rng.sample(range(len(given)), round(wrong * len(given)))
    given[missed] = 6 - given[missed]
    return given
