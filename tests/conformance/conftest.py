"""Every plugin of the registry, on its family's tiny folder."""

from __future__ import annotations

import pytest
import torch

from limner import registry
from limner.core.protocols import Batch, Source
from limner.engine import models

PROMPTS = ["a photo of sks dog on the beach", "a cat"]
CPU = torch.device("cpu")


@pytest.fixture(params=registry.families.names())
def family_name(request):
    return request.param


@pytest.fixture
def family(family_name):
    return registry.families.get(family_name)


@pytest.fixture(params=registry.methods.names())
def method(request):
    return registry.methods.get(request.param)


@pytest.fixture
def folder(tiny_folder, family_name):
    return tiny_folder(family_name)


@pytest.fixture
def model(folder):
    return models.resolve(str(folder))


@pytest.fixture
def components(family, folder):
    return family.load(Source(str(folder)), torch.float32, CPU)


@pytest.fixture
def batch(family, components):
    """Four pictures of 64 x 64 pixels that are told by the first prompt."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        latents = family.encode_images(components, torch.rand(4, 3, 64, 64, generator=rng) * 2 - 1, rng)
        return Batch(torch.randn(latents.shape, generator=rng), family.encode_text(components, [PROMPTS[0]] * 4))
