"""The header of an adapter: what other tools read of how it was trained."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from limner import TrainRequest
from limner.core.standings import Standing, Standings
from limner.data.sets.folder import Photograph, Scan
from limner.engine.training.cards import header
from limner.engine.training.plan import make_plan
from limner.families.sd import plugin as SD

BASE = Standing(step=0, subject=(0.1,), prompt=(0.5,))
AFTER = tuple(Standing(step=step, subject=(subject,), prompt=(0.5,)) for step, subject in ((50, 0.4), (100, 0.3)))


@pytest.mark.parametrize(("best", "steps"), [(False, "300"), (True, "50")])
def test_a_header_tells_what_was_done(best, steps):
    """The steps are those of what is kept; all else is the plan's, with what the request left open filled in."""
    request = TrainRequest(data="x", class_word="dog", model="sd15", steps=300, seed=7)
    photographs = [Photograph(Path(f"{i}.png"), "0" * 64, (64, 64), None) for i in range(6)]
    plan = make_plan(request, Scan(tuple(photographs)), SD.facts, 512)
    model = SimpleNamespace(licence="mit", sampling={"steps": 30}, fingerprint=lambda dtype: "f" * 64)
    components = SimpleNamespace(architecture="stable-diffusion-v1", base_version="sd_v1", dtype=torch.float32)
    standings = Standings(prompts=("a",), encoder="x", weight=1, alike=0.8, strange=0.1, base=BASE, after=AFTER)
    found = header(request, plan, model, components, "d" * 64, 6, "rex", {}, standings if best else None)
    assert {name: found[f"ss_{name}"] for name in ("steps", "seed", "resolution", "num_train_images")} == {
        "steps": steps,
        "seed": "7",
        "resolution": "(512, 512)",
        "num_train_images": "6",
    }
    assert found["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert (found["modelspec.license"], found["modelspec.resolution"]) == ("mit", "512x512")
    assert found["modelspec.trigger_phrase"] == "a photo of sks dog" and found["ss_base_model_version"] == "sd_v1"
    ours = json.loads(found["limner"])
    assert ours["base"] == {"reference": "sd15", "architecture": "stable-diffusion-v1", "fingerprint": "f" * 64,
                            "licence": "mit"}  # fmt: skip
    assert ours["dataset"] == {"sha256": "d" * 64, "pictures": 6} and ours["trigger_words"] == ["sks"]
    assert ours.get("kept_step") == (50 if best else None) and ours["digest"] == request.digest
