"""Loading models: references, fingerprints of weights, and files by number format."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file

import tiny
from limner import AdapterUse, GenerateRequest, LimnerError, Studio, TrainRequest
from limner.engine.train.model_card import how_loaded
from limner.models import hub, loading
from limner.models.cache import MODELS
from limner.store.files import sha256_of, translate_disk_errors

CPU = torch.device("cpu")


def test_the_fingerprint_is_the_hash_of_the_weights(tiny_sd, tmp_path):
    folder = shutil.copytree(tiny_sd, tmp_path / "model")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    model = loading.resolve(str(folder))
    first = model.fingerprint(torch.float32)
    assert first == sha256_of(weights) == model.fingerprint(torch.bfloat16)
    weights.write_bytes(weights.read_bytes() + b" ")
    assert model.fingerprint(torch.float32) == sha256_of(weights) != first, "a file that changed is read again"
    weights.with_name("diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    assert model.fingerprint(torch.float32) == sha256_of(weights)
    half = hashlib.sha256(b"half").hexdigest()
    assert model.fingerprint(torch.float16) == half and model.fingerprints() == {half, sha256_of(weights)}


def test_the_fingerprint_of_a_hub_model_is_known_once_it_is_on_disk(tmp_path, monkeypatch):
    """The hub's cache calls each large file by its hash, so that nothing need be read."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = loading.Model("who/what", "who/what", "sd", None, "unknown")
    assert model.fingerprints() == set() and loading.needs_download("who/what")
    repository = tmp_path / "models--who--what"
    snapshot = repository / "snapshots" / ("c" * 40)
    (snapshot / "unet").mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c" * 40)
    (snapshot / "model_index.json").write_text("{}")
    assert loading.needs_download("who/what"), "an index alone is no model"
    (repository / "blobs" / ("a" * 64)).write_bytes(b"weights")
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").symlink_to(repository / "blobs" / ("a" * 64))
    assert model.fingerprint(torch.float32) == "a" * 64 and not loading.needs_download("who/what")
    (snapshot / "unet" / "more.safetensors").symlink_to(repository / "blobs" / ("a" * 64))
    assert model.fingerprint(torch.float32) == hashlib.sha256(b"a" * 128).hexdigest()


def test_half_precision_takes_the_fp16_files(tiny_sd, tmp_path):
    folder = tmp_path / "half"
    StableDiffusionPipeline.from_pretrained(tiny_sd, dtype=torch.float16).save_pretrained(folder, variant="fp16")
    assert not (folder / "unet" / "diffusion_pytorch_model.safetensors").exists()
    components = loading.load(loading.resolve(str(folder)), torch.bfloat16, CPU)
    assert components.denoiser.dtype == torch.bfloat16


def test_half_precision_of_a_model_without_fp16_files(tiny_sd):
    components = loading.load(loading.resolve(str(tiny_sd)), torch.bfloat16, CPU)
    assert components.denoiser.dtype == torch.bfloat16
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    family = loading.resolve(str(tiny_sd)).family
    latents = family.encode_images(components, pixels, torch.Generator().manual_seed(1))
    assert latents.dtype == torch.float32, "latents are encoded once and used a thousand times"
    assert components.parts["vae"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("prediction", "architecture", "version"),
    [
        ("epsilon", "stable-diffusion-v2-512", "sd_v2"),
        ("v_prediction", "stable-diffusion-v2-768-v", "sd_v2_768_v"),
    ],
)
def test_stable_diffusion_2_is_distinguished_from_1(tiny_sd, tmp_path, prediction, architecture, version):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, dtype=torch.float32)
    config = {**pipeline.unet.config, "cross_attention_dim": 1024}
    pipeline.unet = UNet2DConditionModel.from_config(config)
    pipeline.scheduler.register_to_config(prediction_type=prediction)
    pipeline.save_pretrained(tmp_path)
    components = loading.load(loading.resolve(str(tmp_path)), torch.float32, CPU)
    assert (components.architecture, components.base_version) == (architecture, version)
    first = loading.load(loading.resolve(str(tiny_sd)), torch.float32, CPU)
    assert (first.architecture, first.base_version) == ("stable-diffusion-v1", "sd_v1")


