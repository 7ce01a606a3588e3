"""Every plugin of the registry, on its family's tiny folder."""

from __future__ import annotations

from itertools import product

import pytest
import torch

import stock
from limner.core.errors import LimnerError
from limner.core.protocols import Batch, ModelSource, SubjectWords
from limner.models import loading
from limner.plugins import registry
from original import Original

PROMPTS = ["a photo of sks dog on the beach", "a cat"]
SUBJECT = SubjectWords("sks", "dog")
CPU = torch.device("cpu")


def pytest_generate_tests(metafunc):
    """Every family, every method, and where a test takes both, the pairs that can be trained."""
    families, methods = registry.families.names(), registry.methods.names()
    told = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    wanted = [name for name in ("family_name", "method") if name in {*metafunc.fixturenames} - told]
    if len(wanted) == 2:
        pairs = [pair for pair in product(families, methods) if trainable(*pair)]
        if "adapter" in metafunc.fixturenames:
            pairs = [pair for pair in pairs if registry.methods.get(pair[1]).makes == "adapter"]
        metafunc.parametrize(wanted, pairs, indirect=True)
    elif wanted:
        metafunc.parametrize(wanted[0], families if wanted == ["family_name"] else methods, indirect=True)


def trainable(family, method):
    """Whether the family has a place for what the method teaches."""
    method = registry.methods.get(method)
    try:
        method.check(registry.families.get(family).facts, method.Options(), SUBJECT)
    except LimnerError:
        return False
    return True


@pytest.fixture
def family_name(request):
    return request.param


@pytest.fixture
def family(family_name):
    return registry.families.get(family_name)


@pytest.fixture
def method(request):
    return registry.methods.get(request.param)


@pytest.fixture
def folder(tiny_folder, family_name):
    return tiny_folder(family_name)


@pytest.fixture
def model(folder):
    return loading.resolve(str(folder))


@pytest.fixture(scope="session")
def loaded(tiny_folder):
    """A family's name -> components of its tiny model, a copy of those that were loaded once."""
    kept = {}

    def of(name):
        if name not in kept:
            source = ModelSource(str(tiny_folder(name)))
            kept[name] = Original(registry.families.get(name).load(source, torch.float32, CPU))
        return kept[name].copy()

    return of


@pytest.fixture(scope="session")
def stock_pipeline(tiny_folder):
    """A family's name -> the stock pipeline of its tiny model, a copy of that which was loaded once."""
    kept = {}

    def of(name):
        if name not in kept:
            kept[name] = Original(stock.load(tiny_folder(name)))
        return kept[name].copy()

    return of


@pytest.fixture
def theirs(stock_pipeline, family_name):
    """The stock pipeline of the family's tiny model."""
    return stock_pipeline(family_name)


@pytest.fixture
def components(loaded, family_name):
    return loaded(family_name)


@pytest.fixture(scope="session")
def batches():
    """What was encoded before, by the family's name."""
    return {}


@pytest.fixture
def batch(batches, family_name, family, loaded):
    """Four images of 64 x 64 pixels whose caption is the first prompt."""
    if family_name not in batches:
        batches[family_name] = Original(encoded(family, loaded(family_name)))
    return batches[family_name].copy()


def encoded(family, components):
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        latents = family.encode_images(components, torch.rand(4, 3, 64, 64, generator=rng) * 2 - 1, rng)
        return Batch(torch.randn(latents.shape, generator=rng), family.encode_text(components, [PROMPTS[0]] * 4))
