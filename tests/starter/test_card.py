"""The starter's model card: every figure is that of the files in its folder."""

from __future__ import annotations

import hashlib
import json

import pytest

from limner.starter.card import model_card, weight_hashes

FACTS = {
    "version": "7.8",
    "scores": {"loss": 0.12345, "nearly": 1.4994, "PSNR, dB": 31.4567},
    "training": [{"stage": "UNet", "steps": 8000, "batch": 64, "minutes": 145}],
    "pictures": 48000,
    "photographs": 126,
    "photograph share": 0.15,
    "held out photographs": ["dog", "duck_toy"],
    "note": "Made in two sittings.",
    "sha256": {"unet/model.safetensors": "a1b2"},
}


@pytest.fixture
def folder(tmp_path):
    for part, size in (("judge", 1_000_000), ("unet", 3_000_000), ("vae", 1_500_000)):
        (tmp_path / part).mkdir()
        (tmp_path / part / "model.safetensors").write_bytes(bytes(size))
    (tmp_path / "scores.json").write_text(json.dumps(FACTS))
    return tmp_path


def test_the_card_states_sizes_data_and_training(folder):
    card = model_card(folder)
    flat = " ".join(card.split())
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "128 x 128 px, 4.5 MB in fp16, and a judge of 1.0 MB that reads its images" in flat
    assert "It comes with Limner 7.8, so that" in flat
    assert (
        "48,000 images drawn by `limner.starter.painter` with their captions and 126 DreamBench photographs "
        "(CC BY 4.0; 15% of the crops, autoencoder only; the folders dog, duck_toy were left out)." in flat
    )
    assert "| stage | steps | batch | time |\n|---|---|---|---|\n| UNet | 8000 | 64 | 145 min |" in card
    assert "with the present recipe. Made in two sittings." in flat
    assert "| loss | 0.123 |\n| nearly | 1.499 |\n| PSNR, dB | 31.46 |\n" in card
    assert "| `unet/model.safetensors` | `a1b2` |" in card


def test_a_stage_that_a_gpu_trained_names_it(folder):
    rows = [FACTS["training"][0] | {"machine": "Some GPU"}, {"stage": "judge", "steps": 1, "batch": 2, "minutes": 3}]
    assert "GPU" not in model_card(folder)
    (folder / "scores.json").write_text(json.dumps(FACTS | {"training": rows}))
    card = model_card(folder)
    assert "| UNet | 8000 | 64 | 145 min, Some GPU |\n| judge | 1 | 2 | 3 min |" in card
    assert "(two CPU cores, shared with other work; or the GPU that is named)" in " ".join(card.split())


def test_without_photographs_the_card_mentions_none(folder):
    (folder / "scores.json").write_text(json.dumps(FACTS | {"photographs": 0}))
    assert "with their captions. None of them" in " ".join(model_card(folder).split())


def test_the_card_has_the_sections_of_the_exams_that_were_taken(folder):
    for name in ("exam", "personalise"):
        (folder / f"{name}.md").write_text(f"## The {name}\n")
    assert "## The" not in model_card(folder), "a page without its figures is not from an exam"
    (folder / "personalise.json").write_text("{}")
    assert "## The personalise" in model_card(folder) and "## The exam" not in model_card(folder)
    (folder / "exam.json").write_text("{}")
    card = model_card(folder)
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings[-3:] == ["## The exam", "## The personalise", "## Weights (SHA-256)"]


def test_weights_are_hashed_by_their_path(folder):
    (folder / "unet" / "model.safetensors").write_bytes(b"weights")
    assert list(weight_hashes(folder)) == [f"{part}/model.safetensors" for part in ("judge", "unet", "vae")]
    assert weight_hashes(folder)["unet/model.safetensors"] == hashlib.sha256(b"weights").hexdigest()
