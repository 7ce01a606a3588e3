"""Fixtures that run each test for every plugin, on its family's tiny model."""

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
    """Parametrise by every family, every method, or for tests of both by the pairs that can be trained."""
    families, methods = registry.families.names(), registry.methods.names()
    given = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    wanted = [name for name in ("family_name", "method") if name in {*metafunc.fixturenames} - given]
    if len(wanted) == 2:
        pairs = [pair for pair in product(families, methods) if trainable(*pair)]
        if "adapter" in metafunc.fixturenames:
            pairs = [pair for pair in pairs if registry.methods.get(pair[1]).makes == "adapter"]
        metafunc.parametrize(wanted, pairs, indirect=True)
    elif wanted:
        metafunc.parametrize(wanted[0], families if wanted == ["family_name"] else methods, indirect=True)


def trainable(family, method):
    """Whether the method supports the family."""
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
    """Returns a copy of the components of a family's tiny model, which is loaded once."""
    cache = {}

    def of(name):
        if name not in cache:
            source = ModelSource(str(tiny_folder(name)))
            cache[name] = Original(registry.families.get(name).load(source, torch.float32, CPU))
        return cache[name].copy()

    return of


@pytest.fixture(scope="session")
def stock_pipeline(tiny_folder):
    """Returns a copy of the stock pipeline of a family's tiny model, which is loaded once."""
    cache = {}

    def of(name):
        if name not in cache:
            cache[name] = Original(stock.load(tiny_folder(name)))
        return cache[name].copy()

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
    """Encoded batches by family."""
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
