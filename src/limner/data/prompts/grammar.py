"""A grammar that makes prompts of `words.yaml`: always the same ones for a seed, with their parts.

It is the library that a new installation begins with, and the text of the benchmark of the search index.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from limner.data.prompts.words import World, worlds

CHANCES = {
    "medium": 0.85,
    "style": 0.4,
    "lighting": 0.55,
    "composition": 0.5,
    "setting": 0.65,
    "colour": 0.2,
    "quality": 0.35,
    "artist": 0.08,
}
"""How often a prompt has a part."""
PLAIN = 0.3
"""How often a prompt is a plain caption for a model that knows few words."""
ADJECTIVE, DETAIL, SENTENCE, NEGATIVE = 0.5, 0.6, 0.35, 0.3
"""How often a subject has an adjective and a detail; a prompt is a sentence, and has a negative prompt."""
OFTEN = 0.9
"""Each word of a list comes this much as often as the one before it: some words are frequent, as in real prompts."""


@dataclass(frozen=True)
class MadePrompt:
    """A prompt of the grammar. parts: pieces of the text by part. world: the kind of images."""

    text: str
    negative: str
    world: str
    parts: Mapping[str, Sequence[str]]


def made_prompts(count: int, seed: int = 0) -> Iterator[MadePrompt]:
    """So many different prompts; those of a smaller count come first."""
    seen: set[int] = set()
    number = 0
    while len(seen) < count:
        prompt = _made(random.Random(f"{seed} {number}"))
        number += 1
        key = hash_of(prompt.text)
        if key not in seen:
            seen.add(key)
            yield prompt


def hash_of(text: str) -> int:
    """A number that stands for a text, and takes less memory."""
    return hash(text)


def article(noun: str) -> str:
    """The noun with "a" or "an" before it; plurals and words for a material have none."""
    last = noun.partition(" with ")[0].partition(" among ")[0].partition(" of ")[0].split()[-1]
    if last.endswith("s") and not last.endswith("ss") and last not in ("canvas", "terraces"):
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def _made(chance: random.Random) -> MadePrompt:
    plain, others = (sorted((each for each in worlds() if each.caption is it), key=_name) for it in (True, False))
    if chance.random() < PLAIN:
        return _caption(chance, chance.choice(plain))
    world = chance.choice(others)
    chosen = {part: _some(chance, world, part) for part, often in CHANCES.items() if chance.random() < often}
    noun = _word(chance, world.words["subject"])
    if chance.random() < ADJECTIVE:
        noun = f"{_word(chance, world.words['adjective'])} {noun}"
    detail = f" {_word(chance, world.words['detail'])}" if chance.random() < DETAIL else ""
    compose = _sentence if chance.random() < SENTENCE else _keywords
    subject = f"{noun}{detail}" if compose is _keywords and chance.random() < 0.4 else f"{article(noun)}{detail}"
    text = compose(chance, subject, chosen)
    negative = ", ".join(_several(chance, world.words["negative"], 6)) if chance.random() < NEGATIVE else ""
    return MadePrompt(text, negative, world.name, {"subject": [subject], **chosen})


def _name(world: World) -> str:
    return world.name


def _caption(chance: random.Random, world: World) -> MadePrompt:
    """A caption such as "a photo of a corgi dog wearing a red scarf on the beach at sunset"."""
    words, animal = world.words, chance.random() < 0.75
    noun = chance.choice(words["subject"]) if animal else f"{chance.choice(words['product_colour'])} "
    noun += "" if animal else chance.choice(words["product"])
    pieces = [chance.choice(words["pose"])] if animal and chance.random() < 0.4 else []
    pieces += [chance.choice(words["detail"])] if animal and chance.random() < 0.6 else []
    subject = " ".join([article(noun), *pieces])
    medium, settings, light = chance.choice(words["medium"]), [chance.choice(words["setting"])], list[str]()
    if not settings[0].endswith(("background", "wall")):
        settings += [chance.choice(words["time"])] if chance.random() < 0.35 else []
        light += [chance.choice(words["lighting"])] if chance.random() < 0.1 and settings[1:] != ["at night"] else []
    parts = {"subject": [subject], "medium": [medium], "setting": settings, "lighting": light}
    return MadePrompt(" ".join([article(medium), "of", subject, *settings, *light]), "", world.name, parts)


def _some(chance: random.Random, world: World, part: str) -> list[str]:
    most = {"quality": 4, "composition": 2, "lighting": 2, "style": 2}.get(part, 1)
    return _several(chance, world.words[part], most)


def _several(chance: random.Random, words: Sequence[str], most: int) -> list[str]:
    found = [_word(chance, words) for _ in range(chance.randint(1, most))]
    return list(dict.fromkeys(found))


def _word(chance: random.Random, words: Sequence[str]) -> str:
    place = int(chance.expovariate(-2 * _LOG) if len(words) > 8 else chance.random() * len(words))
    return words[place % len(words)]


_LOG = -0.03
"""Half the logarithm of how much rarer the next word of a list is."""


def _keywords(chance: random.Random, subject: str, chosen: Mapping[str, Sequence[str]]) -> str:
    first = subject
    if setting := chosen.get("setting"):
        first = f"{subject} {setting[0]}"
    pieces = [first]
    if medium := chosen.get("medium"):
        if chance.random() < 0.6:
            pieces = [f"{article(medium[0])} of {first}" if chance.random() < 0.5 else f"{medium[0]} of {first}"]
        else:
            pieces.append(medium[0])
    rest = [word for part in ("style", "lighting", "composition", "colour", "quality") for word in chosen.get(part, ())]
    chance.shuffle(rest)
    artist = [f"by {name}" for name in chosen.get("artist", ())]
    return ", ".join(pieces + rest + artist)


def _sentence(chance: random.Random, subject: str, chosen: Mapping[str, Sequence[str]]) -> str:
    first = f"{subject} {chosen['setting'][0]}" if "setting" in chosen else subject
    medium = chosen.get("medium", ["image"])[0]
    style = f" in the style of {' and '.join(chosen['style'])}" if "style" in chosen else ""
    frame = f", {' and '.join(chosen['composition'])}" if "composition" in chosen else ""
    opening = chance.choice(("{medium} of {first}{style}{frame}", "{first}{style}, as {medium}{frame}"))
    pieces = [opening.format(medium=article(medium), first=first, style=style, frame=frame)]
    if "lighting" in chosen:
        pieces.append(chance.choice(("lit by {}", "with {}", "in {}")).format(" and ".join(chosen["lighting"])))
    if "colour" in chosen:
        pieces.append(f"in {chosen['colour'][0]}")
    if "artist" in chosen:
        pieces.append(f"after {chosen['artist'][0]}")
    text = ", ".join(pieces)
    quality = f". {', '.join(chosen['quality']).capitalize()}" if "quality" in chosen else ""
    return f"{text[0].upper()}{text[1:]}{quality}."
