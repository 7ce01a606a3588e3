"""An adapter of the tiny model, judged images, and improvements that train a few steps."""

from __future__ import annotations

import random

import pytest
from PIL import Image

from limner import TrainRequest
from limner.core.preferences import JudgedImage, Judgement, Preference
from limner.core.workspace import Workspace
from limner.engine.improve.job import LessonSettings, adapter_job
from limner.engine.improve.learning_set import LearningSet, WeightedPair, WeightedRating
from limner.engine.improve.training import train_lesson
from limner.models.adapters import open_adapter
from limner.store.files import sha256_of

PROMPTS = ("a photo of sks dog on the beach", "sks dog in snow")


@pytest.fixture
def original(home, ran_once, tiny_sd, painted):
    """The folder of an adapter that was trained for two steps."""
    request = TrainRequest(
        data=str(painted),
        class_word="dog",
        model=str(tiny_sd),
        steps=2,
        batch=2,
        prior=False,
        held_out=0,
        learning_rate=1e-2,
        options={"rank": 2, "dropout": 0.5},
    )
    return ran_once("adapters/rex", request)


@pytest.fixture(scope="session")
def judged(made_once):
    """Eight images of noise, every second one 64 x 64 pixels, as judged ones; half of them have seeds."""

    def fill(folder):
        rng = random.Random(5)
        for index in range(8):
            size = (64, 64) if index < 6 else (96, 64)
            Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1])).save(folder / f"{index}.png")

    folder = made_once("pictures/judged", fill)
    return [
        JudgedImage(
            sha256=sha256_of(folder / f"{index}.png"),
            location=str(folder / f"{index}.png"),
            prompt=PROMPTS[index // 2 % 2],
            seed=index if index < 4 else None,
            width=64 if index < 6 else 96,
            height=64,
        )
        for index in range(8)
    ]


@pytest.fixture
def learning(judged):
    """Three pairs, one of them of another size, and eight ratings; one pair and two ratings are held out."""
    pairs = [
        WeightedPair(Preference(better=judged[index], worse=judged[index + 1], rater="a"), weight, noise)
        for index, weight, noise in (
            (0, 1.0, (0.0, 1.0)),
            (2, 0.5, (0.5, 1.0)),
            (6, 1.0, (0.0, 0.4)),
            (4, 1.0, (0.0, 1.0)),
        )
    ]
    stars = (5, 1, 4, 2, 5, 3, 4, 1)
    ratings = [
        WeightedRating(Judgement(image=image, stars=count, rater="a"))
        for image, count in zip(judged, stars, strict=True)
    ]
    return LearningSet(
        pairs=tuple(pairs[:3]),
        ratings=tuple(ratings[2:]),
        held_out_pairs=tuple(pairs[3:]),
        held_out_ratings=tuple(ratings[:2]),
        held_out_prompts=PROMPTS[:1],
        digest="f" * 64,
    )


@pytest.fixture
def workspace(tmp_path):
    """A workspace of a run; keywords overrule."""

    def make(name="run", **fields):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Workspace(name, folder, tmp_path / f"{name}-better", tmp_path / "cache", **fields)

    return make


@pytest.fixture
def improve(original, learning, workspace):
    """Improve the adapter in a few steps; returns the trained adapter and the events."""

    def run(name="run", lesson="preference", feedback=None, scan=None, space=None, **fields):
        plain = {"steps": 4, "batch": 2, "learning_rate": 1e-2, "checkpoint_every": 2}
        settings, events = LessonSettings(lesson, **{**plain, **fields}), []
        job = adapter_job(open_adapter(str(original)), settings, space or workspace(name), scan)
        return train_lesson(job, feedback or learning, events.append), events

    return run
