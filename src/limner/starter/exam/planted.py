"""Training sets in which some images show another character: whether the worth of training images finds them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from limner.core.requests import InfluenceRequest, TrainRequest
from limner.core.workspace import Workspace
from limner.starter.exam.model import Listener, Stop
from limner.starter.exam.personalise import IDENTIFIER
from limner.studio.studio import Studio

SETS = (
    ("pixie", "ziggy", (3, 8)),
    ("luna", "biscuit", (1, 7)),
    ("gizmo", "zaza", (0, 5, 9)),
    ("coco", "comet", (4,)),
)
"""The subject, another character, and which images show the other one."""
PLACES = ("park", "living room", "mountains", "beach", "city", "snow", "studio", "desert", "forest", "park", "beach")
PLACES += ("city",)
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting", "standing", "sitting", "sitting", "standing")
POSES += ("lying", "standing")
STEPS, BATCH = 60, 4
TRUTH = "training images that show the subject, and not another character, by the worth that limner influence finds"


def write_planted_images(folder: Path, subject: str, other: str, planted: tuple[int, ...]) -> str:
    """Write 12 images of a character with captions, some of them of another one; returns the class word."""
    from limner.data.sets.album import write_album
    from limner.starter.painter import CHARACTERS, caption, paint, portraits

    drawn = []
    for index, (place, pose) in enumerate(zip(PLACES, POSES, strict=True)):
        who = other if index in planted else subject
        (scene,) = portraits(who, random.Random(f"{who}/{index}"), (place,), (pose,))
        drawn.append((paint(scene), caption(scene, identifier=IDENTIFIER)))
    write_album(folder, drawn)
    return CHARACTERS[subject].species


def planted_worths(folder: Path, model: str, listener: Listener, stop: Stop) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Train an adapter on each set; yield the worths (12,) of its images, and 1 where they show the subject, else 0."""
    from limner.engine.influence.influence import trace

    for subject, other, planted in SETS:
        data, adapter = folder / subject / "photographs", folder / subject / "adapter"
        class_word = write_planted_images(data, subject, other, planted)
        training = TrainRequest(
            data=str(data),
            class_word=class_word,
            identifier=IDENTIFIER,
            model=model,
            steps=STEPS,
            batch=BATCH,
            prior=False,
            held_out=0,
        )
        Studio(folder / "home").run(training, adapter, listener=listener, stop=stop)
        request = InfluenceRequest(adapter=str(adapter), model=model, data=str(data), precision="fp32")
        found = trace(request, Workspace("worth", folder, folder, folder, stop=stop), listener)
        worths = np.array([each.worth for each in found.training], dtype=np.float64)
        yield worths, np.array([float(index not in planted) for index in range(len(worths))])
