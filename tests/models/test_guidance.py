"""Adaptive projected guidance beside diffusers' own, and the steps in which guidance acts."""

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
    # theirs adds the whole scale to the unconditional prediction, or as the paper does one less to the other
    return normalized_guidance(prompted, plain, scale - 1, momentum, 0.0, radius, use_original_formulation=True)


@pytest.mark.parametrize("size", [0.01, 1.0, 30.0], ids=["short", "about as long", "much too long"])
def test_it_is_diffusers_own(size):
    prompted = drawn(1)
    plain = prompted - drawn(2, size)
    found = projected(plain, prompted, SCALE, prompted - plain)
    assert torch.allclose(found, theirs(plain, prompted), atol=1e-4)


def test_what_lies_along_the_prediction_is_left_out():
    """A difference along the prediction itself, which only makes a picture harsher, changes nothing."""
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
    """Says what it was told to say, step by step."""

    def __init__(self, said):
        super().__init__()
        self.said = iter(said)

    def forward(self, latents, timestep):
        return SimpleNamespace(sample=next(self.said))


def sampled(way, interval, steps=10, said=None, scale=SCALE):
    """What a pipeline is given in each of its steps, (plain, prompted) as it was said and as it came out."""
    said = said or [torch.cat([drawn(2 * step), drawn(2 * step + 1)]) for step in range(steps)]
    before = [each.clone() for each in said]
    times = torch.arange(1000, 0, -1000 // steps)[:steps]
    pipeline, denoiser = SimpleNamespace(scheduler=SimpleNamespace(timesteps=times)), Denoiser(said)
    with guidance_applied(pipeline, denoiser, way, interval, scale):
        found = [denoiser(None, timestep=time).sample for time in times]
    assert not denoiser._forward_hooks
    return before, found


def acted(way, interval, steps=10):
    """The steps in which guidance acted; in the others the picture follows the prompt alone."""
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
def test_guidance_acts_from_the_first_step_of_the_interval_to_before_its_last(way, interval, steps):
    """As diffusers counts it: of ten steps, 0.2 to 0.8 are those from the third to the eighth."""
    assert acted(way, interval) == list(steps)


def test_apg_adds_up_its_updates_from_step_to_step_as_diffusers_does():
    before, found = sampled("apg", (0.0, 1.0), 5)
    momentum = MomentumBuffer(-0.5)
    for old, new in zip(before, found, strict=True):
        plain, prompted = old.chunk(2)
        wanted = theirs(plain, prompted, momentum)
        assert torch.allclose(new, torch.cat([wanted, wanted]), atol=1e-4)


def test_the_next_painting_begins_without_momentum():
    said = [torch.cat([drawn(0), drawn(1)]), torch.cat([drawn(2), drawn(3)])]
    times = torch.tensor([900, 400])
    denoiser = Denoiser([each.clone() for each in said * 2])
    with guidance_applied(
        SimpleNamespace(scheduler=SimpleNamespace(timesteps=times)), denoiser, "apg", (0.0, 1.0), SCALE
    ):
        found = [denoiser(None, timestep=time).sample for time in (*times, *times)]
    assert torch.equal(found[0], found[2]) and torch.equal(found[1], found[3])
    assert not torch.allclose(found[1], torch.cat([theirs(*said[1].chunk(2))] * 2), atol=1e-3)


def test_plain_guidance_in_all_steps_hangs_nothing_on_the_network():
    denoiser = Denoiser([])
    with guidance_applied(None, denoiser, "cfg", (0.0, 1.0), SCALE):
        assert not denoiser._forward_hooks
