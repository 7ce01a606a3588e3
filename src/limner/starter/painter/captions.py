"""Captions of a scene: exact, in many wordings."""

from __future__ import annotations

import random

from limner.starter.painter.scene import Scene
from limner.starter.painter.vocabulary import COLOURS, EXTRAS, SPECIES, STUDIO

STYLE_OPENINGS: dict[str, tuple[str, ...]] = {
    "illustration": ("a photo of {}", "a picture of {}", "an illustration of {}", "{}", "a drawing of {}"),
    "pencil sketch": ("a pencil sketch of {}", "{}, pencil sketch", "{} in the style of a pencil sketch"),
    "watercolour": ("a watercolour painting of {}", "a watercolour of {}", "{}, watercolour"),
    "neon sign": ("a neon sign of {}", "{}, neon sign", "{} as a neon sign"),
    "pixel art": ("pixel art of {}", "{}, pixel art", "{} in the style of pixel art"),
    "oil painting": ("an oil painting of {}", "{}, oil painting", "{} in the style of an oil painting"),
}

PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": ("on the beach", "at the beach", "on a sandy beach by the sea"),
    "park": ("in the park", "in a park", "on green grass in a park"),
    "city": ("in the city", "in a city street", "with a city in the background"),
    "living room": ("in the living room", "in a living room", "indoors in a living room"),
    "snow": ("in the snow", "in a snowy landscape", "on the snow"),
    "forest": ("in the forest", "in a forest", "in the jungle among trees"),
    "desert": ("in the desert", "in a desert", "on the dunes of a desert"),
    "mountains": ("in the mountains", "with mountains in the background", "on a mountain meadow"),
}

LIGHT_PHRASES = {"sunset": ("at sunset", "in the evening light"), "night": ("at night", "in the moonlight")}
WEATHER_PHRASES = {"rain": ("in the rain", "on a rainy day"), "snowfall": ("while snow is falling", "in snowfall")}
POSE_WORDS = {"sitting": ("sitting",), "standing": ("standing",), "lying": ("lying down", "lying")}
ABSENT_SHARE = 0.1  # of captions that say "without" some extra
USUAL_POSE, USUAL_FACING = "sitting", "right"


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def extra_noun(extra: str, colour: str = "") -> str:
    """An extra with its article and colour; colour: a word and a space."""
    noun = f"{colour}{extra}"
    return noun if extra in ("glasses", "sunglasses") else article(noun)


def extra_phrase(scene: Scene, rng: random.Random) -> str | None:
    """The extra in words, such as "wearing a red top hat"; None if there is none."""
    if scene.extra is None:
        return None
    colour = f"{scene.extra_colour} " if scene.extra_colour else ""
    return f"{rng.choice(('wearing', 'with'))} {extra_noun(scene.extra, colour)}"


def absent_phrase(scene: Scene, rng: random.Random) -> str:
    """An extra that the animal does not wear, such as "without a crown"."""
    absent = rng.choice([extra for extra in EXTRAS if extra != scene.extra])
    return f"without {extra_noun(absent)}"


def subject_phrase(scene: Scene, rng: random.Random, identifier: str | None = None) -> str:
    """The subject without its article: breed and species, or colour and product.

    With an identifier it is that and the class word, such as "sks dog" (DreamBooth), which needs no article.
    """
    if identifier is not None:
        return f"{identifier} {scene.subject}"
    if scene.subject not in SPECIES:
        return f"{scene.colour} {scene.subject}" if scene.colour else scene.subject
    if scene.breed is None:
        return scene.subject
    full = f"{scene.breed} {scene.subject}"
    return full if scene.breed in COLOURS else rng.choice((full, full, scene.breed))  # "black" alone is not a cat


def caption(scene: Scene, rng: random.Random | None = None, *, identifier: str | None = None) -> str:
    """A caption of a scene: everything it says is true, and everything it leaves out has its default value.

    The defaults are a sitting animal, a subject that faces right, day and clear weather.
    Without `rng` the caption is full, with the first wording of every list, so that it is always the same.
    """
    full = rng is None
    rng = rng or _First()
    clauses: list[str] = []
    if scene.subject in SPECIES and (full or scene.pose != USUAL_POSE or rng.random() < 0.3):
        clauses.append(rng.choice(POSE_WORDS[scene.pose]))
    if scene.facing and (full or scene.facing != USUAL_FACING or rng.random() < 0.3):
        clauses.append(f"facing {scene.facing}")
    extra = extra_phrase(scene, rng)
    if extra:
        clauses.append(extra)
    if scene.is_animal and not full and rng.random() < ABSENT_SHARE:
        clauses.append(absent_phrase(scene, rng))
    if scene.place != STUDIO:
        clauses.append(rng.choice(PLACE_PHRASES[scene.place]))
    elif scene.backdrop is not None:
        on, against = f"on {article(scene.backdrop + ' background')}", f"against {article(scene.backdrop + ' wall')}"
        clauses.append(rng.choice((on, against)))
    if scene.light in LIGHT_PHRASES:
        clauses.append(rng.choice(LIGHT_PHRASES[scene.light]))
    if scene.weather in WEATHER_PHRASES:
        clauses.append(rng.choice(WEATHER_PHRASES[scene.weather]))
    subject = subject_phrase(scene, rng, identifier)
    text = " ".join((subject if identifier else article(subject), *clauses))
    return rng.choice(STYLE_OPENINGS[scene.style]).format(text)


def class_caption(scene: Scene, rng: random.Random) -> str:
    """A caption that names only the class of the subject, and no backdrop ("a photo of a dog")."""
    return caption(without_attributes(scene, "breed", "colour", "backdrop"), rng)


def without_attributes(scene: Scene, *names: str) -> Scene:
    """The scene with some attributes None, so that its caption leaves them out."""
    return scene.model_copy(update=dict.fromkeys(names))


class _First(random.Random):
    """A random generator whose choice is always the first item."""

    def choice(self, seq):  # type: ignore[override]
        return seq[0]
