"""A training run: its results, its checkpoints, and that it repeats to the bit."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from limner import GenerateRequest, LimnerError, Studio
from limner.core.events import ArtifactCreated, Notice, Progress, Stage
from limner.data.sets.folder import ImageFile, Scan
from limner.engine.train import encoding, prior
from limner.engine.train.examples import Examples
from limner.engine.train.plan import make_plan
from limner.models import loading
from limner.models.options import LORA_FILE
from limner.plugins.families.sd import plugin as SD
from limner.store.files import sha256_of


def tensors(folder):
    return {name: value.numpy().tobytes() for name, value in load_file(folder / LORA_FILE).items()}


def metrics(folder):
    """The figures of every line, without speed, which is never the same."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


def header(folder):
    with safe_open(folder / LORA_FILE, framework="pt") as file:
        return file.metadata()


def test_leaves_an_adapter_folder(learn, painted, tiny_sd):
    folder, events = learn(identifier="zwx")
    assert {path.name for path in folder.iterdir()} >= {LORA_FILE, "README.md", "metrics.jsonl"}
    assert not list(folder.glob("checkpoint*"))
    facts = json.loads(header(folder)["limner"])
    assert facts["trigger_words"] == ["zwx"]
    assert facts["request"]["class_word"] == "dog" and facts["request"]["data"] == str(painted)
    assert facts["dataset"]["pictures"] == 6 and len(facts["dataset"]["sha256"]) == 64
    assert facts["base"]["reference"] == str(tiny_sd) and len(facts["base"]["fingerprint"]) == 64
    assert facts["licence"] and facts["method"] == "lora" and facts["version"]
    made = [event for event in events if isinstance(event, ArtifactCreated) and event.what == "adapter"]
    assert [(event.path, event.sha256) for event in made] == [(str(folder), sha256_of(folder / LORA_FILE))]
    loss = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
    assert made[0].details == {
        "trigger_words": ["zwx"], "say": "a photo of zwx dog", "loss": loss, "base": str(tiny_sd), "vae": None,
    }  # fmt: skip


def test_an_autoencoder_in_place_of_the_models_is_loaded_and_reported(learn, tiny_sd, monkeypatch):
    loaded, load = [], loading.load
    monkeypatch.setattr(loading, "load", lambda model, *given: loaded.append(model.vae) or load(model, *given))
    vae = str(tiny_sd / "vae")
    _, events = learn(vae=vae, prior=False, steps=1)
    (made,) = (event for event in events if isinstance(event, ArtifactCreated) and event.what == "adapter")
    assert loaded == [vae] and made.details["vae"] == vae


def test_header_has_the_keys_that_other_programs_read(learn):
    keys = header(learn()[0])
    assert keys["modelspec.architecture"] == "stable-diffusion-v1/lora" and keys["modelspec.sai_model_spec"] == "1.0.1"
    assert keys["modelspec.trigger_phrase"] == "a photo of sks dog" and keys["modelspec.license"]
    assert keys["ss_base_model_version"] == "sd_v1" and keys["ss_steps"] == "4"
    assert json.loads(keys["lora_adapter_metadata"])["unet.r"] == 4


