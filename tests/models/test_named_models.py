"""Named models: the list, and downloading from a hub, which is a server of the test."""

from __future__ import annotations

import dataclasses

import pytest

import tiny
from hub import Hub, reached
from limner import Studio
from limner.core.errors import LimnerError
from limner.core.events import Progress
from limner.models import catalog, loading
from limner.provenance.labels import read_label

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(tiny_sd, tmp_path, home):
    """A hub server, with an empty cache."""
    (tmp_path / "files").mkdir()
    tiny.single_file(tiny_sd, tmp_path / "files" / "model.safetensors")
    known = {"who/tiny": tiny_sd, "who/gated": tiny_sd, "who/file": tmp_path / "files", "who/vae": tiny_sd / "vae"}
    hub = Hub(known, gated=("who/gated",))
    with reached(hub.url, tmp_path / "hf"):
        yield hub
    hub.close()


def test_the_models_are_listed(home):
    entries = {entry.name: entry for entry in Studio().models()}
    assert {"starter", "sd15", "realistic-vision", "sdxl", "flux-dev", "flux2-klein", "z-image"} <= entries.keys()
    assert entries["starter"].place is not None and entries["starter"].gigabytes == 0
    assert all(entry.memory > entry.gigabytes / 2 for entry in entries.values() if entry.gigabytes)
    assert entries["flux-dev"].licence == "flux-1-dev-non-commercial-license"


@pytest.mark.parametrize("reference", ["who/tiny", "who/file/model.safetensors"])
def test_a_download_reports_progress(hub, monkeypatch, reference):
    monkeypatch.setattr(catalog, "MEGABYTE", 1000)
    events = []
    Studio().fetch(reference, listener=events.append)
    counted = [(event.done, event.total) for event in events if isinstance(event, Progress)]
    assert counted and counted[-1][0] == counted[-1][1] > 100, counted


def test_a_model_is_downloaded_once_and_used_offline(hub, limner, tmp_path):
    result = limner("models", "get", "who/tiny")
    assert result.code == 0, result.err
    fetched = [name for name in hub.asked if name.endswith(WEIGHTS)]
    assert sorted(fetched) == [f"unet/{WEIGHTS}", f"vae/{WEIGHTS}"]
    assert str(tmp_path / "hf") in result.out
    again = limner("models", "get", "who/tiny")
    assert again.code == 0
    assert [name for name in hub.asked if name.endswith(WEIGHTS)] == fetched
    hub.close()
    with reached(hub.url, tmp_path / "hf", offline=True):
        offline = limner("generate", "a cat", "--model", "who/tiny", "--steps", 1, "--out", "out")
    assert offline.code == 0, offline.err
    assert read_label(tmp_path / "out" / "0001.png").request.model == "who/tiny"


def test_the_error_of_a_gated_model_has_its_licence_page(hub, limner, monkeypatch):
    result = limner("models", "get", "who/gated")
    assert result.code == 2
    assert "model 'who/gated' is gated; accept its licence at https://huggingface.co/who/gated" in result.error
    assert "HF_TOKEN" in result.error
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert limner("models", "get", "who/gated").code == 0
    assert f"unet/{WEIGHTS}" in hub.asked


def test_a_model_that_is_not_there_and_a_hub_that_is_not(hub, limner, tmp_path):
    result = limner("models", "get", "who/nobody")
    assert result.code == 2 and "model 'who/nobody' is not on the Hugging Face hub" in result.error
    with reached(hub.url, tmp_path / "hf", offline=True):
        result = limner("models", "get", "who/tiny")
    assert result.code == 2 and "is not on disk and could not be fetched" in result.error
    assert hub.asked == []


def test_a_single_file_is_fetched(hub, limner):
    result = limner("models", "get", "who/file/model.safetensors")
    assert result.code == 0, result.err
    assert hub.asked.count("model.safetensors") == 1 and result.out.strip().endswith("model.safetensors")


def test_an_autoencoder_without_half_precision_files(hub, limner, tmp_path):
    flags = ["--model", "who/tiny", "--vae", "who/vae", "--precision", "bf16", "--steps", 1, "--out", "out"]
    result = limner("generate", "a cat", *flags)
    assert result.code == 0, result.err
    assert hub.asked.count(WEIGHTS) == 1, "the autoencoder, in the only precision that there is"
    request = read_label(tmp_path / "out" / "0001.png").request
    assert (request.vae, request.precision) == ("who/vae", "bf16")


def test_models_are_listed_by_the_size_of_their_download(home):
    models = catalog.list_models()
    assert [(each.gigabytes, each.name) for each in models] == sorted((each.gigabytes, each.name) for each in models)
    for each in models:
        _, alias = catalog.registry.aliases()[each.name]
        assert (each.gigabytes, each.memory, each.licence) == (alias.gigabytes, alias.memory, alias.licence)


def test_progress_is_in_megabytes_of_the_bar_that_is_furthest():
    events = []
    kind = catalog._progress_bar(events.append)
    received, written = (kind(total=5_000_000, unit="B") for _ in range(2))
    files = kind(total=3, unit="it")
    received.update(3_000_000)
    written.update(1_000_000)
    files.update(1)
    assert [(event.done, event.total) for event in events] == [(3, 5), (3, 5)], "files are not counted"
    for bar in (received, written, files):
        bar.close()


@pytest.mark.parametrize("reference", ["who/tiny", "who/file/model.safetensors"])
def test_a_downloaded_model_is_deleted_and_can_be_downloaded_again(hub, monkeypatch, reference):
    family, alias = catalog.registry.aliases()["sd15"]
    named = dataclasses.replace(alias, reference=reference, config=None, vae=None)
    aliases = {**catalog.registry.aliases(), "mine": (family, named)}
    monkeypatch.setattr(catalog.registry, "aliases", lambda: aliases)
    studio = Studio()
    with pytest.raises(LimnerError, match="'mine' is not downloaded"):
        studio.delete_model("mine")
    for name in ("who/tiny", "who/file/model.safetensors"):
        studio.fetch(name)
    place = loading.resolve("mine").on_disk()
    assert place is not None
    assert studio.delete_model("mine") > 10_000
    assert not place.exists() and loading.resolve("mine").on_disk() is None
    other = "who/file/model.safetensors" if reference == "who/tiny" else "who/tiny"
    assert catalog.hub.on_disk(other) is not None, "another one stays"
    assert studio.fetch("mine").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [("starter", "'starter' is part of Limner and cannot be deleted"), ("no", "unknown base model 'no'")],
)
def test_the_starter_and_unknown_models_are_not_deleted(name, problem):
    with pytest.raises(LimnerError, match=problem):
        Studio().delete_model(name)
    assert loading.resolve("starter").on_disk() is not None
