"""Features of pictures: gradients that are means over times and views, by a model whose gradients are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner.core.protocols import DEFAULT_LOSS, ZERO_TARGET, NoiseDraw
from limner.engine.influence.gradients import Gradients
from limner.engine.train.examples import Examples


class Family:
    """Its loss is first x the picture's number x time + second; of no use is the third."""

    def __init__(self):
        self.parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
        self.asked = []

    def groups(self):
        return {"denoiser": self.parameters[:2], "text": self.parameters[2:]}

    def objective(self, components):
        return self

    def draw(self, shape, rng, options):
        noise = torch.randn(shape, generator=rng)
        return NoiseDraw(noise, torch.arange(float(shape[0])))

    def loss(self, batch, draw, options, teacher):
        self.asked.append((len(batch.latents), options, teacher, batch.text["words"].flatten().tolist()))
        numbers = batch.latents.flatten(1)[:, 0]
        first, second, _ = self.parameters
        return first.sum() * numbers * draw.timesteps + second.sum()


def example(*numbers):
    latents = torch.tensor(numbers).reshape(1, len(numbers), 1, 1, 1)
    return Examples(latents, ("a",), {"words": torch.tensor([[7.0]])}, (0,), torch.zeros(1, 6))


def features(timesteps, output="loss", dimension=100, seed=3):
    family = Family()
    components = SimpleNamespace(device=torch.device("cpu"))
    model = SimpleNamespace(family=family)
    restored = SimpleNamespace(model=model, components=components, trainable=family, trains_text=False)
    return family, Gradients(restored, DEFAULT_LOSS, output, timesteps, dimension, seed)


@pytest.mark.parametrize("timesteps", [1, 8, 10])
@pytest.mark.parametrize("numbers", [(3.0,), (3.0, 5.0)])
def test_they_are_the_mean_over_times_and_views(timesteps, numbers):
    """Eight times as many are drawn, and the middle one of each run of eight is taken: 4, 12, 20 and so on."""
    family, gradients = features(timesteps)
    times = [8 * index + 4 for index in range(timesteps)]
    wanted = sum(numbers) / len(numbers) * sum(times) / timesteps
    found = gradients.of(example(*numbers))
    assert found.tolist() == pytest.approx([wanted, wanted, 1, 1, 0, 0])
    assert sum(count for count, *_ in family.asked) == timesteps * len(numbers)
    assert max(count for count, *_ in family.asked) <= 8 and {w for *_, words in family.asked for w in words} == {7.0}


@pytest.mark.parametrize(("output", "teacher"), [("loss", None), ("square", ZERO_TARGET)])
def test_the_square_of_the_prediction_is_the_loss_without_a_target(output, teacher):
    family, gradients = features(2, output)
    gradients.of(example(1.0))
    assert [asked[2] for asked in family.asked] == [teacher]


def test_all_pictures_of_a_shape_are_asked_with_the_same_noise():
    _, gradients = features(2)
    first = gradients._draw(torch.Size((1, 1, 1)))
    assert gradients._draw(torch.Size((1, 1, 1))) is first and len(first.noise) == 2


def test_the_noise_is_the_seeds():
    first, same, other = (features(2, seed=seed)[1]._draw(torch.Size((1, 2, 2))) for seed in (3, 3, 4))
    assert torch.equal(first.noise, same.noise) and not torch.equal(first.noise, other.noise)


def test_the_projection_is_the_seeds():
    first, same, other = (features(1, dimension=4, seed=seed)[1].of(example(1.0)) for seed in (3, 3, 4))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_long_ones_are_projected():
    _, gradients = features(1, dimension=4)
    assert gradients.of(example(1.0)).shape == (4,)
