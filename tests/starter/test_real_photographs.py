"""A short training on real photographs, with the bundled starter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner import AdapterUse, GenerateRequest, Studio, TrainRequest
from limner.models.options import LORA_FILE

PHOTOGRAPHS = Path(__file__).parents[2] / "../shared/data/dreambench"


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "class_word", "steps", "batch"),
    [
        ("dog", "dog", 40, 2),
        ("bear_plushie", "teddy bear", 40, 2),
    ],
)
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs in ../shared/data/dreambench are not here")
def test_training_on_photographs_changes_the_images(starter, home, tmp_path, folder, class_word, steps, batch):
    request = TrainRequest(
        data=str(PHOTOGRAPHS / folder),
        class_word=class_word,
        steps=steps,
        batch=batch,
        prior=False,
        checkpoint_every=5,
        held_out=1,
    )
    studio = Studio()
    studio.run(request, tmp_path / "rex")
    assert (tmp_path / "rex" / LORA_FILE).is_file()
    lines = [json.loads(line) for line in (tmp_path / "rex" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["held_out_loss"] for line in lines if "held_out_loss" in line]
    assert losses[-1] < losses[0], "the held-out loss did not fall"
    paths = {}
    for name, uses in (("base", ()), ("trained", (AdapterUse(path=str(tmp_path / "rex")),))):
        generate = GenerateRequest(prompt=request.instance_prompt, adapter=uses, steps=4, count=2)
        studio.run(generate, tmp_path / name)
        paths[name] = [pixels(path) for path in sorted((tmp_path / name).glob("*.png"))]
    change = np.mean([np.abs(a - b).mean() for a, b in zip(paths["base"], paths["trained"], strict=True)])
    assert change > 5, "the images hardly changed"