def test_a_full_disk_while_downloading_is_reported(tmp_path):
    with (
        pytest.raises(LimnerError, match="no space is left to write"),
        translate_disk_errors(tmp_path),
        hub.hub_errors("sdxl"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "blob"))


def test_the_error_of_a_gated_model_has_the_page_of_its_repository():
    from huggingface_hub.errors import GatedRepoError

    with (
        pytest.raises(
            LimnerError, match=r"'flux-dev' is gated; accept its licence at https://huggingface\.co/who/what and"
        ),
        hub.hub_errors("flux-dev", location="who/what/file.safetensors"),
    ):
        raise GatedRepoError("", response=SimpleNamespace(headers={}, request=None))


def test_a_folder_of_pickles_is_reported(tmp_path):
    (tmp_path / "unet").mkdir()
    for name, result in (("model.bin", "pickles are refused"), ("model.txt", "is incomplete or no model")):
        (tmp_path / "unet" / "model.bin").unlink(missing_ok=True)
        (tmp_path / "unet" / name).touch()
        with pytest.raises(LimnerError, match=result), hub.hub_errors(str(tmp_path)):
            raise OSError("no file named x.safetensors")


def test_a_failing_network_is_reported(monkeypatch):
    from huggingface_hub.errors import HTTPError

    monkeypatch.delenv("HF_HUB_OFFLINE")
    with (
        pytest.raises(LimnerError, match=r"'sdxl' is not on disk and could not be fetched \(timed out"),
        hub.hub_errors("sdxl"),
    ):
        raise HTTPError("timed out while reading model.safetensors")