def test_model_card_is_hub_markdown(learn):
    card = (learn()[0] / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    assert (
        "library_name: diffusers" in front and "license:" in front and 'instance_prompt: "a photo of sks dog"' in front
    )
    assert body.lstrip().startswith("# rex")
    python = body.split("```python\n")[1].split("```")[0]
    compile(python, "card", "exec")
    assert "`sks`" in body and "Final loss" in body and "nan" not in body


def test_logs_loss_and_speed(learn):
    folder, events = learn(steps=12, checkpoint_every=50)
    lines = metrics(folder)
    assert [line["step"] for line in lines] == [1, 10, 12]
    assert all(np.isfinite(line["loss"]) and line["gradient_norm"] > 0 for line in lines)
    assert all(0 <= line["learning_rate"] <= 1e-2 for line in lines)
    figures = [event.figures for event in events if isinstance(event, Progress) and event.figures]
    assert all(values["images_per_second"] > 0 for values in figures)
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done[-12:] == list(range(1, 13))


def test_watches_a_held_out_picture(learn):
    lines = metrics(learn(held_out=1)[0])
    assert np.isfinite(lines[-1]["held_out_loss"])
    assert not any("held_out_loss" in line for line in metrics(learn(out="all", held_out=0)[0]))


@pytest.mark.parametrize(
    ("pictures", "asked", "kept"),
    [(7, None, ()), (8, None, (7,)), (30, None, (29,)), (8, 0, ()), (6, 2, (4, 5)), (5, 3, (4,))],
)
def test_pictures_are_held_out_where_there_are_enough(request_of, pictures, asked, kept):
    scan = Scan(tuple(ImageFile(Path(f"{i}.png"), "0" * 64, (64, 64)) for i in range(pictures)))
    assert make_plan(request_of(held_out=asked), scan, SD.facts, 64).held_out == kept


def test_few_pictures_are_all_trained_on(learn, painted, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(painted.iterdir())[:2]:
        (few / path.name).write_bytes(path.read_bytes())
    folder, events = learn(data=str(few), held_out=5)
    assert not any("held_out_loss" in line for line in metrics(folder))
    assert any("only 2 images" in event.text for event in events if isinstance(event, Notice))


def test_class_pictures_are_painted_once(learn, class_pictures, monkeypatch):
    class_pictures.unlink()
    painted_now, once = [], {"seed": 1, "steps": 1}
    real = prior.sample_images

    def counting(pipeline, conditioning, seeds, *given, **options):
        painted_now.extend(seeds)
        return real(pipeline, conditioning, seeds, *given, **options)

    monkeypatch.setattr(prior, "sample_images", counting)
    learn(out="one", class_pictures=3, **once)
    whole = list(range(1, 9))
    assert painted_now == whole, "a whole batch, so that its bits do not depend on the count"
    _, events = learn(out="two", class_pictures=3, **once)
    assert painted_now == whole
    assert "class images" not in [event.name for event in events if isinstance(event, Stage)]
    learn(out="three", class_pictures=10, **once)
    assert painted_now == [*whole, *range(9, 17)]
    learn(out="four", class_pictures=2, class_word="cat", **once)
    assert painted_now == [*whole, *range(9, 17), *whole]
    learn(out="five", prior=False, **once)
    assert len(painted_now) == 24


def test_the_defaults_of_a_model_reach_the_method(learn, monkeypatch):
    """An alias may overrule its family's rank and targets."""
    from limner.models.loading import Model

    family = Model.defaults.fget
    monkeypatch.setattr(Model, "defaults", property(lambda self: {**family(self), "rank": 2, "targets": "all"}))
    weights = load_file(learn(options={})[0] / LORA_FILE)
    down = [name for name in weights if name.endswith("conv1.lora_A.weight")]
    assert down and all(weights[name].shape[0] == 2 for name in down)


def test_class_pictures_train_nothing_at_first_when_compared_with_the_base_model(learn):
    def first_loss(target, weight):
        fields = {"steps": 1, "prior_target": target, "prior_weight": weight, "precision": "fp32"}
        return metrics(learn(out=f"{target}-{weight}", **fields)[0])[0]["loss"]

    assert first_loss("model", 1) == pytest.approx(first_loss("model", 50))
    assert first_loss("pictures", 50) > 2 * first_loss("pictures", 1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_prior_dropout_takes_captions_from_class_pictures_only(learn, monkeypatch, share):
    seen = set()
    real = Examples.captions_for

    def captions_for(self, indices, dropped=None):
        seen.add((self.captions, all(dropped or [False])))
        return real(self, indices, dropped)

    monkeypatch.setattr(Examples, "captions_for", captions_for)
    learn(prior_dropout=share, held_out=0)
    assert seen == {(("a photo of sks dog",), False), (("a photo of dog", ""), share == 1)}


def test_a_picture_is_trained_with_its_own_caption(learn, painted, monkeypatch, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(painted, own)
    first, second, *_, last = sorted(own.iterdir())
    first.with_suffix(".txt").write_text("a photo of sks dog lying down")
    second.with_suffix(".txt").write_text("a photo of a risksome dog")
    last.with_suffix(".txt").write_text("a drawing of sks dog")
    encoded = []
    real = encoding.encode
    monkeypatch.setattr(encoding, "encode", lambda *given, **more: encoded.append(real(*given, **more)) or encoded[-1])
    _, events = learn(data=str(own), prior=False, held_out=1)
    subject, watched = encoded
    assert subject.captions == ("a photo of sks dog lying down", "a photo of a risksome dog", "a photo of sks dog")
    assert subject.caption_of[:3] == (0, 1, 2) and watched.captions == ("a drawing of sks dog",)
    rows = subject.text_of(subject.captions_for([1, 0]))["prompt_embeds"]
    assert torch.equal(rows, subject.text["prompt_embeds"][[1, 0]]) and not torch.equal(rows[0], rows[1])
    warnings = [event.text for event in events if isinstance(event, Notice) and event.level == "warning"]
    assert warnings == [
        f"captions without the identifier 'sks': 1, such as of {second.name!r}; write 'sks dog' into them"
    ]


def test_class_pictures_show_what_the_captions_say(learn, painted, class_pictures, monkeypatch, tmp_path):
    class_pictures.unlink()
    own = tmp_path / "own"
    shutil.copytree(painted, own)
    first, second, third, *_ = sorted(own.iterdir())
    first.with_suffix(".txt").write_text("a photo of sks dog  lying down")
    second.with_suffix(".txt").write_text("a photo of a risksome dog")
    third.with_suffix(".txt").write_text("Sks on the beach")
    asked = []
    real = prior.conditioning

    def looking(family, components, prompts):
        asked.extend(prompts)
        return real(family, components, prompts)

    monkeypatch.setattr(prior, "conditioning", looking)
    encoded = []
    encode = encoding.encode
    monkeypatch.setattr(
        encoding, "encode", lambda *given, **more: encoded.append(encode(*given, **more)) or encoded[-1]
    )
    learn(data=str(own), class_pictures=3)
    assert asked == ["a photo of dog", "a photo of dog lying down"] * 4, "the third does not name the class"
    assert encoded[0].captions == ("a photo of dog", "a photo of dog lying down", "") and encoded[0].caption_of == (
        0,
        1,
        0,
    )


def test_a_caption_that_is_too_long_for_the_model_is_reported(learn, painted, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(painted, own)
    first = min(own.iterdir())
    first.with_suffix(".txt").write_text("a photo of sks dog on a " + "very " * 200 + "red sofa")
    _, events = learn(data=str(own), prior=False)
    assert any(
        f"caption of {first.name!r} has" in event.text and "the rest is left out" in event.text
        for event in events
        if isinstance(event, Notice)
    )


def test_a_dropped_caption_is_the_empty_one():
    text = {"prompt_embeds": torch.arange(3.0)[:, None]}
    examples = Examples(torch.zeros(2, 1, 1, 1, 1), ("a", "b", ""), text, (1, 0), torch.zeros(2, 6))
    assert examples.captions_for([0, 1, 0]) == [1, 0, 1]
    assert examples.captions_for([0, 1, 0], [True, False, False]) == [2, 0, 1]
    assert examples.text_of([2, 0])["prompt_embeds"].flatten().tolist() == [2, 0]


def test_flip_gives_two_views(learn, monkeypatch):
    shapes = {}
    real = encoding.encode

    def looking(family, components, pictures, captions, flip, *more, **named):
        examples = real(family, components, pictures, captions, flip, *more, **named)
        shapes.setdefault(flip, []).append(tuple(examples.latents.shape[:2]))
        return examples

    monkeypatch.setattr(encoding, "encode", looking)
    learn(out="flipped", flip=True, held_out=1)
    assert (5, 2) in shapes[True] and (1, 1) in shapes[False]
    shapes.clear()
    learn(out="straight", held_out=1)
    assert set(shapes) == {False} and (5, 1) in shapes[False]


def test_previews_are_painted(learn):
    folder, _ = learn(preview_every=2, preview_prompt=("a photo of sks dog", "a cat"))
    names = sorted(path.name for path in folder.glob("preview-*.png"))
    assert names == ["preview-00000002.png", "preview-00000004.png"]
    assert (folder / names[0]).read_bytes() != (folder / names[1]).read_bytes()


def test_previews_change_no_weights(learn):
    assert tensors(learn(out="with", preview_every=1)[0]) == tensors(learn(out="without")[0])


def test_epochs_are_passes_over_the_pictures(learn):
    folder, _ = learn(steps=None, epochs=3, batch=2)
    assert metrics(folder)[-1]["step"] == 3 * 3


def test_every_picture_is_seen_in_every_pass():
    from limner.engine.train.batches import order

    seen = [index for step in range(5) for index in order(5, 3, step, 42)]
    for start in (0, 5, 10):
        assert sorted(seen[start : start + 5]) == [0, 1, 2, 3, 4]
    assert seen[:5] != seen[5:10]


def test_equal_requests_learn_equal_bits(learn):
    one, two, other = (learn(out=out, seed=seed)[0] for out, seed in (("one", 1), ("two", 1), ("three", 2)))
    assert tensors(one) == tensors(two) and metrics(one) == metrics(two)
    assert tensors(one) != tensors(other)


def test_training_leaves_generation_alone(learn, request_of, tiny_sd, tmp_path):
    """The model in memory is stripped for training: what comes after it must load anew."""
    from limner import GenerateRequest

    paint = GenerateRequest(prompt="a dog", model=str(tiny_sd), steps=2)
    studio = Studio()
    studio.run(paint, tmp_path / "before")
    learn(studio=studio)
    studio.run(paint, tmp_path / "after")
    first, second = (Image.open(tmp_path / name / "0001.png").tobytes() for name in ("before", "after"))
    assert first == second


def test_learning_lowers_the_loss(learn):
    """On one picture without its mirror image, and with the same noise before and after."""
    fields = {"learning_rate": 2e-2, "prior": False, "min_snr_gamma": None, "held_out": 1}
    lines = metrics(learn(steps=30, checkpoint_every=10, **fields)[0])
    watched = [line["held_out_loss"] for line in lines if "held_out_loss" in line]
    assert watched[-1] < watched[0]


@pytest.fixture
def scaling(monkeypatch):
    """Scale the loss from this scale on, as fp16 training on a GPU does; here on a CPU in fp32."""
    import torch

    scaler = torch.amp.GradScaler

    def start(scale):
        def made(device, enabled):
            return scaler(device, init_scale=scale, enabled=True)

        monkeypatch.setattr(torch.amp, "GradScaler", made)

    return start


def test_a_scaled_loss_learns_the_same(learn, scaling):
    plain = load_file(learn(out="plain", precision="fp32")[0] / LORA_FILE)
    scaling(2.0**10)
    scaled = load_file(learn(out="scaled", precision="fp32")[0] / LORA_FILE)
    assert all(np.allclose(plain[name], scaled[name], atol=1e-5) for name in plain)


def test_steps_whose_scaled_gradients_overflow_are_skipped(learn, scaling):
    scaling(2.0**127)
    folder, _ = learn(steps=12, precision="fp32", checkpoint_every=50, prior_weight=100)
    lines = metrics(folder)
    assert "gradient_norm" not in lines[0] and lines[-1]["step"] == 12
    assert "Infinity" not in (folder / "metrics.jsonl").read_text()


def test_a_preview_that_fails_does_not_end_the_run(learn, monkeypatch):
    from limner.engine.train.callbacks import Previews

    def fail(self, step):
        raise LimnerError("the model painted NaN (a black picture)")

    monkeypatch.setattr(Previews, "write", fail)
    folder, events = learn(preview_every=2)
    assert (folder / LORA_FILE).is_file()
    assert [event.text[:20] for event in events if isinstance(event, Notice) and event.level == "warning"] == [
        "no preview of step 2",
        "no preview of step 4",
    ]


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="tensorboard is not installed")
def test_tracks_with_tensorboard(learn, home):
    folder, _ = learn(track=("tensorboard",))
    assert list(home.rglob("events.out.tfevents.*")), "no TensorBoard file in the run's folder"
    assert metrics(folder)[-1]["step"] == 4


def test_a_tracker_that_is_not_installed_is_reported_at_once(learn, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LimnerError, match="tracker 'wandb' is not installed; pip install wandb"):
        learn(track=("wandb",))


def test_a_tracker_that_does_not_start_is_reported(learn, monkeypatch):
    from accelerate import tracking

    class LoggedOut:
        def __init__(self, *arguments, **options):
            raise ValueError("no API key")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", LoggedOut)
    with pytest.raises(LimnerError, match="'wandb' does not start: no API key; set it up"):
        learn(track=("wandb",))


def test_a_prompt_without_the_identifier_is_reported(learn):
    _, events = learn(prompt="a drawing of a {class}")
    assert any("does not contain {identifier}" in event.text for event in events if isinstance(event, Notice))


def test_a_diverging_run_is_stopped(learn, home, tmp_path):
    with pytest.raises(LimnerError, match="training diverged"):
        learn(
            learning_rate=10, steps=200, warmup=0, prior=False, min_snr_gamma=None, options={"alpha": 4000, "rank": 1}
        )
    assert not (tmp_path / "rex").exists()


def test_of_two_trainings_for_one_place_the_second_is_refused_at_once(learn, tmp_path, monkeypatch):
    from limner.store.locks import output_lock

    monkeypatch.setattr(loading, "load", lambda *_: pytest.fail("the model was loaded"))
    with (
        output_lock(tmp_path / "rex"),
        pytest.raises(LimnerError, match=r"rex' is being filled by another program; wait"),
    ):
        learn()
    assert not (tmp_path / "rex").exists()


def test_a_result_that_came_to_be_meanwhile_is_not_replaced(learn, tmp_path, monkeypatch):
    """As of a program on another machine, which no lock keeps away."""
    from limner.engine.train import train as training

    def appear(*_, **__):
        (tmp_path / "rex").mkdir()
        (tmp_path / "rex" / "adapter").write_text("the first one's")
        return "card"

    monkeypatch.setattr(training, "model_card", appear)
    with pytest.raises(LimnerError, match=r"rex' exists already"):
        learn(steps=1, prior=False)
    assert [path.name for path in (tmp_path / "rex").iterdir()] == ["adapter"]


def test_an_old_result_is_not_overwritten(learn, tmp_path):
    (tmp_path / "rex").mkdir()
    (tmp_path / "rex" / "notes.txt").write_text("mine")
    with pytest.raises(LimnerError, match=r"rex.* exists already"):
        learn()
    assert [path.name for path in (tmp_path / "rex").iterdir()] == ["notes.txt"]


def test_resolution_must_fit(learn):
    with pytest.raises(LimnerError, match=r"resolution 60 is not a multiple of 8; use 64"):
        learn(resolution=60)


def test_another_resolution_trains(learn):
    assert header(learn(resolution=32)[0])["modelspec.resolution"] == "32x32"


def test_only_a_run_of_the_same_request_is_resumed(request_of, tmp_path):
    stopped = {"at": 0}

    def stop():
        stopped["at"] += 1
        return stopped["at"] > 6

    from limner import Interrupted

    studio = Studio()
    with pytest.raises(Interrupted):
        studio.run(request_of(steps=8, prior=False), tmp_path / "rex", stop=stop)
    with pytest.raises(LimnerError, match="no interrupted run of this request"):
        studio.run(request_of(steps=9, prior=False), tmp_path / "rex", resume=True)
    run = studio.run(request_of(steps=8, prior=False), resume=True)
    assert Path(run.out) == tmp_path / "rex" and (tmp_path / "rex" / LORA_FILE).is_file()
    whole = studio.run(request_of(steps=8, prior=False), tmp_path / "whole")
    assert tensors(tmp_path / "rex") == tensors(Path(whole.out))


@pytest.mark.parametrize("sound", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_is_passed_over(request_of, home, tmp_path, sound):
    """The result is that of a run that was never stopped, from an older checkpoint or from the beginning."""
    from limner import Interrupted
    from limner.core.events import Notice

    asked, events, studio, request = iter(range(99)), [], Studio(), request_of(steps=8, prior=False, checkpoint_every=2)
    with pytest.raises(Interrupted):
        studio.run(request, tmp_path / "rex", stop=lambda: next(asked) >= 5)
    saved = sorted(home.glob("runs/*/checkpoint-*"))
    assert [path.name[-1] for path in saved] == ["4", "6"]
    for path in saved[sound:]:
        (path / "optimiser.safetensors").write_bytes(b"")
    studio.run(request, resume=True, listener=events.append)
    lines = [event.text for event in events if isinstance(event, Notice)]
    assert sum("is damaged" in line and "was set aside" in line for line in lines) == 2 - sound
    assert ("resuming from step 4" if sound else "starting again from step 0") in lines
    studio.run(request, tmp_path / "whole")
    assert tensors(tmp_path / "rex") == tensors(tmp_path / "whole")


def test_a_run_killed_after_its_last_step_is_finished_by_resume(request_of, tmp_path):
    """The adapter is in place but the history does not know it yet."""
    from limner.core.runs import Status

    studio, out = Studio(), tmp_path / "rex"
    run = studio.run(request_of(), out)
    before = tensors(out)
    studio.store.update(run.id, status=Status.RUNNING, finished=None)
    assert studio.runs.list()[0].status is Status.INTERRUPTED, "no program carries it out"
    with pytest.raises(LimnerError, match="exists already"):
        studio.run(request_of(), out)
    studio.store.update(run.id, status=Status.RUNNING)
    studio.run(request_of(), resume=True)
    assert studio.runs.show(run.id)[0].status is Status.DONE and tensors(out) == before


def test_a_resumed_run_may_go_elsewhere(request_of, tmp_path):
    from limner.core.runs import Status

    studio = Studio()
    run = studio.run(request_of(), tmp_path / "rex")
    studio.store.update(run.id, status=Status.INTERRUPTED)
    again = studio.run(request_of(), tmp_path / "other", resume=True)
    assert again.id == run.id and again.out == str(tmp_path / "other")
    assert tensors(tmp_path / "other") == tensors(tmp_path / "rex")


def test_a_checkpoint_of_another_request_is_refused(tmp_path):
    import torch

    from limner.engine.train.checkpoint import checkpoints, load_checkpoint, save_checkpoint
    from tiny import in_progress

    weight = torch.nn.Parameter(torch.ones(3))
    optimiser, scaler = torch.optim.AdamW([weight]), torch.amp.GradScaler("cpu", init_scale=8.0)
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, in_progress({"w": weight}, optimiser, scaler, "a" * 64))
    (tmp_path / "checkpoint-00000009.partial").mkdir()
    assert [path.name[-1] for path in checkpoints(tmp_path)] == ["2", "3"]
    with pytest.raises(LimnerError, match="belongs to another request"):
        load_checkpoint(checkpoints(tmp_path)[-1], in_progress({"w": weight}, optimiser, scaler, "b" * 64))
    other = torch.amp.GradScaler("cpu")
    assert load_checkpoint(checkpoints(tmp_path)[-1], in_progress({"w": weight}, optimiser, other, "a" * 64)) == 3
    assert other.get_scale() == 8.0


@pytest.mark.parametrize("target", ["pictures", pytest.param("model", marks=pytest.mark.slow)])
def test_the_text_encoder_learns_when_asked(learn, request_of, tiny_sd, tmp_path, target):
    """Its tensors are in the file, stock diffusers reads them, and they matter; a run repeats to the bit."""
    taught = {"rank": 4, "text_encoder": True}
    fields = {"options": taught, "preview_every": 2, "prior_target": target}
    (folder, _), (again, _) = (learn(name, **fields) for name in ("told", "again"))
    assert tensors(folder) == tensors(again)
    prefixes = {name.split(".")[0] for name in tensors(folder)}
    assert prefixes == {"unet", "text_encoder"}
    assert len(list(folder.glob("**/preview-*.png"))) == 2
    request = GenerateRequest(
        prompt="a photo of sks dog", model=str(tiny_sd), steps=2, guidance=5.0, adapter=({"path": str(folder)},)
    )
    Studio().run(request, tmp_path / "pictures")
    stock = StableDiffusionPipeline.from_pretrained(tiny_sd, safety_checker=None)
    stock.set_progress_bar_config(disable=True)
    base = stock.text_encoder(torch.arange(8)[None])[0]
    stock.load_lora_weights(str(folder), weight_name=LORA_FILE)
    assert not torch.equal(base, stock.text_encoder(torch.arange(8)[None])[0])
    rng = torch.Generator().manual_seed(42)
    theirs = stock(request.prompt, num_inference_steps=2, guidance_scale=5.0, generator=rng).images[0]
    with Image.open(tmp_path / "pictures" / "0001.png") as ours:
        assert np.abs(np.asarray(ours).astype(int) - np.asarray(theirs)).max() <= 1
