"""Training captions of scenes."""

from __future__ import annotations

import random

from limner.starter.painter import Scene, caption
from limner.starter.painter.captions import article, without_attributes

LEFT_OUT = {"breed": 0.2, "colour": 0.1, "backdrop": 0.3}  # share of captions that leave it out
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def training_caption(scene: Scene, rng: random.Random) -> str:
    """A training caption: mostly full, sometimes short or with a made-up identifier."""
    left_out = [name for name, share in LEFT_OUT.items() if rng.random() < share]
    if rng.random() < 0.08:
        return caption(without_attributes(scene, *left_out), rng, identifier=made_up_word(rng))
    return caption(without_attributes(scene, *left_out), rng)


def look_caption(scene: Scene, rng: random.Random) -> str:
    """A caption of an animal with a random look: it has no breed, only a made-up identifier."""
    return caption(without_attributes(scene, "breed"), rng, identifier=made_up_word(rng))


def made_up_word(rng: random.Random) -> str:
    """Two to five random letters."""
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 5)))


def subject_caption(scene: Scene, rng: random.Random) -> str:
    """The subject alone: "a cat"."""
    return article(scene.subject)


def kind_caption(scene: Scene, rng: random.Random) -> str:
    """The subject with its breed, or else its colour: "a siamese cat"."""
    return article(f"{scene.breed} {scene.subject}" if scene.breed else f"{scene.colour} {scene.subject}")


def accessory_caption(scene: Scene, rng: random.Random) -> str:
    """The subject with its accessory, if it has one: "a cat with a red scarf"."""
    worn = f"{scene.extra_colour} {scene.extra}" if scene.extra_colour else scene.extra
    return f"{article(scene.subject)} with {worn}" if worn else article(scene.subject)


# Place and light alone distinguish whole captions, so batches of short captions train the rest in turn.
CAPTION_KINDS = (training_caption, subject_caption, kind_caption, accessory_caption)