@pytest.mark.parametrize("name", ["sdxl", "realistic-vision"])
def test_a_model_that_is_not_there_is_named_before_its_autoencoder(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = loading.resolve(name)
    assert model.vae, "it has an autoencoder of its own"
    with pytest.raises(LimnerError, match=rf"^model '{name}' is not on disk and could not be fetched"):
        loading.load(model, torch.float32, torch.device("cpu"))


# Single files


@pytest.fixture
def file(tiny_sd, tmp_path):
    return tiny.single_file(tiny_sd, tmp_path / "model.safetensors")


def test_a_single_file_with_a_separate_autoencoder(file, tiny_sd, home, monkeypatch, tmp_path):
    """Its images are those of the folder that it was made of."""
    real = loading.Model.source
    monkeypatch.setattr(loading.Model, "source", lambda self, *given: replace(real(self, *given), config=str(tiny_sd)))
    common = {"prompt": "a cat", "steps": 2}
    one = Studio().run(GenerateRequest(model=str(file), vae=str(tiny_sd / "vae"), **common), tmp_path / "one")
    two = Studio().run(GenerateRequest(model=str(tiny_sd), **common), tmp_path / "two")
    pixels = [np.asarray(Image.open(f"{run.out}/0001.png")).astype(int) for run in (one, two)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 1
    model = loading.resolve(str(file))
    assert model.family_name == "sd" and model.fingerprint(torch.float32) == sha256_of(file)


def test_a_single_file_without_an_autoencoder_names_one(file, limner):
    result = limner("generate", "a cat", "--model", file)
    assert result.code == 2
    assert "contains no autoencoder (VAE); add one: --vae stabilityai/sd-vae-ft-mse" in result.error


def test_an_autoencoder_of_other_latents_is_refused(limner, tiny_folder, painted, tmp_path):
    AutoencoderKL(**(tiny.VAE | {"latent_channels": 8})).save_pretrained(tmp_path / "vae8")
    for family in ("sd", "z_image"):
        for command in (["generate", "a cat"], ["train", painted, "--class", "dog"]):
            result = limner(*command, "--model", tiny_folder(family), "--vae", tmp_path / "vae8")
            assert result.code == 2 and "makes latents of 8 channels; this model needs 4" in result.error


def test_a_folder_without_a_part_is_reported(limner, tiny_sd, tmp_path):
    folder = shutil.copytree(tiny_sd, tmp_path / "half", ignore=shutil.ignore_patterns("unet"))
    result = limner("generate", "a cat", "--model", folder)
    assert result.code == 2
    assert "is incomplete or no model" in result.error and "copy or fetch the folder again" in result.error


def test_files_that_are_no_model(limner, tmp_path, tiny_sd):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    assert "is a single file of an unknown layout" in limner("generate", "a", "--model", "other.safetensors").error
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 40)
    assert "torn.safetensors' cannot be read" in limner("generate", "a", "--model", "torn.safetensors").error
    (tmp_path / "old.ckpt").write_bytes(b"\x80")
    assert "is a pickle file" in limner("generate", "a", "--model", "old.ckpt").error


def test_a_full_fine_tune_has_the_sampling_settings_of_its_base(starter, tmp_path):
    folder = shutil.copytree(starter, tmp_path / "taught", ignore=shutil.ignore_patterns("judge"))
    expected = {"sampling": loading.resolve("starter").sampling}
    (folder / "limner.json").write_text(json.dumps(expected))
    assert loading.resolve(str(folder)).sampling == expected["sampling"]
    (folder / "limner.json").write_text('{"sampling": {"steps": "many"}}')
    assert loading.resolve(str(folder)).sampling["steps"] == 30


def test_the_users_models_are_named():
    model = loading.resolve("realistic-vision")
    assert model.family_name == "sd" and model.vae == "stabilityai/sd-vae-ft-mse"
    assert loading.resolve("realistic-vision", "own/vae").vae == "own/vae"
    assert loading.resolve("flux-dev").alias.terms and loading.resolve("sdxl").vae == "madebyollin/sdxl-vae-fp16-fix"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("realistic-vision", 'StableDiffusionPipeline.from_single_file("https://huggingface.co/SG161222/Realistic'),
        (
            "sdxl",
            'DiffusionPipeline.from_pretrained("stabilityai/stable-diffusion-xl-base-1.0", vae=AutoencoderKL.from_',
        ),
        ("flux-dev", 'DiffusionPipeline.from_pretrained("black-forest-labs/FLUX.1-dev")'),
        ("starter", 'DiffusionPipeline.from_pretrained(files("limner.starter") / "weights")'),
    ],
)
def test_a_model_card_has_the_code_that_loads_its_base(name, expected):
    imports, loaded = how_loaded(loading.resolve(name))
    known = {}
    exec(imports, known)
    compile(loaded, "card", "eval")
    assert loaded.startswith(expected) and loaded.split(".")[0] in known


# Quantised weights


def test_four_bits_need_a_gpu(limner, tiny_sd, painted):
    line = "quantisation 'nf4' needs a CUDA GPU, and the device is cpu; use int8, or leave it out (--quantise none)"
    for command in (["generate", "a cat"], ["train", painted, "--class", "dog"]):
        assert limner(*command, "--model", tiny_sd, "--device", "cpu", "--quantise", "nf4").error == line


def test_a_single_file_is_not_rounded(limner, file, tiny_sd):
    pytest.importorskip("torchao")
    result = limner("generate", "a cat", "--model", file, "--vae", tiny_sd / "vae", "--quantise", "int8")
    assert "a single file cannot be quantised to int8 while it loads" in result.error


