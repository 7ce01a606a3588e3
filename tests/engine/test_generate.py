"""Generating: labels, seeds, samplers, sizes, file numbers, and repeating an image."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from limner import AdapterUse, GenerateRequest, LimnerError, Studio, TrainRequest
from limner.core.events import ArtifactCreated, Notice, Progress
from limner.core.execution import Execution, split_body
from limner.core.requests import ControlUse, reference_fields
from limner.engine.generate import reproduce
from limner.engine.generate.schedulers import SCHEDULERS
from limner.models import loading
from limner.models.adapters import Adapter, check_base
from limner.models.options import LORA_FILE
from limner.provenance.labels import read_label, write_png
from limner.store.files import sha256_of

PLAINLY = {"guidance": 7.5, "guidance_rescale": 0.0}


@pytest.fixture
def request_of(tiny_sd, home):
    def make(**fields):
        return GenerateRequest(**{"prompt": "a photo of a dog", "model": str(tiny_sd), "steps": 2, **PLAINLY, **fields})

    return make


@pytest.fixture
def paint(request_of, tmp_path):
    """Generate, and return the images' paths and the events."""

    def run(out="pictures", **fields):
        events = []
        Studio().run(request_of(**fields), tmp_path / out, listener=events.append)
        return [tmp_path / out / event.path for event in events if isinstance(event, ArtifactCreated)], events

    return run


@pytest.fixture
def adapter(tiny_sd, painted, home, tmp_path):
    request = TrainRequest(
        data=str(painted),
        class_word="dog",
        model=str(tiny_sd),
        steps=3,
        batch=1,
        prior=False,
        learning_rate=1e-1,
        options={"rank": 4},
        warmup=0,
    )
    Studio().run(request, tmp_path / "rex")
    return tmp_path / "rex"


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_an_image_has_its_request_in_its_label(paint, request_of, tiny_sd):
    (path,), events = paint(negative_prompt="blurry", seed=7)
    label = read_label(path)
    settings = {"width": 64, "height": 64}  # complete, so that a label does not depend on defaults
    assert split_body(label.request) == (request_of(negative_prompt="blurry", seed=7, **settings), Execution())
    assert (label.seed, label.index) == (7, 0)
    assert label.model["reference"] == str(tiny_sd) and len(label.model["sha256"]) == 64
    with Image.open(path) as image:
        image.load()
        text = dict(image.info)
    assert text["parameters"].startswith("a photo of a dog\nNegative prompt: blurry\nSteps: 2")
    assert "trainedAlgorithmicMedia" in text["XML:com.adobe.xmp"]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == 2


def test_repeating_generates_the_same_pixels(paint, tmp_path):
    paths, _ = paint(count=3, seed=5, batch=2, scheduler="euler-a", width=32, height=64)
    studio = Studio()
    run = studio.reproduce(paths[1], tmp_path / "again")
    assert run.request.seed == 5 and run.parent == studio.runs.list()[-1].id
    for path in paths:
        assert np.array_equal(pixels(path), pixels(tmp_path / "again" / path.name))
        assert read_label(tmp_path / "again" / path.name) == read_label(path)


def test_each_image_has_its_own_seed(paint):
    paths, _ = paint(count=3, seed=5)
    assert [read_label(path).seed for path in paths] == [5, 6, 7]
    alone, _ = paint(out="alone", seed=6)
    assert np.abs(pixels(paths[1]).astype(int) - pixels(alone[0])).max() <= 1
    assert not np.array_equal(pixels(paths[0]), pixels(paths[1]))


def test_the_batch_size_does_not_change_images(paint):
    one, _ = paint(out="one", count=3, batch=1)
    two, _ = paint(out="two", count=3, batch=2)
    for a, b in zip(one, two, strict=True):
        assert np.abs(pixels(a).astype(int) - pixels(b)).max() <= 1


