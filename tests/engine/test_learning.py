"""Methods and settings of training: each does what it says, and stopping and resuming changes nothing."""

from __future__ import annotations

import json
import re
from itertools import count

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from limner import AdapterUse, GenerateRequest, LimnerError, Studio
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated, Notice
from limner.engine.train.ema import EMA
from limner.engine.train.plan import make_plan
from limner.models.loading import resolve
from limner.models.options import EMBEDDINGS_FILE, LORA_FILE
from limner.plugins.families.sd import plugin as SD

PLAIN = {"precision": "fp32", "prior": False, "held_out": 0}


def trained(folder, file=LORA_FILE):
    return load_file(folder / file)


def apart(one, other):
    """How far two results are apart, of how far the first is from where it began: from no update at all."""
    ups = [name for name in one if "lora_B" in name]
    assert ups and one.keys() == other.keys()
    return (sum((one[n] - other[n]).norm() ** 2 for n in ups) / sum(one[n].norm() ** 2 for n in ups)).sqrt().item()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def paint(folder, model, out, method_is="adapter", **fields):
    used = (
        {"model": str(folder)}
        if method_is == "model"
        else {"model": str(model), "adapter": (AdapterUse(path=str(folder)),)}
    )
    size = {"width": 64, "height": 64, "steps": 2}
    run = Studio().run(GenerateRequest(**{"prompt": "a photo of sks dog", **size, **used, **fields}), out)
    return np.asarray(Image.open(run.out + "/0001.png")).astype(int)


# Batches


def test_a_batch_in_parts_is_the_same_batch(learn):
    """Noise is drawn at once, so that memory is all that accumulation changes."""
    for prior in (False, True):
        whole = learn(f"whole-{prior}", batch=4, **(PLAIN | {"prior": prior}))[0]
        parts = learn(f"parts-{prior}", batch=4, accumulation=4, **(PLAIN | {"prior": prior}))[0]
        assert 0 < apart(trained(whole), trained(parts)) < 0.02, "Adam makes much of the last bits of small gradients"


def test_a_batch_that_cannot_be_cut_is_refused(learn):
    with pytest.raises(LimnerError, match="a batch of 2 cannot be split into 3 equal parts; use a --batch"):
        learn(accumulation=3)


def test_checkpointed_gradients_are_the_same(learn):
    kept, anew = learn("kept", **PLAIN)[0], learn("anew", gradient_checkpointing=True, **PLAIN)[0]
    assert apart(trained(kept), trained(anew)) < 0.02


# Optimisers


@pytest.mark.parametrize(
    "optimiser", ["adamw", pytest.param("adafactor", marks=pytest.mark.slow), "prodigy", "adamw8bit"]
)
def test_an_optimiser_learns_and_goes_on_to_the_bit(request_of, tmp_path, optimiser):
    if module := {"prodigy": "prodigyopt", "adamw8bit": "bitsandbytes"}.get(optimiser):
        pytest.importorskip(module)
    request = request_of(optimiser=optimiser, learning_rate=None, ema=0.9, options={"rank": 4, "dropout": 0.2}, **PLAIN)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    Studio().run(request, whole)
    asked = count()
    with pytest.raises(Interrupted):
        Studio().run(request, stopped, stop=lambda: next(asked) >= 1)
    Studio().run(request, stopped, resume=True)
    assert same(trained(whole), trained(stopped))
    assert any(tensor.abs().sum() > 0 for name, tensor in trained(whole).items() if "lora_B" in name)
    assert "going on" not in (whole / "metrics.jsonl").read_text()


def test_prodigy_begins_at_a_rate_of_one(request_of, painted):
    from limner.data.sets.folder import scan

    plan = make_plan(request_of(optimiser="prodigy", learning_rate=None), scan(painted), SD.facts, 64)
    assert plan.learning_rate == 1.0


