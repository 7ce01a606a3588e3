"""Sizes, crops and strengths of passes over an image, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner import GenerateRequest
from limner.core.errors import LimnerError
from limner.engine.generate import generate, refining
from limner.engine.generate.batching import ImageRow, Job
from limner.engine.generate.checks import check_side, pass_strengths, strengths
from limner.engine.generate.generate import refined
from limner.engine.generate.inputs import Inputs, image_size
from limner.engine.generate.pipelines import arguments
from limner.engine.generate.refining import SecondPass, run_second_pass, second_passes
from limner.imaging.crop import fit


def request(**fields):
    return GenerateRequest(prompt="a", **fields)


@pytest.mark.parametrize(
    ("asked", "given", "size"),
    [
        ({}, None, (512, 512)),
        ({"width": 640}, None, (640, 512)),
        ({"height": 640}, None, (512, 640)),
        ({}, (512, 512), (512, 512)),
        ({}, (1024, 256), (1024, 256)),
        ({}, (300, 300), (512, 512)),
        ({}, (200, 100), (728, 360)),
        ({"width": 400}, (200, 100), (400, 200)),
        ({"height": 400}, (200, 100), (800, 400)),
        ({"width": 256, "height": 512}, (200, 100), (256, 512)),
        ({"width": 16}, (1000, 10), (16, 8)),
    ],
)
def test_the_size_keeps_the_aspect_ratio_at_the_models_area(asked, given, size):
    """Of 2 x 1 the sides are 512 root 2 and 512 / root 2, that is 724 and 362, to the next eights."""
    assert image_size(request(**asked), given, 512, 8) == size


def test_an_image_is_cropped_in_its_middle():
    """Stripes of three colours: of one twice as wide as it should be, the outer quarters go."""
    pixels = np.zeros((8, 32, 3), np.uint8)
    pixels[:, :8], pixels[:, 8:24], pixels[:, 24:] = 50, 100, 200
    wide = Image.fromarray(pixels)
    assert np.asarray(fit(wide, (16, 8))).reshape(-1, 3)[[0, 64, -1]].tolist() == [[100] * 3] * 3
    tall = fit(wide.transpose(Image.Transpose.ROTATE_90), (8, 16))
    assert tall.size == (8, 16) and abs(np.asarray(tall).mean() - 100) < 8
    assert fit(wide, (32, 8)) is wide
    assert fit(wide, (64, 16)).size == (64, 16) and np.asarray(fit(wide, (64, 16)))[0, 0, 0] == 50


@pytest.mark.parametrize(
    ("fields", "steps", "found"),
    [
        ({}, 30, (0.6, 0.4, 0.3)),
        ({"image": "a.png", "mask": "b.png"}, 30, (1.0, 0.4, 0.3)),
        ({"image": "a.png", "strength": 0.25, "hires": 2, "hires_strength": 0.5}, 30, (0.25, 0.5, 0.3)),
        ({}, 1, (1.0, 1.0, 1.0)),
        ({}, 3, (0.6, 0.4, 1 / 3)),
    ],
)
def test_default_strengths(fields, steps, found):
    """As in the help: 0.6, with a mask 1; enlarged 0.4; by a refiner 0.3; at least one step."""
    names = ("strength", "hires_strength", "refiner_strength")
    assert tuple(strengths(request(**fields), steps)[name] for name in names) == pytest.approx(found)


@pytest.mark.parametrize(("strength", "steps"), [(0.1, 10), (0.5, 2), (1.0, 1), (0.34, 3)])
def test_a_strength_of_one_step_is_accepted(strength, steps):
    assert strengths(request(image="a.png", strength=strength), steps)["strength"] == strength


@pytest.mark.parametrize(
    ("strength", "steps", "least"), [(0.09, 10, 0.1), (0.49, 2, 0.5), (0.99, 1, 1.0), (0.3, 3, 0.34)]
)
def test_a_strength_without_a_step_is_refused(strength, steps, least):
    with pytest.raises(LimnerError, match=f"leaves none of {steps} steps; use {least} or more"):
        strengths(request(image="a.png", strength=strength), steps)


def inputs(image, mask):
    return Inputs(image.size, image, mask, (), (), {})


def test_black_in_the_mask_is_bit_identical_to_the_input():
    rng = np.random.default_rng(0)
    image, painted = (rng.integers(0, 256, (4, 12, 3)).astype(np.uint8) for _ in range(2))
    hole = np.zeros((4, 12), np.uint8)
    hole[:, 6:] = 255
    given = inputs(Image.fromarray(image), Image.fromarray(hole))
    found = given.keep_outside_mask(painted)
    assert np.array_equal(found[:, :6], image[:, :6]) and np.array_equal(found[:, 6:], painted[:, 6:])
    assert np.array_equal(given.mask_for(painted), hole)
    larger = np.zeros((8, 24, 3), np.uint8)
    part = given.mask_for(larger)
    assert part.shape == (8, 24) and part[:, :4].max() == 0 and part[:, 20:].min() == 255
    plain = Inputs((12, 4), None, None, (), (), {})
    assert plain.keep_outside_mask(painted) is painted and plain.mask_for(painted) is None


@pytest.mark.parametrize(
    ("scale", "size"), [(1.0, (40, 24)), (2.0, (80, 48)), (1.5, (64, 32)), (1.2, (48, 32)), (1.35, (48, 32))]
)
def test_sides_of_an_enlarged_image_are_multiples_of_16(scale, size):
    """Every family takes those; a refiner, which enlarges nothing, keeps the size that there is."""
    given = {}

    class Pipeline:
        def set_progress_bar_config(self, disable):
            pass

        def __call__(self, image=None, height=None, width=None, strength=None, generator=None, **named):
            given.update(size=image[0].size, side=(width, height), strength=strength, seed=generator[0].initial_seed())
            return SimpleNamespace(images=np.zeros((1, height, width, 3)))

    pixels = np.zeros((24, 40, 3), np.uint8)
    sampling = {"steps": 2, "guidance": 3.0}
    again = run_second_pass(SecondPass(Pipeline(), 0.4, scale), {}, pixels, 11, sampling, lambda done: None)
    assert again.shape[1::-1] == size == given["size"]
    assert given["side"] in (size, (None, None)) and (given["strength"], given["seed"]) == (0.4, 11)


@pytest.mark.parametrize(("pixels", "nearest"), [(60, 64), (100, 96), (3, 8), (65, 64)])
def test_the_error_of_a_wrong_side_has_the_nearest_multiple(pixels, nearest):
    check_side("width", nearest, 8)
    check_side("width", None, 8)
    with pytest.raises(LimnerError, match=f"width {pixels} is not a multiple of 8; use {nearest}"):
        check_side("width", pixels, 8)


def test_a_reduced_image_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(np.asarray(fit(Image.fromarray(stripes), (8, 8))).astype(int) - 127).max() <= 8


def test_each_second_pass_has_the_seed_of_its_image(monkeypatch):
    """With the conditioning of the first pass, or with its own."""
    given = []
    monkeypatch.setattr(
        generate, "run_second_pass", lambda second, prompt, pixels, seed, *rest: given.append((prompt, seed)) or pixels
    )
    job = Job(request(seed=10, count=3), None, lambda event: None, {"own": [1]})
    again = [SecondPass(None, 0.4, 2.0), SecondPass(None, 0.3, 1.0, {"prompt": ["a"]})]
    for index in (0, 2):
        refined(ImageRow(job, index), np.zeros((8, 8, 3), np.uint8), again, Inputs((8, 8), None, None, (), (), {}), {})
    assert given == [(prompt, seed) for seed in (10, 12) for prompt in ({"own": [1]}, {"prompt": ["a"]})]


def test_a_refiner_encodes_both_prompts_itself(monkeypatch):
    class Pipeline:
        def __call__(self, strength):
            pass

    monkeypatch.setattr(refining, "load_refiner", lambda *given: Pipeline())
    monkeypatch.setattr(refining, "pipeline_for", lambda *given, **named: Pipeline())
    asked = request(negative_prompt="blurry", refiner="x", hires=1.5)
    base = SimpleNamespace(dtype=None, device=None)
    first, second = second_passes(asked, base, {"hires_strength": 0.4, "refiner_strength": 0.3})
    assert (first.strength, first.scale, first.conditioning) == (0.4, 1.5, None)
    assert (second.strength, second.scale) == (0.3, 1.0)
    assert second.conditioning == {"prompt": ["a"], "negative_prompt": ["blurry"]}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, {1.0}),
        ({"image": "a.png"}, {0.6}),
        ({"hires": 2}, {1.0, 0.4}),
        ({"image": "a.png", "hires": 2}, {0.6, 0.4}),
    ],
)
def test_a_scheduler_is_checked_for_each_of_its_passes(fields, found):
    assert pass_strengths(request(**fields), {"strength": 0.6, "hires_strength": 0.4}) == found


def test_control_images_have_their_own_weights():
    class Pipeline:
        def __call__(self, image=None):
            pass

    guides = tuple(Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    controls = [f"canny=a.png:{weight}" for weight in (0.5, 1.5)]
    for count, expected in ((1, 0.5), (2, [0.5, 1.5])):
        asked = GenerateRequest.model_validate({"prompt": "a", "control": controls[:count]})
        given = Inputs((8, 8), None, None, guides[:count], guides[:count], {})
        rows, settings = arguments(asked, Pipeline(), given, 1.0)
        assert settings["controlnet_conditioning_scale"] == expected
        assert (rows | settings)["image"] == list(guides[:count])
