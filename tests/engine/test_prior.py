"""Class images: generated once, each from a seed of its own, whatever the cache holds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limner.core.workspace import Workspace
from limner.engine.train import prior


class Painter:
    """Writes the seed and the prompt's length into its images."""

    def __init__(self, monkeypatch):
        self.batches = []
        monkeypatch.setattr(prior, "sample_images", self.paint)
        monkeypatch.setattr(prior, "conditioning", lambda family, components, prompts: prompts)

    def paint(self, pipeline, prompts, seeds, sampling, size, *, batch, on_step):
        self.batches.append((len(seeds), batch))
        on_step(len(seeds) * sampling["steps"])
        for seed, prompt in zip(seeds, prompts, strict=True):
            yield np.full((size[1], size[0], 3), seed + 100 * len(prompt), np.uint8)


@pytest.fixture
def painter(monkeypatch):
    return Painter(monkeypatch)


@pytest.fixture
def painted(tmp_path):
    events = []

    def run(
        count,
        prompts=("a", "bb"),
        side=32,
        seed=5,
        fingerprint="model",
        location="here",
        vae=None,
        device="cpu",
        dtype=torch.float32,
        quantised=None,
        **sampling,
    ):
        components = SimpleNamespace(device=torch.device(device), dtype=dtype)
        model = SimpleNamespace(
            family=SimpleNamespace(pipeline=lambda components: None),
            sampling={"steps": 2, "guidance": 3.0, "guidance_rescale": 0.0, **sampling},
            fingerprint=lambda dtype: fingerprint,
            location=location,
            vae=vae,
        )
        plan = SimpleNamespace(class_pictures=count, resolution=side)
        place = Path(tmp_path)
        workspace = Workspace("run", place, place, place)
        found = prior.class_images(model, components, prompts, plan, seed, workspace, events.append, quantised)[
            :
        ].pixels
        return [int(image[0, 0, 0]) for image in found], found.shape, events

    return run


def level(index, prompts=("a", "bb"), seed=5):
    return (seed + index + 100 * len(prompts[index % len(prompts)])) % 256


def test_each_has_a_seed_of_its_own_and_the_prompts_come_in_turn(painter, painted):
    found, shape, events = painted(5)
    assert found == [level(i) for i in range(5)] and shape == (5, 32, 32, 3)
    assert painter.batches == [(8, 8)] and events[0].total == 16, "a whole batch, of two steps each"


def test_a_cache_filled_in_two_goes_is_the_same(painter, painted):
    painted(5)
    assert painted(12)[0] == [level(i) for i in range(12)]
    assert painter.batches == [(8, 8), (8, 8)], "what was painted is not painted again"
    assert painted(12)[0] == painted(12)[0] and len(painter.batches) == 2


@pytest.mark.parametrize(("side", "batch"), [(512, 8), (513, 7), (1024, 2), (1025, 1), (4096, 1)])
def test_large_pictures_go_in_smaller_batches(painter, painted, side, batch, monkeypatch):
    """2^21 pixels at once at most, and one picture at least."""
    monkeypatch.setattr(np, "save", lambda file, pixels, allow_pickle: None)
    monkeypatch.setattr(np, "load", lambda path, allow_pickle: np.zeros((1, 1, 3), np.uint8))
    monkeypatch.setattr(np, "full", lambda shape, value, kind: np.zeros((1, 1, 3), np.uint8))
    painted(1, side=side)
    assert painter.batches == [(batch, batch)]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6},
        {"fingerprint": "other"},
        {"vae": "other"},
        {"side": 16},
        {"steps": 3},
        {"guidance": 4.0},
        {"guidance_rescale": 0.7},
        {"device": "meta"},
        {"dtype": torch.float16},
        {"quantised": "nf4"},
        {"prompts": ("c",)},
        {"prompts": ("a", "cc")},
        {"prompts": ("bb", "a")},
    ],
)
def test_what_changes_them_is_another_cache(painter, painted, change):
    painted(1)
    painted(1, **change)
    assert len(painter.batches) == 2
    painted(1, **change)
    painted(1)
    assert len(painter.batches) == 2, "both caches stay"


def test_each_vae_and_each_quantisation_has_a_cache_of_its_own(painter, painted):
    for change in ({"vae": "one"}, {"vae": "two"}, {"quantised": "nf4"}, {"quantised": "int8"}):
        painted(1, **change)
    assert len(painter.batches) == 4


def test_batches_of_another_size_are_another_cache(painter, painted, monkeypatch):
    painted(1)
    for batch in (4, 2):
        monkeypatch.setattr(prior, "PIXELS", batch * 32**2)
        painted(1)
    assert painter.batches == [(8, 8), (4, 4), (2, 2)]


def test_the_place_of_a_model_counts_only_without_a_fingerprint(painter, painted):
    painted(1)
    painted(1, location="elsewhere")
    assert len(painter.batches) == 1
    painted(1, fingerprint=None)
    painted(1, fingerprint=None, location="elsewhere")
    assert len(painter.batches) == 3
