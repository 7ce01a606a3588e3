"""Adapters in memory: switching between them changes no image and reads no file twice."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from PIL import Image

from limner import AdapterUse, GenerateRequest, Studio, TrainRequest
from limner.models import loading, lora
from limner.models.cache import MODELS


@pytest.fixture
def adapters(tiny_sd, painted, home, ran_once):
    """Two LoRAs, one of them with DoRA and of an alpha of its own."""
    fields = {"data": str(painted), "class_word": "dog", "model": str(tiny_sd), "steps": 2, "batch": 1}
    fields |= {"prior": False, "learning_rate": 0.1, "warmup": 0}
    each = {"plain": {"rank": 2, "alpha": 8.0}, "dora": {"rank": 2, "dora": True}}
    return [str(ran_once(f"switched/{name}", TrainRequest(**fields, options=given))) for name, given in each.items()]


def painter(model, folder):
    def paint(*uses):
        request = GenerateRequest(
            prompt="sks dog", model=model, steps=2, adapter=tuple(AdapterUse(path=p, weight=w) for p, w in uses)
        )
        run = Studio().run(request, folder)
        (made,) = Studio().store.artifacts(run.id)
        return np.asarray(Image.open(made.path))

    return paint


@pytest.mark.slow
def test_switching_is_exact_and_reads_nothing_twice(tiny_sd, adapters, tmp_path, monkeypatch):
    plain, dora = adapters
    paint = painter(str(tiny_sd), tmp_path / "out")
    wishes = [(), ((plain, 1.0),), ((dora, 1.0),), ((plain, 0.5), (dora, 1.0)), ((plain, 1.0),)]
    fresh = []
    for uses in wishes:
        loading.unload_all()
        fresh.append(paint(*uses))
    loading.unload_all()
    loads, load = [], lora._load

    def counted(pipeline, denoiser, file):
        loads.append(file.parent.name)
        return load(pipeline, denoiser, file)

    monkeypatch.setattr(lora, "_load", counted)
    for uses, expected in (*zip(wishes, fresh, strict=True), ((), fresh[0])):
        assert np.array_equal(paint(*uses), expected)
    assert loads == ["plain", "dora"]
    assert not np.array_equal(fresh[0], fresh[1]) and not np.array_equal(fresh[1], fresh[2])
    monkeypatch.setattr(lora, "BUDGET", 1)
    loading.unload_all()
    for uses in (wishes[1], wishes[2], wishes[1]):
        paint(*uses)
    assert loads[2:] == ["plain", "dora", "plain"]


def test_adapters_leave_with_their_model(tiny_sd, adapters, tmp_path):
    paint = painter(str(tiny_sd), tmp_path / "out")
    paint((adapters[0], 1.0))
    (model,) = MODELS.models()
    unet = weakref.ref(model.value.denoiser)
    del model
    loading.unload_all()
    gc.collect()
    assert unet() is None
