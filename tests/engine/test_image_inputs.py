"""Image-to-image, inpainting, ControlNets, hires and refiners; prompts with weights and of any length."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, ControlNetModel, DiffusionPipeline
from PIL import Image

import tiny
from limner import GenerateRequest, LimnerError, Studio
from limner.core.events import ArtifactCreated, Notice, Progress
from limner.core.execution import parse_body
from limner.core.protocols import ModelSource
from limner.core.requests import ControlUse
from limner.engine.generate.inputs import image_size
from limner.imaging.crop import fit
from limner.models.cache import MODELS
from limner.models.conditioning import conditioning
from limner.models.prompts import Chunks, apply_weights, to_chunks
from limner.plugins import registry

SIDE = 64


@pytest.fixture
def photograph(tmp_path):
    """An image that is wider than high, with an edge."""
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    pixels[20:40, 30:60] = (250, 20, 20)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


@pytest.fixture
def mask(tmp_path):
    """Its right half."""
    pixels = np.zeros((60, 90), dtype=np.uint8)
    pixels[:, 45:] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture
def paint(home, tiny_sd, tmp_path):
    """Generate, and return the images and the events."""

    def run(out="out", **fields):
        plain = {"prompt": "a cat", "model": str(tiny_sd), "steps": 4, "guidance": 5.0, "width": SIDE, "height": SIDE}
        events = []
        request, execution = parse_body({"kind": "generate", **plain, **fields})
        Studio().run(request, tmp_path / out, listener=events.append, execution=execution)
        made = [event.path for event in events if isinstance(event, ArtifactCreated) and event.what == "picture"]
        return [np.asarray(Image.open(path)).astype(int) for path in made], events

    return run


def stock(folder, kind, **arguments):
    pipeline = DiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    longest = {"max_sequence_length": 32} if type(pipeline).__name__ == "FluxPipeline" else {}
    pipeline = kind.from_pipe(pipeline)
    pipeline.set_progress_bar_config(disable=True)
    pixels = pipeline(
        prompt="a cat",
        **longest,
        **arguments,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    return (pixels * 255).round().astype(int)


def shaped(path):
    with Image.open(path) as picture:
        return fit(picture.convert("RGB"), (SIDE, SIDE))


# From an image


@pytest.mark.parametrize("family", ["sd", "sdxl", "flux", "z_image"])
def test_an_image_is_where_it_begins(paint, tiny_folder, photograph, family):
    folder = tiny_folder(family)
    (ours,), _ = paint(model=str(folder), image=str(photograph), strength=0.5)
    size = {"width": SIDE, "height": SIDE} if family in ("flux", "z_image") else {}
    theirs = stock(folder, AutoPipelineForImage2Image, image=shaped(photograph), strength=0.5, **size)
    assert np.abs(ours - theirs).max() <= 1
    (other,), _ = paint("other", model=str(folder), image=str(photograph), strength=1.0)
    assert np.abs(ours - other).max() > 5


def test_a_model_with_reference_images(paint, tiny_folder, photograph):
    folder = tiny_folder("flux2")
    (ours,), _ = paint(model=str(folder), image=str(photograph))
    (plain,), _ = paint("plain", model=str(folder))
    assert not np.array_equal(ours, plain)
    with pytest.raises(LimnerError, match=r"strength \(0.5\) has no effect on this model"):
        paint(model=str(folder), image=str(photograph), strength=0.5)
    with pytest.raises(LimnerError, match="do not support a mask"):
        paint(model=str(folder), image=str(photograph), mask=str(photograph))


def test_images_of_a_batch_have_their_own_seeds(paint, photograph):
    both, _ = paint(image=str(photograph), count=3, batch=2)
    (second,), _ = paint("second", image=str(photograph), seed=43)
    assert np.abs(both[1] - second).max() <= 1 and not np.array_equal(both[0], both[1])


def test_the_size_is_the_images_at_the_models_area(paint, photograph):
    (pixels,), _ = paint(image=str(photograph), width=None, height=None)
    assert pixels.shape[:2] == (56, 80)
    request = GenerateRequest(prompt="a", image=str(photograph), width=128)
    assert image_size(request, (90, 60), SIDE, 8) == (128, 88)
    assert image_size(GenerateRequest(prompt="a"), None, SIDE, 8) == (SIDE, SIDE)


# In a mask


@pytest.mark.parametrize("family", ["sd", "sdxl", "flux", "z_image"])
def test_only_the_mask_is_replaced(paint, tiny_folder, photograph, mask, family):
    folder = tiny_folder(family)
    (ours,), _ = paint(model=str(folder), image=str(photograph), mask=str(mask), strength=0.8)
    image = shaped(photograph)
    hole = fit(Image.open(mask), (SIDE, SIDE))
    size = {"width": SIDE, "height": SIDE}
    theirs = stock(folder, AutoPipelineForInpainting, image=image, mask_image=hole, strength=0.8, **size)
    inside, outside = np.asarray(hole) == 255, np.asarray(hole) == 0
    assert np.abs(ours - theirs)[inside].max() <= 1
    assert np.array_equal(ours[outside], np.asarray(image)[outside]), "the rest is bit-identical"
    assert inside.sum() > 1500 and outside.sum() > 1500


def warnings(events):
    return [event.text for event in events if isinstance(event, Notice) and event.level == "warning"]


def test_a_mask_drawn_on_transparent_selects_what_is_drawn(paint, photograph, mask, tmp_path):
    """In white, and in the colours of the photo, which is then the image and the mask in one file."""
    (wanted,), plain = paint(image=str(photograph), mask=str(mask))
    alpha = Image.open(mask)
    drawn, erased = Image.new("RGBA", alpha.size, (255, 255, 255, 0)), Image.open(photograph)
    drawn.putalpha(alpha)
    drawn.save(tmp_path / "drawn.png")
    erased.putalpha(alpha.point(lambda level: 255 - level))
    erased.save(tmp_path / "erased.png")
    assert np.array_equal(wanted, paint("a", image=str(photograph), mask=str(tmp_path / "drawn.png"))[0][0])
    (found,), events = paint("b", image=str(photograph), mask=str(tmp_path / "erased.png"))
    assert np.array_equal(wanted, found) and warnings(plain) == []
    assert [text for text in warnings(events) if "erased.png': what is erased to transparent was taken" in text]
    (both,), _ = paint("c", image=str(tmp_path / "erased.png"), mask=str(tmp_path / "erased.png"))
    assert np.array_equal(both[:, : SIDE // 2 - 4], wanted[:, : SIDE // 2 - 4])
    assert not np.array_equal(both[:, SIDE // 2 :], np.full((SIDE, SIDE // 2, 3), 255))


def test_a_mask_that_selects_everything_is_reported(paint, photograph, tmp_path):
    Image.new("L", (90, 60), 255).save(tmp_path / "white.png")
    _, events = paint(image=str(photograph), mask=str(tmp_path / "white.png"))
    assert [text for text in warnings(events) if "is all white, so the whole image is generated anew" in text]


def test_masks_that_cannot_be_used(paint, photograph, tmp_path):
    Image.new("L", (9, 9), 255).save(tmp_path / "small.png")
    with pytest.raises(LimnerError, match="the mask is 9 x 9 px, and the image 90 x 60; use a mask"):
        paint(image=str(photograph), mask=str(tmp_path / "small.png"))
    Image.new("L", (90, 60), 0).save(tmp_path / "black.png")
    with pytest.raises(LimnerError, match="is all black; make white"):
        paint(image=str(photograph), mask=str(tmp_path / "black.png"))


@pytest.mark.parametrize(
    ("flags", "result"),
    [
        (["--strength", "0.5"], "strength (0.5) is given without an image"),
        (["--mask", "mask.png"], "mask (mask.png) is given without an image"),
        (["--strength", "1.5"], "--strength '1.5'"),
        (["--image", "nowhere.png"], "'nowhere.png' does not exist"),
        (["--control", "canny"], "is not of the form KIND=IMAGE"),
        (["--control", "cany=photograph.png"], "unknown control 'cany'; did you mean 'canny'?"),
        (["--control-model", "x"], "1 control models for 0 controls"),
        (["--control", "given=photograph.png", "--model", "{flux2}"], "no default ControlNet for 'given'"),
        (["--control", "depth=photograph.png"], "no default ControlNet for 'depth'"),  # before a download is tried
        (["--hires", "9"], "--hires '9.0'"),
        (["--hires-strength", "0.5"], "--hires-strength (0.5) is given without hires"),
        (["--refiner-strength", "0.5"], "refiner-strength (0.5) is given without refiner"),
        (
            ["--image", "photograph.png", "--strength", "0.05", "--steps", "9"],
            "leaves none of 9 steps; use 0.12 or more",
        ),
        (["--hires", "2", "--hires-strength", "0.1", "--steps", "5"], "--hires-strength (0.1) leaves none of 5 steps"),
        (["--refiner", "own/r", "--refiner-strength", "0.1", "--steps", "5"], "(0.1) leaves none of 5 steps"),
        (["--refiner", "photograph.png"], "cannot be read"),
        (["--control", "given=photograph.png", "--control-model", "{flux2}"], "incomplete or no ControlNet"),
        (["--vae", "nosuch/vae"], "autoencoder (VAE) 'nosuch/vae' is not on disk"),
        (["--vae", "{flux2}/vae"], "is AutoencoderKLFlux2; this model needs AutoencoderKL"),
        (["--vae", "{flux2}"], "no autoencoder (VAE)"),
        (["--negative-prompt", "dog", "--guidance", "1"], "a negative prompt has no effect at guidance 1"),
        (["--scheduler", "euler", "--model", "{flux2}"], "scheduler 'euler' is not supported by this family"),
        (["--guidance-rescale", "0.5", "--image", "photograph.png"], "--guidance-rescale (0.5) has no effect"),
        (["--negative-prompt", "blurry", "--model", "{flux2}", "--width", "60"], "width 60 is not a multiple of 16"),
    ],
)
def test_mistakes_are_one_line(limner, tiny_folder, photograph, mask, flags, result):
    flags = [flag.format(flux2=tiny_folder("flux2")) for flag in flags]
    model = [] if "--model" in flags else ["--model", tiny_folder("sd")]
    answer = limner("generate", "a cat", *model, *flags)
    assert answer.code == 2 and result in answer.error, answer.error


def test_weights_that_are_read_as_words_are_a_warning(paint, tiny_folder):
    expected = "this model does not support weights in a prompt: it reads the brackets and numbers as words"
    for prompt, notices in (("a (red:1.4) cat", [expected]), ("a (red) cat", [])):
        _, events = paint(str(notices), model=str(tiny_folder("flux")), prompt=prompt)
        assert [event.text for event in events if isinstance(event, Notice)] == notices


def test_syntax_that_is_read_as_text_is_a_warning(paint, tiny_folder):
    for family, notices in (("sd", []), ("flux", ["this model does not read a prompt in parts"])):
        negative = {"negative_prompt": "[dog|cow] ((x))"} if family == "sd" else {}
        reasons = ["words that alternate between steps are not supported", "write (words:1.2) for more weight"]
        _, events = paint(family, model=str(tiny_folder(family)), prompt="a cat BREAK <lora:rex:1>", **negative)
        lines = [event.text.partition(": ")[2] for event in events if isinstance(event, Notice)]
        assert lines == ["name adapters in the field adapter", *notices, *(reasons if negative else [])]


def test_break_in_a_prompt_acts(paint):
    (one,), (two,), (three,) = (
        paint(str(number), prompt=prompt)[0] for number, prompt in enumerate(("a cat a dog", "a cat BREAK a dog", "x"))
    )
    assert not np.array_equal(one, two) and not np.array_equal(two, three)


def test_a_memory_option_without_effect_is_reported(paint):
    _, events = paint(memory="low")
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert notice.startswith("memory 'low' offloads and quantises networks only")


def test_a_flux_model_takes_no_negative_prompt(paint, tiny_folder):
    with pytest.raises(LimnerError, match="does not support a negative prompt"):
        paint(model=str(tiny_folder("flux")), negative_prompt="blurry")


@pytest.mark.parametrize(
    ("family", "file", "result"),
    [
        ("flux", "transformer/config.json", ("guidance_embeds", False)),
        ("flux2", "model_index.json", ("is_distilled", True)),
    ],
)
def test_a_distilled_model_reports_that_guidance_has_no_effect(paint, tiny_folder, tmp_path, family, file, result):
    folder = shutil.copytree(tiny_folder(family), tmp_path / "distilled")
    expected = json.loads((folder / file).read_text()) | dict([result])
    (folder / file).write_text(json.dumps(expected))
    pictures = [paint(f"at-{guidance}", model=str(folder), guidance=guidance) for guidance in (None, 9.0)]
    assert np.array_equal(pictures[0][0][0], pictures[1][0][0])
    notices = [[event.text for event in events if isinstance(event, Notice)] for _, events in pictures]
    assert notices == [[], ["guidance 9 has no effect: this model was distilled without it"]]
    with pytest.raises(LimnerError, match="does not support a negative prompt"):
        paint("negative", model=str(folder), negative_prompt="blurry")


# After a guide


@pytest.fixture
def controlnet(tiny_sd, tmp_path):
    """A ControlNet for the tiny model whose zero convolutions are not zero, as after training."""
    unet = DiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True).unet
    torch.manual_seed(0)
    network = ControlNetModel.from_unet(unet, conditioning_channels=3)
    for block in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        torch.nn.init.normal_(block.weight, std=0.3)
    network.save_pretrained(tmp_path / "controlnet")
    return tmp_path / "controlnet"


def test_a_guide_is_followed_and_shown(paint, tiny_sd, controlnet, photograph, tmp_path):
    from diffusers import StableDiffusionControlNetPipeline

    use = {"control": (f"canny={photograph}:0.8",), "control_model": (str(controlnet),)}
    (ours,), events = paint(**use)
    made = {event.what: event.path for event in events if isinstance(event, ArtifactCreated)}
    guide = Image.open(made["guide"])
    lit = np.asarray(guide.convert("L"))
    assert guide.size == (SIDE, SIDE) and set(np.unique(lit)) == {0, 255}
    with Image.open(made["comparison"]) as strip:
        assert strip.size == (3 * SIDE, SIDE)
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(
        tiny_sd, controlnet=ControlNetModel.from_pretrained(controlnet), use_safetensors=True, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "a cat",
        image=guide,
        controlnet_conditioning_scale=0.8,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    assert np.abs(ours - (theirs * 255).round()).max() <= 1
    (given,), _ = paint("given", control=(f"given={made['guide']}:0.8",), control_model=(str(controlnet),))
    assert np.array_equal(ours, given), "the written control image is a control image"
    (off,), _ = paint("off", control=(f"canny={photograph}:0",), control_model=(str(controlnet),))
    (plain,), _ = paint("plain")
    assert np.abs(off - plain).max() <= 1 and np.abs(ours - plain).max() > 3


def test_a_guide_with_an_image_and_two_guides(paint, controlnet, photograph, mask):
    one = {"control": (f"canny={photograph}",), "control_model": (str(controlnet),)}
    two = {"control": (f"canny={photograph}", f"given={photograph}:0.5"), "control_model": (str(controlnet),) * 2}
    pictures = [paint("a", **one), paint("b", **two), paint("c", image=str(photograph), **one)]
    pictures.append(paint("d", image=str(photograph), mask=str(mask), **two))
    seen = [picture.tobytes() for (picture,), _ in pictures]
    assert len(set(seen)) == 4


def test_a_control_is_read_from_text():
    assert ControlUse.model_validate("canny=a=b.png:0.5") == ControlUse(kind="canny", path="a=b.png", weight=0.5)
    assert ControlUse.model_validate("given=a.png").weight == 1.0


# Larger


def test_a_second_pass_at_twice_the_size(paint):
    (plain,), _ = paint()
    (large,), events = paint("large", hires=2.0)
    counted = [event.done for event in events if isinstance(event, Progress)]
    assert counted == sorted(counted) and [counted[-1]] == [e.total for e in events if getattr(e, "total", None)]
    assert large.shape[:2] == (2 * SIDE, 2 * SIDE)
    near = np.asarray(Image.fromarray(large.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX)).astype(int)
    assert np.abs(near - plain).mean() < np.abs(near - plain[::-1]).mean()


def test_a_refiner_runs_over_the_image(paint, tiny_folder, tmp_path):
    model, refiner = str(tiny_folder("sdxl")), str(tiny.tiny_refiner(tmp_path / "refiner"))
    (plain,), _ = paint(model=model)
    (refined,), _ = paint("refined", model=model, refiner=refiner)
    pipeline = AutoPipelineForImage2Image.from_pretrained(refiner, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt="a cat",
        negative_prompt="",
        image=Image.fromarray(plain.astype(np.uint8)),
        strength=0.3,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(42),
        output_type="np",
    ).images[0]
    assert np.abs(refined - (theirs * 255).round()).max() <= 1 and np.abs(refined - plain).max() > 5
    with pytest.raises(LimnerError, match="refiner 'who/nobody' is not on disk and could not be fetched"):
        paint(model=model, refiner="who/nobody")


def test_a_named_model_may_be_the_refiner(paint, starter):
    (plain,), _ = paint()
    (refined,), _ = paint("refined", refiner="starter")
    assert refined.shape == plain.shape and np.abs(refined - plain).max() > 5


def test_a_mask_of_which_nothing_white_is_left(paint, tmp_path):
    Image.new("RGB", (256, 64)).save(tmp_path / "wide.png")
    mask = Image.new("L", (256, 64))
    mask.paste(255, (0, 0, 20, 64))
    mask.save(tmp_path / "left.png")
    with pytest.raises(LimnerError, match=r"at 64 x 64 px, nothing white is left of the mask"):
        paint(image=str(tmp_path / "wide.png"), mask=str(tmp_path / "left.png"))


def test_tiles_are_decoded_and_switched_off_again(paint, tiny_sd):

    (whole,), _ = paint()
    (tiled,), _ = paint("tiled", tiled=True, memory="low", width=SIDE, height=SIDE)
    assert np.abs(whole - tiled).mean() < 30
    assert not any(model.value.vae.use_tiling for model in MODELS.models())


def test_pipelines_without_a_second_pass_are_refused(paint, tiny_folder):
    with pytest.raises(LimnerError, match="Flux2KleinPipeline does not support a second pass; leave out --hires"):
        paint(model=str(tiny_folder("flux2")), hires=2.0)


def test_outside_the_mask_an_enlarged_image_is_the_enlarged_input(paint, photograph, mask):
    (ours,), _ = paint(image=str(photograph), mask=str(mask), hires=2.0)
    image = shaped(photograph).resize((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
    assert np.array_equal(ours[:, : SIDE - 12], np.asarray(image)[:, : SIDE - 12])


# The starter, whose latents have 16 channels


@pytest.mark.slow
def test_the_starter_inpaints_and_the_label_reproduces_the_image(starter, home, tmp_path):
    studio = Studio()
    first = studio.run(GenerateRequest(prompt="a photo of a cat on the beach", steps=4), tmp_path / "first")
    image = tmp_path / "first" / "0001.png"
    hole = Image.new("L", (128, 128), 0)
    hole.paste(255, (30, 10, 98, 60))
    hole.save(tmp_path / "hole.png")
    for name, more in (("image", {"strength": 0.5}), ("mask", {"mask": str(tmp_path / "hole.png")})):
        fields = {"prompt": "a cat wearing a red hat", "image": str(image), "steps": 4, **more}
        run = studio.run(GenerateRequest(**fields), tmp_path / name)
        again = studio.reproduce(f"{run.out}/0001.png", tmp_path / f"{name} again")
        pixels = [np.asarray(Image.open(f"{done.out}/0001.png")) for done in (first, run, again)]
        assert np.array_equal(pixels[1], pixels[2]) and not np.array_equal(pixels[0], pixels[1])
    outside = np.asarray(hole) == 0
    assert np.array_equal(pixels[0][outside], pixels[1][outside])
    assert np.abs(pixels[0].astype(int) - pixels[1])[~outside].mean() > 3


def test_a_controlnet_of_another_model_is_refused(starter, paint, controlnet, photograph):
    with pytest.raises(LimnerError, match=r"does not fit this model: its in_channels is 4, and the model's 8"):
        paint(model="starter", control=(f"canny={photograph}",), control_model=(str(controlnet),))
    with pytest.raises(LimnerError, match="this model has no default ControlNet for 'canny'; name one"):
        paint(model="starter", control=(f"canny={photograph}",))


# The label


def test_input_images_are_in_the_label(paint, photograph, tmp_path):
    (first,), _ = paint(image=str(photograph), strength=0.5)
    with Image.open(tmp_path / "out" / "0001.png") as picture:
        expected = json.loads(picture.text["limner"])
    assert list(expected["inputs"]) == [str(photograph)] and expected["request"]["width"] == SIDE
    run = Studio().reproduce(tmp_path / "out" / "0001.png", tmp_path / "again")
    assert np.array_equal(np.asarray(Image.open(run.out + "/0001.png")).astype(int), first)
    photograph.write_bytes(photograph.read_bytes() + b" ")
    with pytest.raises(LimnerError, match=r"the input image .* was changed"):
        Studio().reproduce(tmp_path / "out" / "0001.png", tmp_path / "once more")
    photograph.unlink()
    with pytest.raises(LimnerError, match=r"the input image .* is gone"):
        Studio().reproduce(tmp_path / "out" / "0001.png", tmp_path / "once more")


# Prompts


def test_a_weight_changes_the_image_and_a_weight_of_one_does_not(paint):
    pictures = [paint(str(i), prompt=f"a (cat{weight}) on the beach")[0][0] for i, weight in enumerate((":1", ":4"))]
    (plain,), _ = paint("plain", prompt="a cat on the beach")
    assert np.abs(pictures[0] - plain).max() <= 1 and np.abs(pictures[1] - plain).max() > 1


STATES = {
    "mean zero": lambda states: states - states.mean(),
    "mean tiny": lambda states: states - states.mean() + 2e-5,
    "mean negative": lambda states: states - 3,
    "large": lambda states: 1e4 * states,
    "all zero": lambda states: 0 * states,
    "signs balanced": lambda states: torch.cat([states[:, ::2], -states[:, ::2]], dim=1),
}


@pytest.mark.parametrize("kind", STATES)
def test_weights_move_states_in_proportion_whatever_their_mean(kind):
    """A token of weight w is w times as far from the empty prompt's as it was, in the same direction."""
    rng = torch.Generator().manual_seed(5)
    for _ in range(40):
        states = STATES[kind](torch.randn(2, 8, 16, generator=rng))
        empty = torch.randn(1, 8, 16, generator=rng)
        weights = torch.rand(2, 8, generator=rng) * 10
        weights[:, 0], weights[:, 1] = 1.0, 0.0
        weights[0, 2] = 1 / (weights[0] / weights[0].sum()).sum()
        ids = torch.zeros(1, 8, dtype=torch.long)
        found = apply_weights(states, [Chunks(ids, row[None]) for row in weights], empty)
        by_hand = np.empty((2, 8, 16))
        for part in range(2):
            for token in range(8):
                away = states[part, token].double().numpy() - empty[0, token].double().numpy()
                by_hand[part, token] = empty[0, token].double().numpy() + float(weights[part, token]) * away
        assert np.allclose(found.numpy(), by_hand, rtol=1e-4, atol=1e-4 * (1 + states.abs().max().item()))
        assert torch.equal(found[:, 0], states[:, 0]), "a weight of 1 changes nothing, to the bit"
        assert torch.equal(found[:, 1], empty[0, 1].expand(2, -1))


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_weights_have_an_effect_on_their_own_words_only(tiny_folder, family):
    folder, family = tiny_folder(family), registry.families.get(family)
    components = family.load(ModelSource(str(folder)), torch.float32, torch.device("cpu"))
    plain, neutral, heavy = (
        conditioning(family, components, [text], "a (dog:1.2)")
        for text in ("a cat on the beach", "a (cat:1) on the (beach:1.0)", "a (cat:1.5) on the beach")
    )
    assert all(torch.equal(plain[name], neutral[name]) for name in plain)
    moved = (heavy["prompt_embeds"] - plain["prompt_embeds"]).abs().amax(-1)[0]
    assert moved.nonzero().flatten().tolist() == [2], "the third token: after the start and the article"
    others = [name for name in plain if name != "prompt_embeds"]
    assert all(torch.equal(plain[name], heavy[name]) for name in others)


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_a_prompt_of_any_length_is_read_to_its_end(paint, tiny_folder, family):
    model = str(tiny_folder(family))
    long = "a photo of a cat on the beach in the park, " * 5
    (one,), events = paint(model=model, prompt=long + "a red hat", negative_prompt="a dog")
    (two,), _ = paint("two", model=model, prompt=long + "a blue hat", negative_prompt="a dog")
    assert not np.array_equal(one, two)
    assert not any("left out" in getattr(event, "text", "") for event in events)