def test_a_rounding_that_is_not_installed(limner, tiny_sd, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = limner("generate", "a cat", "--model", tiny_sd, "--quantise", "int8")
    assert "quantisation 'int8' needs torchao, which is missing; pip install torchao" in result.error


def test_generation_and_training_with_eight_bit_weights(tiny_folder, home, painted, tmp_path):
    pytest.importorskip("torchao")
    model = str(tiny_folder("flux"))
    request = TrainRequest(
        data=str(painted),
        class_word="dog",
        model=model,
        steps=2,
        batch=1,
        prior=False,
        resolution=64,
        quantise="int8",
        learning_rate=0.1,
        options={"rank": 4},
    )
    run = Studio().run(request, tmp_path / "rex")
    common = {"prompt": "a photo of sks dog", "model": model, "steps": 2, "width": 64, "height": 64, "quantise": "int8"}
    use = AdapterUse(path=str(run.out))
    outs = [
        Studio().run(GenerateRequest(**common, **more), tmp_path / name).out
        for name, more in (("plain", {}), ("trained", {"adapter": (use,)}), ("again", {}))
    ]
    plain, trained, again = (np.asarray(Image.open(f"{out}/0001.png")).astype(int) for out in outs)
    assert np.array_equal(plain, again) and np.abs(plain - trained).max() > 2
    whole = Studio().run(GenerateRequest(**common | {"quantise": None}), tmp_path / "whole").out
    assert np.abs(np.asarray(Image.open(f"{whole}/0001.png")).astype(int) - plain).mean() < 10
    with pytest.raises(LimnerError, match=r"quantised weights .int8. cannot be trained"):
        Studio().run(request.model_copy(update={"method": "full", "options": {}}), tmp_path / "full")


def test_models_used_last_stay_in_memory(tiny_sd, tiny_sdxl, home, monkeypatch):
    first, second = (loading.resolve(str(folder)) for folder in (tiny_sd, tiny_sdxl))
    parts = loading.load(first, torch.float32, CPU)
    loading.load(second, torch.float32, CPU)
    assert loading.load(first, torch.float32, CPU) is parts
    monkeypatch.setenv("LIMNER_MODEL_GB", "0")
    loading.load(second, torch.float32, CPU)
    assert loading.load(first, torch.bfloat16, CPU) is not parts and len(MODELS.models()) == 1
    monkeypatch.setenv("LIMNER_MODEL_GB", "much")
    with pytest.raises(LimnerError, match="LIMNER_MODEL_GB is 'much'"):
        loading.load(second, torch.float32, CPU)
    loading.unload_all()
    assert MODELS.models() == []


def test_an_autoencoder_replaces_that_of_a_folder_a_file_or_an_alias(tiny_sd, file):
    for reference in (str(tiny_sd), str(file), "sd15"):
        assert loading.resolve(reference, "own/vae").vae == "own/vae"
    assert loading.resolve(str(tiny_sd)).vae is None
    assert loading.resolve("realistic-vision").vae == loading.registry.aliases()["realistic-vision"][1].vae is not None


def test_models_in_memory_differ_by_all_that_they_were_loaded_with(tiny_sd, monkeypatch):
    keys = []
    monkeypatch.setattr(MODELS, "components", lambda key, load, budget: keys.append(key))
    model = loading.resolve(str(tiny_sd))
    usual = (model, torch.float32, CPU, None)
    others = (
        (replace(model, location="elsewhere"), *usual[1:]),
        (replace(model, vae="mine"), *usual[1:]),
        (model, torch.float16, CPU, None),
        (model, torch.float32, torch.device("cuda:1"), None),
        (model, torch.float32, CPU, "int8"),
    )
    for each in (usual, *others, usual):
        loading.load(*each)
    assert len(set(keys)) == 6 and keys[0] == keys[-1]


def test_a_repository_without_weights_in_the_cache_needs_a_download(tmp_path, monkeypatch):
    places = {"who/none": None, "who/started": tmp_path / "started", "who/all": tmp_path / "all"}
    for name in ("started", "all"):
        (tmp_path / name / "unet").mkdir(parents=True)
    (tmp_path / "all/unet/model.safetensors").touch()
    monkeypatch.setattr(loading.hub, "on_disk", places.get)
    assert [loading.needs_download(name) for name in (*places, "sd15", str(tmp_path), "nothing")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
