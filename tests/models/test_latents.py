"""Encoding images: latents are sampled from the posterior, then shifted and scaled by the configuration."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limner.models.latents import encode, sample_posterior


class Autoencoder(torch.nn.Module):
    """Encodes an image as one latent: its mean, with a known standard deviation."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones((), dtype=torch.float16))
        self.config = config(scaling_factor=1.0)

    def encode(self, pixels):
        assert self.weight.dtype == pixels.dtype == torch.float32 and len(pixels) == 1
        mean = pixels.mean((1, 2, 3), keepdim=True)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=torch.full_like(mean, 0.1)))


def config(**values):
    return type("Config", (dict,), {"__getattr__": dict.__getitem__})(values)


PIXELS = torch.tensor([-1.0, 0.0, 0.5, 1.0]).reshape(4, 1, 1, 1).expand(4, 3, 2, 2)


def test_latents_are_sampled_from_the_posterior():
    vae = Autoencoder()
    found = sample_posterior(vae, PIXELS, torch.Generator().manual_seed(3)).flatten()
    noise = torch.randn(4, 1, 1, 1, generator=torch.Generator().manual_seed(3)).flatten()
    assert torch.allclose(found, torch.tensor([-1.0, 0.0, 0.5, 1.0]) + 0.1 * noise)
    assert vae.weight.dtype == torch.float16, "its own format comes back"


@pytest.mark.parametrize(("shift", "moved"), [(None, 0.0), (0.0, 0.0), (0.1, 0.1)])
def test_latents_are_shifted_and_then_scaled(shift, moved):
    """As FLUX.1's pipeline has it: (latents - shift) x scale."""
    vae = Autoencoder()
    vae.config = config(scaling_factor=0.4, **({} if shift is None else {"shift_factor": shift}))
    plain = sample_posterior(vae, PIXELS, torch.Generator().manual_seed(3))
    assert torch.allclose(encode(vae, PIXELS, torch.Generator().manual_seed(3)), (plain - moved) * 0.4)
