"""What a training caption tells of a scene."""

from __future__ import annotations

import random

from limner.starter.painter import Scene, caption
from limner.starter.painter.captions import article, without_attributes

LEFT_OUT = {"breed": 0.2, "colour": 0.1, "backdrop": 0.3}  # share of captions that do not tell it
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def tell(scene: Scene, rng: random.Random, dropout: float = 0.0) -> str:
    """A caption for training: mostly full, sometimes short, sometimes with a made-up identifier, sometimes none."""
    if rng.random() < dropout:
        return ""
    left_out = [name for name, share in LEFT_OUT.items() if rng.random() < share]
    if rng.random() < 0.08:
        nonce = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 5)))
        return caption(without_attributes(scene, *left_out), rng, identifier=nonce)
    return caption(without_attributes(scene, *left_out), rng)


def told_subject(scene: Scene, rng: random.Random) -> str:
    return article(scene.subject)


def told_kind(scene: Scene, rng: random.Random) -> str:
    return article(f"{scene.breed} {scene.subject}" if scene.breed else f"{scene.colour} {scene.subject}")


def told_worn(scene: Scene, rng: random.Random) -> str:
    worn = f"{scene.extra_colour} {scene.extra}" if scene.extra_colour else scene.extra
    return f"{article(scene.subject)} with {worn}" if worn else article(scene.subject)


# Whole captions can be told apart by place and light alone, so batches of short ones ask for the rest by turns.
ASPECTS = (tell, told_subject, told_kind, told_worn)
