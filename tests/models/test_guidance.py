"""Adaptive projected guidance compared with diffusers, and guidance in an interval of steps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

from limner.models.guidance import guidance_applied, projected

SHAPE = (2, 4, 16, 16)
SCALE = 6.0


def drawn(seed, scale=1.0):
    return scale * torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def theirs(plain, prompted, momentum=None, scale=SCALE):
    """Sadat et al. 2024 with what they chose for SDXL: eta 0, radius 15 at 4 x 128 x 128 latents."""
    radius = 15.0 * (prompted[0].numel() / (4 * 128 * 128)) ** 0.5
    # diffusers adds the scale to the unconditional prediction, the paper the scale minus one to the conditional one
    return normalized_guidance(prompted, plain, scale - 1, momentum, 0.0, radius, use_original_formulation=True)


@pytest.mark.parametrize("size", [0.01, 1.0, 30.0], ids=["short", "about as long", "much too long"])
def test_apg_is_that_of_diffusers(size):
    prompted = drawn(1)
    plain = prompted - drawn(2, size)
    found = projected(plain, prompted, SCALE, prompted - plain)
    assert torch.allclose(found, theirs(plain, prompted), atol=1e-4)


def test_what_lies_along_the_prediction_is_left_out():
    """A difference parallel to the prediction, which only increases contrast, changes nothing."""
    prompted = drawn(1)
    assert torch.allclose(projected(0.9 * prompted, prompted, SCALE, 0.1 * prompted), prompted, atol=1e-5)


def test_each_sample_has_a_radius_and_a_direction_of_its_own():
    prompted = drawn(1)
    update = torch.cat([drawn(2, 0.01)[:1], drawn(3, 50.0)[:1]])
    both = projected(prompted - update, prompted, SCALE, update)
    for row in (0, 1):
        alone = projected((prompted - update)[row : row + 1], prompted[row : row + 1], SCALE, update[row : row + 1])
        assert torch.allclose(both[row : row + 1], alone, atol=1e-5)


class Denoiser(torch.nn.Module):
    """Returns given predictions, one per step."""

    def __init__(self, result):
        super().__init__()
        self.result = iter(result)

    def forward(self, latents, timestep):
        return SimpleNamespace(sample=next(self.result))


def sampled(way, interval, steps=10, result=None, scale=SCALE):
    """Return the predictions (unconditional, conditional) of each step, before and after guidance."""
    result = result or [torch.cat([drawn(2 * step), drawn(2 * step + 1)]) for step in range(steps)]
    before = [each.clone() for each in result]
    times = torch.arange(1000, 0, -1000 // steps)[:steps]
    pipeline, denoiser = SimpleNamespace(scheduler=SimpleNamespace(timesteps=times)), Denoiser(result)
    with guidance_applied(pipeline, denoiser, way, interval, scale):
        found = [denoiser(None, timestep=time).sample for time in times]
    assert not denoiser._forward_hooks
    return before, found


def acted(way, interval, steps=10):
    """Return the steps with guidance; in the others, both predictions are the conditional one."""
    before, found = sampled(way, interval, steps)
    acting = []
    for step, (old, new) in enumerate(zip(before, found, strict=True)):
        plain, prompted = new.chunk(2)
        if (way == "cfg" and torch.equal(old, new)) or (way == "apg" and not torch.equal(prompted, old.chunk(2)[1])):
            acting.append(step)
        else:
            assert torch.equal(plain, prompted) and torch.equal(prompted, old.chunk(2)[1])
    return acting


@pytest.mark.parametrize("way", ["cfg", "apg"])
@pytest.mark.parametrize(
    ("interval", "steps"),
    [
        ((0.2, 0.8), range(2, 8)),
        ((0.0, 0.5), range(5)),
        ((0.5, 1.0), range(5, 10)),
        ((0.11, 0.31), range(2, 4)),
        ((0.0, 1.0), range(10)),
    ],
)
def test_guidance_starts_at_the_first_step_of_the_interval_and_ends_before_the_last(way, interval, steps):
    """As diffusers counts it: of ten steps, 0.2 to 0.8 are those from the third to the eighth."""
    assert acted(way, interval) == list(steps)


def test_apg_has_the_momentum_of_diffusers():
    before, found = sampled("apg", (0.0, 1.0), 5)
    momentum = MomentumBuffer(-0.5)
    for old, new in zip(before, found, strict=True):
        plain, prompted = old.chunk(2)
        wanted = theirs(plain, prompted, momentum)
        assert torch.allclose(new, torch.cat([wanted, wanted]), atol=1e-4)


def test_momentum_restarts_with_the_next_image():
    result = [torch.cat([drawn(0), drawn(1)]), torch.cat([drawn(2), drawn(3)])]
    times = torch.tensor([900, 400])
    denoiser = Denoiser([each.clone() for each in result * 2])
    with guidance_applied(
        SimpleNamespace(scheduler=SimpleNamespace(timesteps=times)), denoiser, "apg", (0.0, 1.0), SCALE
    ):
        found = [denoiser(None, timestep=time).sample for time in (*times, *times)]
    assert torch.equal(found[0], found[2]) and torch.equal(found[1], found[3])
    assert not torch.allclose(found[1], torch.cat([theirs(*result[1].chunk(2))] * 2), atol=1e-3)


def test_plain_guidance_in_all_steps_hangs_nothing_on_the_network():
    denoiser = Denoiser([])
    with guidance_applied(None, denoiser, "cfg", (0.0, 1.0), SCALE):
        assert not denoiser._forward_hooks