def test_many_prompts_of_which_one_is_long(tiny_sd):
    family, folder = registry.families.get("sd"), ModelSource(str(tiny_sd))
    components = family.load(folder, torch.float32, torch.device("cpu"))
    prompts = [f"a cat number {index}" for index in range(70)] + ["a photo of a cat on the beach, " * 8]
    expected = conditioning(family, components, prompts)["prompt_embeds"]
    assert len(expected) == 71 and expected.shape[1] > 24
    assert torch.allclose(expected[3, :24], family.encode_text(components, prompts[3:4])["prompt_embeds"][0], atol=1e-5)


def test_chunks_are_full_and_break_between_words(tiny_sd):
    tokenizer = DiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True).tokenizer
    plain = tokenizer("a photo of a cat", padding="max_length", max_length=24, return_tensors="pt").input_ids
    parts = to_chunks(tokenizer, "a photo of a cat")
    assert torch.equal(parts.ids, plain) and bool((parts.weights == 1).all())
    parts = to_chunks(tokenizer, "a photo of a (cat:1.5) on the beach, " * 6)
    assert len(parts.ids) > 1 and parts.ids.shape[1] == 24
    assert bool((parts.ids[:, 0] == tokenizer.bos_token_id).all())
    assert (parts.weights == 1.5).sum() >= 6