@pytest.mark.parametrize(("method", "rate"), [("lora", 1e-4), ("full", 5e-6), ("textual_inversion", 2e-3)])
def test_each_method_has_a_rate_of_its_own(request_of, painted, method, rate):
    from limner.data.sets.folder import scan

    request = request_of(method=method, options={}, learning_rate=None, prior=False)
    assert make_plan(request, scan(painted), SD.facts, 64).learning_rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"options": {"targets": "nothing*,to_q"}}, "unknown LoRA target 'nothing*'"),
        ({"options": {"targets": "norm1"}}, "unknown LoRA target 'norm1'"),
        ({"text_learning_rate": 0.5}, "no text encoder is trained"),
    ],
)
def test_what_cannot_learn_is_said_before_class_pictures_are_painted(request_of, tmp_path, fields, said):
    stages = []
    with pytest.raises(LimnerError, match=re.escape(said)):
        Studio().run(request_of(**fields), tmp_path / "rex", listener=lambda e: stages.append(getattr(e, "name", None)))
    assert "loading" in stages and "class images" not in stages


def test_prodigy_finds_one_rate_for_all(learn):
    pytest.importorskip("prodigyopt")
    options = {"rank": 4, "text_encoder": True}
    with pytest.raises(LimnerError, match="'prodigy' finds one learning rate for all parameters, and 2 are given"):
        learn(optimiser="prodigy", learning_rate=None, text_learning_rate=0.5, options=options, **PLAIN)


def test_a_rate_for_text_encoders_that_do_not_learn(learn, tiny_folder):
    with pytest.raises(LimnerError, match=r"text_learning_rate \(0.5\) is given, and no text encoder is trained"):
        learn(text_learning_rate=0.5, **PLAIN)
    with pytest.raises(LimnerError, match="the text encoder of this family does not support adapters"):
        learn(model=str(tiny_folder("z_image")), options={"text_encoder": True}, **PLAIN)


def test_an_optimiser_that_is_not_installed(learn, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "prodigyopt", None)
    with pytest.raises(LimnerError, match=r"'prodigy' needs a package that is missing.*pip install prodigyopt"):
        learn(optimiser="prodigy")


def test_text_encoders_have_a_rate_of_their_own(learn):
    slow = learn("slow", options={"rank": 4, "text_encoder": True}, text_learning_rate=1e-6, **PLAIN)[0]
    fast = learn("fast", options={"rank": 4, "text_encoder": True}, **PLAIN)[0]

    def moved(folder):
        return sum(
            v.abs().sum().item() for n, v in trained(folder).items() if n.startswith("text_encoder") and "lora_B" in n
        )

    assert 0 < moved(slow) < 1e-2 * moved(fast)


# The moving average


def test_the_average_follows_and_steps_aside():
    weight = torch.nn.Parameter(torch.zeros(1))
    average = EMA([weight], 0.5)
    kept = 0.0
    for step, value in enumerate((1.0, 2.0, 3.0)):
        weight.data.fill_(value)
        average.update()
        share = min(0.5, (1 + step) / (10 + step))
        kept = share * kept + (1 - share) * value
    with average.applied():
        assert weight.item() == pytest.approx(kept)
    assert weight.item() == 3.0


def test_the_average_is_what_is_saved(learn):
    last, averaged = trained(learn("last", **PLAIN)[0]), trained(learn("averaged", ema=0.99, **PLAIN)[0])
    ups = [name for name in last if "lora_B" in name]
    assert all(averaged[name].norm() < last[name].norm() for name in ups), "it lags behind from zero"


# What is trained on


def test_captions_are_dropped_now_and_then(learn, monkeypatch):
    from limner.engine.train.denoising import Denoising

    rows, real = [], Denoising.text

    def looking(self, picks):
        rows.extend(picks.examples.captions[row] for row in picks.captions)
        return real(self, picks)

    monkeypatch.setattr(Denoising, "text", looking)
    learn(caption_dropout=0.5, steps=20, **PLAIN)
    assert 8 <= rows.count("") <= 32 and rows.count("") + rows.count("a photo of sks dog") == 40


