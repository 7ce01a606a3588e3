"""Named models: what is told of them, and fetching one from a hub, here one on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

import tiny
from hub import Hub
from limner import Studio


@pytest.fixture
def hub(tiny_sd, tmp_path):
    (tmp_path / "files").mkdir()
    tiny.single_file(tiny_sd, tmp_path / "files" / "model.safetensors")
    known = {"who/tiny": tiny_sd, "who/gated": tiny_sd, "who/file": tmp_path / "files", "who/vae": tiny_sd / "vae"}
    hub = Hub(known, gated=("who/gated",))
    yield hub
    hub.close()


def limner(hub, tmp_path, *arguments, **environment):
    return python(hub, tmp_path, "-m", "limner.cli", *map(str, arguments), **environment)


def python(hub, tmp_path, *arguments, **environment):
    """Another process, since the hub's library reads its address once."""
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "LIMNER_HOME": str(tmp_path / "home")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    said = subprocess.run(
        [sys.executable, *arguments],
        env=kept | own | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in said.stderr, said.stderr
    return said


def test_the_models_are_listed(limner_in_process=None):
    entries = {entry.name: entry for entry in Studio().models()}
    assert {"starter", "sd15", "realistic-vision", "sdxl", "flux-dev", "flux2-klein", "z-image"} <= entries.keys()
    assert entries["starter"].place is not None and entries["starter"].gigabytes == 0
    assert all(entry.memory > entry.gigabytes / 2 for entry in entries.values() if entry.gigabytes)
    assert entries["flux-dev"].licence == "flux-1-dev-non-commercial-license"


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["who/tiny", "who/file/model.safetensors"])
def test_fetching_tells_how_far_it_is(hub, tmp_path, reference):
    script = f"""
from limner import Studio
from limner.core.events import Progress
from limner.engine import fetching
fetching.MEGABYTE = 1000
told = []
Studio().fetch({reference!r}, listener=lambda event: told.append(event))
counted = [(event.done, event.total) for event in told if isinstance(event, Progress)]
assert counted and counted[-1][0] == counted[-1][1] > 100, counted
"""
    said = python(hub, tmp_path, "-c", script)
    assert said.returncode == 0, said.stderr


@pytest.mark.slow
def test_a_model_is_fetched_once_and_painted_with(hub, tmp_path):
    said = limner(hub, tmp_path, "models", "get", "who/tiny")
    assert said.returncode == 0, said.stderr
    fetched = [name for name in hub.asked if name.endswith("diffusion_pytorch_model.safetensors")]
    assert sorted(fetched) == ["unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"]
    assert str(tmp_path / "hf") in said.stdout
    again = limner(hub, tmp_path, "models", "get", "who/tiny")
    assert again.returncode == 0
    assert [name for name in hub.asked if name.endswith("diffusion_pytorch_model.safetensors")] == fetched
    offline = limner(
        hub, tmp_path, "generate", "a cat", "--model", "who/tiny", "--steps", 1, "--out", "out", HF_HUB_OFFLINE="1"
    )
    assert offline.returncode == 0, offline.stderr
    assert (tmp_path / "out" / "0001.png").is_file()


@pytest.mark.slow
def test_a_gated_model_says_what_to_accept_and_where(hub, tmp_path):
    said = limner(hub, tmp_path, "models", "get", "who/gated")
    assert said.returncode == 2
    assert "model 'who/gated' is gated; accept its licence at https://huggingface.co/who/gated" in said.stderr
    assert "HF_TOKEN" in said.stderr
    assert limner(hub, tmp_path, "models", "get", "who/gated", HF_TOKEN="hf_good").returncode == 0


@pytest.mark.slow
def test_a_model_that_is_not_there_and_a_hub_that_is_not(hub, tmp_path):
    said = limner(hub, tmp_path, "models", "get", "who/nobody")
    assert said.returncode == 2 and "model 'who/nobody' is not on the Hugging Face hub" in said.stderr
    said = limner(hub, tmp_path, "models", "get", "who/tiny", HF_HUB_OFFLINE="1")
    assert said.returncode == 2 and "is not on disk and could not be fetched" in said.stderr


@pytest.mark.slow
def test_a_single_file_is_fetched(hub, tmp_path):
    said = limner(hub, tmp_path, "models", "get", "who/file/model.safetensors")
    assert said.returncode == 0, said.stderr
    assert hub.asked.count("model.safetensors") == 1 and said.stdout.strip().endswith("model.safetensors")


@pytest.mark.slow
def test_an_autoencoder_without_half_precision_files(hub, tmp_path):
    flags = ["--model", "who/tiny", "--vae", "who/vae", "--precision", "bf16", "--steps", 1, "--out", "out"]
    said = limner(hub, tmp_path, "generate", "a cat", *flags)
    assert said.returncode == 0, said.stderr
    with Image.open(tmp_path / "out" / "0001.png") as picture:
        request = json.loads(picture.text["limner"])["request"]
    assert (request["vae"], request["precision"]) == ("who/vae", "bf16")
    assert "diffusion_pytorch_model.safetensors" in hub.asked, "the autoencoder's own, in full precision"