STOCK = {
    "ddim": diffusers.DDIMScheduler,
    "ddpm": diffusers.DDPMScheduler,
    "dpm++2m": diffusers.DPMSolverMultistepScheduler,
    "dpm++2m-karras": partial(diffusers.DPMSolverMultistepScheduler, use_karras_sigmas=True),
    "dpm++2m-sde": partial(diffusers.DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++"),
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-a": diffusers.EulerAncestralDiscreteScheduler,
    "heun": diffusers.HeunDiscreteScheduler,
    "pndm": partial(diffusers.PNDMScheduler, skip_prk_steps=True),
    "unipc": diffusers.UniPCMultistepScheduler,
}


@pytest.fixture(scope="module")
def stock_pipeline(tiny_sd):
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("name", SCHEDULERS)
def test_images_of_every_scheduler_are_those_of_the_stock_pipeline(paint, stock_pipeline, name):
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    more = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}
    known = inspect.signature(getattr(STOCK[name], "func", STOCK[name])).parameters
    stock_pipeline.scheduler = STOCK[name](**noise, **{key: value for key, value in more.items() if key in known})
    theirs = stock_pipeline(
        "a photo of a dog",
        num_inference_steps=4,
        guidance_scale=PLAINLY["guidance"],
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    (path,), events = paint(scheduler=name, steps=4)
    assert np.abs(pixels(path).astype(int) - (theirs * 255).round().astype(int)).max() <= 1
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done) and (done[-1], max(done[:-2])) == (4, 3), "it ends at its total and not before"


def test_the_images_of_stock_pipelines_differ(paint):
    seen = {pixels(paint(out=name, scheduler=name, steps=4)[0][0]).tobytes() for name in ("ddim", "euler-a", "heun")}
    assert len(seen) == 3