def masked(painted, tmp_path, size=None):
    """The six pictures, each with a mask of its left half."""
    folder = tmp_path / "masked"
    (folder / "masks").mkdir(parents=True)
    for path in painted.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
        mask = Image.new("L", size or (128, 128), 0)
        mask.paste(255, (0, 0, mask.width // 2, mask.height))
        mask.save(folder / "masks" / path.name)
    return folder


def test_only_what_the_mask_shows_is_trained(learn, painted, tmp_path, monkeypatch):
    from limner.engine.train import encoding

    seen, real = [], encoding.encode
    monkeypatch.setattr(encoding, "encode", lambda *given, **named: seen.append(real(*given, **named)) or seen[-1])
    folder = masked(painted, tmp_path)
    part = learn("part", data=str(folder), masked=True, flip=True, **PLAIN)[0]
    assert seen[0].masks.shape == (6, 2, 1, 8, 8)
    straight, mirrored = seen[0].masks[0]
    assert straight[0, :, :3].min() > 0.9 and straight[0, :, 5:].max() < 0.1
    assert torch.allclose(mirrored, straight.flip(2), atol=0.01)
    whole = learn("whole", data=str(folder), flip=True, **PLAIN)[0]
    assert seen[1].masks is None and not same(trained(part), trained(whole))


def test_masks_that_do_not_fit(learn, painted, tmp_path):
    with pytest.raises(LimnerError, match=r"no image of .* has a mask; put masks into its folder"):
        learn(masked=True)
    with pytest.raises(LimnerError, match=r"the mask '0.png' is 9 x 9, and its image 128 x 128"):
        learn(data=str(masked(painted, tmp_path, (9, 9))), masked=True)


# What a family's loss knows


def test_a_setting_that_means_nothing_is_refused(learn, request_of, painted, tiny_folder):
    with pytest.raises(LimnerError, match=r"timestep_sampling \(shift\) does nothing for this kind of model"):
        learn(timestep_sampling="shift")
    with pytest.raises(LimnerError, match=r"min_snr_gamma \(5.0\) does nothing .* it takes timestep_sampling"):
        learn(model=str(tiny_folder("flux")), min_snr_gamma=5.0, resolution=64)


@pytest.mark.parametrize("family", ["sdxl", "flux", pytest.param("flux2", marks=pytest.mark.slow), "z_image"])
def test_every_family_is_trained_and_painted(learn, tiny_folder, tmp_path, family):
    model = tiny_folder(family)
    fields = PLAIN | {"prior": True, "learning_rate": 5e-2, "steps": 8}
    folder, events = learn(model=str(model), resolution=64, preview_every=8, **fields)
    assert len(list(folder.glob("preview-*.png"))) == 1
    assert [event.what for event in events if isinstance(event, ArtifactCreated)] == ["preview", "adapter"]
    base = paint(folder, model, tmp_path / "base", adapter=())
    assert np.abs(paint(folder, model, tmp_path / "taught") - base).max() > 5


# Words


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("sd", "textual_inversion"),
        ("sd", "pivotal"),
        ("sdxl", "pivotal"),
        pytest.param("sdxl", "textual_inversion", marks=pytest.mark.slow),
        pytest.param("flux", "textual_inversion", marks=pytest.mark.slow),
        ("flux", "pivotal"),
    ],
)
def test_a_word_of_three_vectors_is_stock(learn, tiny_folder, tmp_path, monkeypatch, family, method):
    """The model card's own lines load it, and the stock pipeline paints the same."""
    model = tiny_folder(family)
    options = {"vectors": 3, "initial_word": "cat"} | ({"rank": 4} if method == "pivotal" else {})
    fields = {"model": str(model), "resolution": 64, "identifier": "<rex>", "method": method, "options": options}
    folder, _ = learn(steps=6, learning_rate=5e-2, **fields, **PLAIN)
    vectors = trained(folder, EMBEDDINGS_FILE)
    assert {len(value) for value in vectors.values()} == {3}
    prompt = "a photo of <rex> dog, <rex>"
    ours = paint(folder, model, tmp_path / "ours", prompt=prompt, steps=3, guidance=5.0, precision="fp32")
    base = paint(folder, model, tmp_path / "base", prompt=prompt, steps=3, guidance=5.0, precision="fp32", adapter=())
    card = (folder / "README.md").read_text()
    python = card.split("```python\n")[1].split("image = ")[0].replace(repr(model.name)[1:-1], str(model))
    known = {}
    monkeypatch.chdir(folder.parent)
    exec(python, known)
    pipeline = known["pipeline"]
    pipeline.set_progress_bar_config(disable=True)
    pixels = pipeline(
        prompt,
        **({"max_sequence_length": 32} if family == "flux" else {}),
        num_inference_steps=3,
        guidance_scale=5.0,
        height=64,
        width=64,
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    assert np.abs((pixels * 255).round() - ours).max() <= 1
    assert np.abs(base - ours).max() > 3


def test_a_word_is_trained_and_painted_in_half_precision(learn, tiny_sd, tmp_path):
    fields = {"method": "pivotal", "options": {"rank": 4}, "identifier": "<rex>", "preview_every": 2}
    folder, _ = learn(**fields, precision="bf16", prior=False, held_out=0)
    assert len(list(folder.glob("preview-*.png"))) == 2
    said = {"prompt": "a photo of <rex> dog", "precision": "bf16"}
    taught, base = (
        paint(folder, tiny_sd, tmp_path / "a", **said),
        paint(folder, tiny_sd, tmp_path / "b", **said, adapter=()),
    )
    assert not np.array_equal(taught, base)


def test_a_word_leaves_the_class_alone_and_needs_no_class_pictures(learn):
    fields = {"method": "textual_inversion", "options": {}, "identifier": "<rex>", "prior": True}
    folder, events = learn(**fields, class_pictures=None)
    assert not any(getattr(event, "name", "") == "class images" for event in events)
    assert "| Prior preservation | off |" in (folder / "README.md").read_text()
    with pytest.raises(LimnerError, match=r"class_pictures \(3\) does nothing: this method cannot change the class"):
        learn("other", **fields)


@pytest.mark.parametrize(
    "tensors", [{}, {"a": torch.tensor(1.0)}, {"a": torch.zeros(0, 32)}, {"a": torch.zeros(76, 32)}]
)
def test_files_that_hold_no_word(tiny_sd, tmp_path, home, tensors):
    save_file(tensors, tmp_path / "word.safetensors", {"limner": '{"method": "textual_inversion"}'})
    with pytest.raises(LimnerError, match="contains no word of 1 to 75 vectors"):
        paint(tmp_path / "word.safetensors", tiny_sd, tmp_path / "out")


def test_a_word_in_use_is_refused(learn):
    with pytest.raises(LimnerError, match="the word 'cat</w>' is already used by the model or by another adapter"):
        learn(method="textual_inversion", options={}, identifier="cat</w>", **PLAIN)


def test_a_word_must_leave_room(learn):
    with pytest.raises(LimnerError, match="leaves too little of a prompt of 24 tokens; use 12 --vectors or fewer"):
        learn(method="textual_inversion", options={"vectors": 13}, identifier="<rex>", **PLAIN)


def test_two_adapters_of_one_word(learn, tiny_sd, tmp_path):
    word = learn(method="textual_inversion", options={}, identifier="<rex>", **PLAIN)[0]
    with pytest.raises(LimnerError, match="two adapters define the word '<rex>'; leave one of them out"):
        paint(word, tiny_sd, tmp_path / "out", adapter=(AdapterUse(path=str(word)),) * 2)


def test_a_word_of_its_class(request_of):
    with pytest.raises(ValueError, match="the identifier is the class word 'dog'"):
        request_of(identifier="dog")


def test_a_family_without_a_place_for_words_says_so(learn, tiny_folder):
    with pytest.raises(LimnerError, match="does not support new words"):
        learn(model=str(tiny_folder("z_image")), method="pivotal", options={}, **PLAIN)


def test_a_pivotal_adapter_needs_its_word(learn, tiny_sd, tmp_path):
    folder, _ = learn(method="pivotal", options={"rank": 4}, identifier="<rex>", **PLAIN)
    (folder / EMBEDDINGS_FILE).write_bytes((folder / EMBEDDINGS_FILE).read_bytes() + b" ")
    with pytest.raises(LimnerError, match="was changed; copy the whole folder again"):
        paint(folder, tiny_sd, tmp_path / "out")
    (folder / EMBEDDINGS_FILE).unlink()
    with pytest.raises(LimnerError, match="is missing; copy the whole folder again"):
        paint(folder, tiny_sd, tmp_path / "out")


def test_adapters_of_both_kinds_together(learn, tiny_sd, tmp_path):
    lora = learn("lora", **PLAIN)[0]
    word = learn("word", method="textual_inversion", options={}, identifier="<rex>", learning_rate=0.1, **PLAIN)[0]
    uses = tuple(AdapterUse(path=str(path), weight=weight) for path, weight in ((lora, 0.8), (word, 1.0)))
    said = {"prompt": "a photo of <rex> dog", "steps": 3, "precision": "fp32"}
    both = paint(lora, tiny_sd, tmp_path / "both", adapter=uses, **said)
    pipeline = DiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True)
    pipeline.load_textual_inversion(str(word))
    pipeline.load_lora_weights(str(lora), adapter_name="lora")
    pipeline.set_adapters(["lora"], [0.8])
    pipeline.set_progress_bar_config(disable=True)
    stock = pipeline(
        "a photo of <rex> dog",
        num_inference_steps=3,
        guidance_scale=7.5,
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    assert np.abs((stock * 255).round() - both).max() <= 1


# Whole models


@pytest.mark.parametrize("target", ["model", "pictures"])
def test_a_full_fine_tune_is_a_model(learn, tiny_sd, tmp_path, target):
    fields = {"method": "full", "options": {"text_encoder": True}, "prior_target": target, "learning_rate": 1e-3}
    folder, events = learn(**fields, precision="fp32")
    made = next(event for event in events if isinstance(event, ArtifactCreated))
    assert made.what == "model" and len(made.sha256) == 64
    facts = json.loads((folder / "limner.json").read_text())
    assert facts["method"] == "full" and facts["base"]["reference"] == str(tiny_sd)
    assert resolve(str(folder)).sampling == resolve(str(tiny_sd)).sampling == facts["sampling"]
    base = paint(folder, tiny_sd, tmp_path / "base", adapter=())
    assert np.abs(paint(folder, tiny_sd, tmp_path / "taught", method_is="model") - base).max() > 3
    with pytest.raises(LimnerError, match="is a whole model, not an adapter; use --model"):
        paint(folder, tiny_sd, tmp_path / "wrong")


def test_a_finished_full_fine_tune_may_be_resumed(request_of, tmp_path):
    request = request_of(method="full", options={}, **PLAIN)
    studio = Studio()
    run = studio.run(request, tmp_path / "rex")
    studio.store.update(run.id, status="interrupted")
    before = (tmp_path / "rex" / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    studio.run(request, tmp_path / "rex", resume=True)
    assert (tmp_path / "rex" / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == before


# LoRA's kinds


@pytest.mark.parametrize("options", [{"rslora": True}, {"dora": True}, {"targets": "*attn2.to_?", "alpha": 2.0}])
def test_kinds_of_lora_are_stock(learn, tiny_sd, tmp_path, options):
    folder, _ = learn(options={"rank": 4, **options}, steps=8, **PLAIN)
    ours = paint(folder, tiny_sd, tmp_path / "ours", steps=3, precision="fp32")
    pipeline = DiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(folder))
    stock = pipeline(
        "a photo of sks dog",
        num_inference_steps=3,
        guidance_scale=7.5,
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    assert np.abs((stock * 255).round() - ours).max() <= 1
    base = paint(folder, tiny_sd, tmp_path / "base", adapter=(), steps=3, precision="fp32")
    assert np.abs(ours - base).max() > 3
    if "targets" in options:
        assert all("attn2.to_" in name and "to_out" not in name for name in trained(folder))


def test_notices_hold_no_surprise(learn):
    _, events = learn(**PLAIN)
    assert not [event.text for event in events if isinstance(event, Notice) and event.level == "warning"]
