"""The header of an adapter: what other tools read of how it was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from limner import TrainRequest
from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.data.sets.folder import ImageFile, Scan
from limner.engine.train.model_card import Trained, header, model_card
from limner.engine.train.plan import make_plan
from limner.models.loading import Model
from limner.plugins.families.sd import plugin as SD
from limner.plugins.methods.lora import plugin as LORA

BASE = StepScores(step=0, subject=(0.1,), prompt=(0.5,))
AFTER = tuple(StepScores(step=step, subject=(subject,), prompt=(0.5,)) for step, subject in ((50, 0.4), (100, 0.3)))


def trained(rights=None, **fields):
    """A finished run of a request on six images."""
    request = TrainRequest(**{"data": "x", "class_word": "dog", "model": "sd15", "steps": 300, "seed": 7} | fields)
    dataset = Scan(tuple(ImageFile(Path(f"{i}.png"), "0" * 64, (64, 64)) for i in range(6)))
    vars(dataset).update(digest="d" * 64, rights=rights or {})
    plan = make_plan(request, dataset, SD.facts, 512)
    defaults = {"denoising_steps": 30, "guidance": 7.5, "guidance_rescale": 0.7}
    return Trained(request, plan, Model("sd15", "owner/name", "sd", None, "mit", own_defaults=defaults), dataset, "rex")


def rows_of(card):
    """The rows of a card's table."""
    rows = (
        line.removeprefix("| ").removesuffix(" |").split(" | ", 1) for line in card.splitlines() if line[:2] == "| "
    )
    return dict(row for row in rows if len(row) == 2)


def test_a_card_states_what_was_done():
    rights = {"licences": {"CC0": 4, "unknown": 2}, "overrides": {"it is mine": 3, "asked": 1}}
    run = trained(
        rights,
        steps=None,
        prior_target="model",
        prior_dropout=0.25,
        prior_weight=0.5,
        optimiser="adafactor",
        ema=0.9,
        options={"rank": 4},
        learning_rate=3e-4,
    )
    card = model_card(run, LORA, 0.12344)
    rows = rows_of(card)
    assert rows["Prior preservation"] == (
        "100 class images, weight 0.5, compared with the base model's prediction, 25% of them without a caption"
    )
    assert rows["Steps, batch, learning rate"] == "800, 2, 0.0003 (cosine)"
    assert rows["Settings"] == "rank 4, optimiser adafactor, ema 0.9"
    assert rows["Licences of the images"] == "CC0 (4), unknown (2)"
    assert rows["Marked 'no AI training', used nevertheless"] == "4 (it is mine, asked)"
    assert rows["Images"] == f"6 (dataset SHA-256 `{'d' * 16}`)" and rows["Final loss"] == "0.1234"
    assert rows["Resolution"] == "512 x 512" and rows["Base model"] == "sd15 (licence: mit)"
    assert "num_inference_steps=30,\n    guidance_scale=7.5,\n    guidance_rescale=0.7," in card
    plain = rows_of(model_card(trained(prior=False), LORA, 0.1))
    assert (plain["Prior preservation"], plain["Settings"]) == ("off", "defaults")


@pytest.mark.parametrize(("best", "steps"), [(False, "300"), (True, "50")])
def test_a_header_states_what_was_done(best, steps):
    """The steps are those of what is kept; all else is the plan's, with what the request left open filled in."""
    model = SimpleNamespace(licence="mit", sampling={"steps": 30}, fingerprint=lambda dtype: "f" * 64)
    components = SimpleNamespace(architecture="stable-diffusion-v1", base_version="sd_v1", dtype=torch.float32)
    scores = CheckpointScores(
        prompts=("a",), encoder="x", weight=1, training_similarity=0.8, unrelated_similarity=0.1, base=BASE, after=AFTER
    )
    run = replace(trained(), model=model, scores=scores if best else None)
    found = header(run, components)
    assert {name: found[f"ss_{name}"] for name in ("steps", "seed", "resolution", "num_train_images")} == {
        "steps": steps,
        "seed": "7",
        "resolution": "(512, 512)",
        "num_train_images": "6",
    }
    assert found["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert (found["modelspec.license"], found["modelspec.resolution"]) == ("mit", "512x512")
    assert found["modelspec.trigger_phrase"] == "a photo of sks dog" and found["ss_base_model_version"] == "sd_v1"
    assert found["modelspec.title"] == found["ss_output_name"] == "rex" and found["ss_sd_model_name"] == "sd15"
    ours = json.loads(found["limner"])
    assert ours["sampling"] == {"steps": 30} and ours["request"]["steps"] == 300
    assert ours["base"] == {"reference": "sd15", "architecture": "stable-diffusion-v1", "fingerprint": "f" * 64,
                            "licence": "mit"}  # fmt: skip
    assert ours["dataset"] == {"sha256": "d" * 64, "pictures": 6} and ours["trigger_words"] == ["sks"]
    assert ours.get("kept_step") == (50 if best else None) and ours["digest"] == run.request.digest
