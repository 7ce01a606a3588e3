"""A model of one number, and judged images that are numbers, for tests of the lessons that learn from feedback."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import torch

from limner.core.protocols import NoiseDraw
from limner.engine.train.denoising import Denoising
from limner.engine.train.examples import Examples
from limner.engine.train.feedback_images import FeedbackImages
from limner.engine.train.pairs import PairErrors, PairSet
from limner.engine.train.reference import Reference

COMPONENTS = SimpleNamespace(device=torch.device("cpu"))


class Model:
    """Its error on an image is (weight - the image's number)^2, or with a teacher (weight - the teacher's)^2.

    It notes what it was shown.
    """

    timesteps, beta = 1000, 2500.0

    def __init__(self, weight=1.0):
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.seen, self.noise, self.training = [], [], None

    def objective(self, components):
        return self

    def draw(self, shape, rng, options):
        return NoiseDraw(torch.randn(shape, generator=rng), torch.randint(1000, shape[:1], generator=rng))

    def loss(self, batch, draw, options, teacher=None):
        numbers = batch.latents.flatten(1)[:, 0]
        words = batch.text["words"].flatten()
        self.seen += list(zip(numbers.tolist(), words.tolist(), draw.timesteps.tolist(), strict=True))
        self.noise += list(draw.noise)
        if teacher is None:
            return (self.weight - numbers) ** 2
        with teacher.base_model():
            known = self.weight.item()
        return (self.weight - known).expand(len(numbers)) ** 2

    def groups(self):
        return {"denoiser": [self.weight]}

    def state(self):
        return {"weight": self.weight}

    def train(self, on):
        self.training = on

    def base_model(self):
        return nullcontext()


def examples(numbers, size=(1, 1), weights=None):
    """Images that are numbers, each with a caption of its own."""
    latents = torch.tensor(numbers).reshape(len(numbers), 1, 1, 1, 1).expand(-1, -1, -1, *size)
    words = torch.arange(float(len(numbers)))[:, None]
    captions = tuple(map(str, range(len(numbers))))
    return Examples(
        latents, captions, {"words": words}, tuple(range(len(numbers))), torch.zeros(len(numbers), 6), weights=weights
    )


def feedback(numbers, noise=None, size=(1, 1)):
    places = {(str(index), ""): index for index in range(len(numbers))}
    return FeedbackImages(examples(numbers, size), places, noise or (None,) * len(numbers))


def pairs(numbers, better, worse, weights=None, levels=None, noise=None, size=(1, 1)):
    """Pairs of images that are numbers, by their indices."""
    count = len(better)
    return PairSet(
        feedback(numbers, noise, size),
        tuple(better),
        tuple(worse),
        torch.tensor(weights or [1.0] * count),
        torch.tensor(levels or [[0.0, 1.0]] * count),
    )


def compared(model, own_noise=True, moved=0.0):
    """A model with itself as its reference, after which it moves by so much."""
    found = PairErrors(Denoising(model, COMPONENTS), Reference(model), 42, own_noise)
    model.weight.data += moved
    return found
