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


@pytest.mark.parametrize(
    ("folder", "class_word", "steps", "batch"),
    [
        ("dog", "dog", 15, 1),
        pytest.param("dog", "dog", 40, 2, marks=pytest.mark.slow),
        pytest.param("bear_plushie", "teddy bear", 40, 2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs in ../shared/data/dreambench are not here")
def test_photographs_move_the_pictures(starter, home, tmp_path, folder, class_word, steps, batch):
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
    told = [json.loads(line) for line in (tmp_path / "rex" / "metrics.jsonl").read_text().splitlines()]
    watched = [line["held_out_loss"] for line in told if "held_out_loss" in line]
    assert watched[-1] < watched[0], "the held-out photograph is no better known than before"
    paths = {}
    for name, uses in (("base", ()), ("taught", (AdapterUse(path=str(tmp_path / "rex")),))):
        paint = GenerateRequest(prompt=request.instance_prompt, adapter=uses, steps=4, count=2)
        studio.run(paint, tmp_path / name)
        paths[name] = [pixels(path) for path in sorted((tmp_path / name).glob("*.png"))]
    moved = np.mean([np.abs(a - b).mean() for a, b in zip(paths["base"], paths["taught"], strict=True)])
    assert moved > 5, "the pictures hardly moved"