@pytest.mark.parametrize("name", ["ddpm", "euler-a", "dpm++2m-sde"])
def test_noise_that_a_scheduler_adds_is_decided_by_the_seed(paint, name):
    first, again, other = (
        pixels(paint(out=f"{out}", scheduler=name, steps=4, seed=seed)[0][0])
        for out, seed in (("first", 42), ("again", 42), ("other", 43))
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_steps_that_a_scheduler_cannot_take_are_refused_before_the_model_is_loaded(paint, monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "load", lambda *given: pytest.fail("the model was loaded"))
    with pytest.raises(LimnerError, match=r"scheduler 'ddim' does not support 1000 steps .*; use 999 --steps"):
        paint(scheduler="ddim", steps=1000)
    with pytest.raises(LimnerError, match=r"the model's own scheduler \(DDIMScheduler\) does not support 1000 steps"):
        paint(steps=1000, refiner="starter")
    assert not (tmp_path / "pictures").exists()


def test_a_scheduler_is_for_one_request(paint):
    before, _ = paint(out="before")
    paint(out="between", scheduler="euler")
    after, _ = paint(out="after")
    assert np.array_equal(pixels(before[0]), pixels(after[0]))


def test_unknown_scheduler_gives_the_nearest(paint):
    with pytest.raises(LimnerError, match="unknown scheduler 'eular'; did you mean 'euler'"):
        paint(scheduler="eular")


@pytest.mark.parametrize(("side", "wrong", "right"), [("width", 60, 64), ("height", 100, 96)])
def test_a_side_must_fit(paint, tmp_path, side, wrong, right):
    with pytest.raises(LimnerError, match=f"{side} {wrong} is not a multiple of 8; use"):
        paint(**{side: wrong})
    assert not (tmp_path / "pictures").exists()
    (path,), _ = paint(**{side: right})
    assert pixels(path).shape[side == "width"] == right


def test_numbers_go_on(paint, tmp_path):
    (tmp_path / "pictures").mkdir()
    mine = tmp_path / "pictures" / "0007.png"
    mine.write_bytes(b"mine")
    (tmp_path / "pictures" / "notes.png").write_bytes(b"mine too")
    paths, _ = paint(count=2)
    assert [path.name for path in paths] == ["0008.png", "0009.png"]
    assert mine.read_bytes() == b"mine"
    more, _ = paint()
    assert [path.name for path in more] == ["0010.png"]


def test_guidance_0_is_not_the_default(paint):
    (path,), _ = paint(guidance=0.0)
    assert read_label(path).request.guidance == 0.0


def test_a_long_prompt_is_reported(paint, tiny_folder):
    """Where it is not read in parts."""
    _, events = paint(prompt="a dog on the beach " * 30, model=str(tiny_folder("flux")), width=64, height=64)
    assert any("the rest is left out" in event.text for event in events if isinstance(event, Notice))


def test_guidance_and_prompt_matter(paint):
    base, _ = paint(out="base", steps=4)
    for index, fields in enumerate(({"guidance": 1.0}, {"prompt": "a red car"}, {"negative_prompt": "a dog"})):
        other, _ = paint(out=f"other-{index}", steps=4, **fields)
        assert not np.array_equal(pixels(base[0]), pixels(other[0])), fields


def test_an_adapter_is_found_by_its_hash(paint, adapter, tmp_path):
    (path,), _ = paint(adapter=(AdapterUse(path=str(adapter), weight=0.8),))
    base, _ = paint(out="base")
    assert not np.array_equal(pixels(path), pixels(base[0]))
    mark = read_label(path).adapters[0]
    assert (mark["name"], mark["weight"]) == ("rex", 0.8)
    Studio().reproduce(path, tmp_path / "again")
    assert np.array_equal(pixels(path), pixels(tmp_path / "again" / "0001.png"))


def test_an_adapter_elsewhere_is_found_by_its_hash(paint, adapter, painted, tiny_sd, tmp_path):
    (path,), _ = paint(adapter=(AdapterUse(path=str(adapter)),))
    moved = tmp_path / "moved"
    adapter.rename(moved)
    studio = Studio()
    run = studio.runs.list()[0]
    studio.store.add_artifact(run.id, "adapter", moved, read_label(path).adapters[0]["sha256"])
    again = studio.reproduce(path, tmp_path / "again")
    assert again.request.adapter[0].path == str(moved)
    assert np.array_equal(pixels(path), pixels(tmp_path / "again" / "0001.png"))


def test_a_label_alone_starts_no_download(paint, tmp_path):
    """An image may come from a stranger."""
    (path,), _ = paint()
    label = read_label(path)
    control = {"control": (ControlUse(kind="given", path=str(path)),), "control_model": ("who/what",)}
    for change in (*({name: "who/what"} for name in ("model", "vae", "refiner")), control):
        stranger = label.request.model_copy(update=change)
        write_png(Image.open(path), tmp_path / "stranger.png", label.model_copy(update={"request": stranger}))
        with pytest.raises(LimnerError, match=r"generated with 'who/what', which is not on disk; if you trust"):
            Studio().reproduce(tmp_path / "stranger.png", tmp_path / "again", read_files=True)


def strange(path, to, inputs=None, **change):
    """Write an image that is not known here, with another request in its label."""
    label = read_label(path)
    request = label.request.model_copy(update=change)
    marks = tuple(
        {"name": "x", "path": use.path, "sha256": sha256_of(Path(use.path)), "weight": 1.0} for use in request.adapter
    )
    changed = {"request": request, "adapters": marks, "inputs": label.inputs if inputs is None else inputs}
    with Image.open(path) as image:
        write_png(image, to, label.model_copy(update=changed))
    return to


def test_a_stranger_s_image_reads_no_file_that_its_label_names(paint, tiny_sd, tmp_path, monkeypatch):
    (path,), _ = paint()
    mine = tmp_path / "mine.png"
    Image.new("RGB", (64, 64)).save(mine)
    named = str(mine)
    changes = [
        {"image": named},
        {"image": named, "mask": named},
        {"control": (ControlUse(kind="given", path=named),)},
        {"control": (ControlUse(kind="given", path="gone"),), "control_model": (named,)},
        {"adapter": (AdapterUse(path=named),)},
        *({name: named} for name in ("model", "vae", "refiner")),
        {"inputs": {named: "0" * 64}},
    ]
    covered = {name for change in changes for name in change} - {"inputs"}
    assert covered == {n for n in reference_fields(GenerateRequest) if n in GenerateRequest.model_fields}
    opened = []
    monkeypatch.setattr(reproduce, "sha256_of", lambda file: opened.append(file))
    monkeypatch.setattr(loading, "load", lambda *given: pytest.fail("the model was loaded"))
    for change in changes:
        stranger = strange(path, tmp_path / "stranger.png", **{"model": "starter", **change})
        with pytest.raises(LimnerError, match="not generated here, and its label names files") as caught:
            Studio().reproduce(stranger, tmp_path / "again")
        assert caught.value.problem.endswith(f"files of this machine: {named!r}"), change
        assert caught.value.remedy == "if it may read all of them, add --read-files"
    assert not opened and not (tmp_path / "again").exists() and len(Studio().runs.list()) == 1


def test_every_file_that_a_stranger_s_image_names_is_listed(paint, adapter, tiny_sd, tmp_path):
    (path,), _ = paint(adapter=(AdapterUse(path=str(adapter)),))
    moved = tmp_path / "moved"
    adapter.rename(moved)
    studio = Studio()
    label = read_label(path)
    studio.store.add_artifact(studio.runs.list()[0].id, "adapter", moved, label.adapters[0]["sha256"])
    Image.new("RGB", (64, 64)).save(tmp_path / "mine.png")
    inputs = {str(tmp_path / "mine.png"): "0" * 64, str(tmp_path / ("x" * 3000)): "0" * 64}
    with Image.open(path) as image:
        write_png(image, tmp_path / "stranger.png", label.model_copy(update={"inputs": inputs}))
    with pytest.raises(LimnerError) as caught:
        studio.reproduce(tmp_path / "stranger.png", tmp_path / "again")
    listed = caught.value.problem.partition("machine: ")[2].split(", ")
    assert listed == [repr(str(name)) for name in (tiny_sd, tmp_path / "mine.png", moved)]


def test_a_stranger_s_image_is_reproduced_where_its_files_may_be_read(paint, tiny_sd, tmp_path, limner):
    mine = tmp_path / "mine.png"
    Image.effect_noise((64, 64), 60).convert("RGB").save(mine)
    (path,), _ = paint(image=str(mine), strength=0.9)
    stranger = strange(path, tmp_path / "stranger.png")
    refused = limner("run", stranger, "--out", tmp_path / "again")
    assert refused.code == 2 and str(mine) in refused.error
    done = limner("run", stranger, "--read-files", "--out", tmp_path / "again")
    assert done.code == 0, done.err
    assert np.array_equal(pixels(path), pixels(tmp_path / "again" / "0001.png"))


def test_a_stranger_s_image_without_files_is_reproduced(starter, home, tmp_path):
    studio = Studio()
    studio.run(GenerateRequest(prompt="a cat", steps=2), tmp_path / "out")
    path = tmp_path / "out" / "0001.png"
    studio.reproduce(strange(path, tmp_path / "stranger.png"), tmp_path / "again")
    assert np.array_equal(pixels(path), pixels(tmp_path / "again" / "0001.png"))


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_missing_or_changed_adapter_is_reported(paint, adapter, tmp_path, change):
    (path,), _ = paint(adapter=(AdapterUse(path=str(adapter)),))
    weights = adapter / LORA_FILE
    if change == "gone":
        weights.unlink()
    else:
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(bytes(data))
    with pytest.raises(LimnerError, match="gone or was changed since the image was generated"):
        Studio().reproduce(path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_other_weights_of_the_same_architecture_are_a_warning(paint, adapter, tiny_sd, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(tiny_sd, other)
    weights = next((other / "unet").glob("*.safetensors"))
    save_file(
        {name: tensor + torch.tensor(1e-3) for name, tensor in load_file(weights).items()}, weights, {"format": "pt"}
    )
    _, events = paint(model=str(other), adapter=(AdapterUse(path=str(adapter)),))
    assert any("may not suit" in event.text for event in events if isinstance(event, Notice))


@pytest.mark.parametrize(
    ("reference", "refused"), [("starter", True), ("./earlier", False)], ids=["the starter", "a folder of mine"]
)
def test_an_adapter_for_an_earlier_version_of_the_starter_is_refused(tmp_path, reference, refused):
    base = {"reference": reference, "architecture": "stable-diffusion-v1", "fingerprint": "0" * 64}
    adapter = Adapter(tmp_path / "rex" / "adapter.safetensors", "1" * 64, {}, {"base": base}, "lora")
    model, heard = loading.resolve("starter"), []
    if refused:
        with pytest.raises(LimnerError, match=r"trained on an earlier version of 'starter', .*; train it again"):
            check_base(adapter, model, "stable-diffusion-v1", heard.append)
    else:
        check_base(adapter, model, "stable-diffusion-v1", heard.append)
        assert "may not suit 'starter'" in heard[0].text
    check_base(
        replace(adapter, facts={"base": base | {"fingerprint": sorted(model.fingerprints())[0]}}),
        model,
        "stable-diffusion-v1",
        pytest.fail,
    )


def test_defaults_of_the_model_are_in_the_label(paint, starter):
    sampling = loading.resolve("starter").sampling
    (path,), _ = paint(model="starter", **dict.fromkeys(sampling))
    request = read_label(path).request
    assert {name: getattr(request, name) for name in sampling} == sampling
