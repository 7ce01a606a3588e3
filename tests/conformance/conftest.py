"""Every plugin of the registry, on its family's tiny folder."""

from __future__ import annotations

import pytest
import torch

from limner import registry
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
    return family.load(str(folder), torch.float32, CPU)


@pytest.fixture
def latents(components):
    channels = components.parts["vae"].config.latent_channels
    return torch.randn(4, channels, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def text(family, components):
    with torch.no_grad():
        return family.encode_text(components, [PROMPTS[0]] * 4)
