"""Judged images: encoded once in the shapes that are asked for, and their initial noise."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.preferences import JudgedImage
from limner.engine.train.feedback_images import FeedbackEncoder, InitialNoise, own_noise, precision_of
from limner.models import devices
from limner.provenance.labels import Label, write_png
from rated import COMPONENTS, feedback

SQUARE = (8, 8)


class Family:
    """Latents are the mean colour; a text is encoded as its length. It counts what it encodes."""

    facts = SimpleNamespace(noise_precision=None)

    def __init__(self):
        self.images, self.texts = 0, []

    def encode_images(self, components, pixels, rng):
        self.images += len(pixels)
        return torch.nn.functional.avg_pool2d(pixels, 8) + torch.rand((), generator=rng) * 1e-6

    def encode_text(self, components, prompts):
        self.texts += prompts
        return {"length": torch.tensor([[float(len(prompt))] for prompt in prompts])}


@pytest.fixture
def image(tmp_path):
    """Write an image of one grey level, and return it as a judged one."""

    def make(level, prompt="a dog", size=SQUARE, **fields):
        path = tmp_path / f"{level}-{size[0]}.png"
        Image.new("RGB", size, (level,) * 3).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return JudgedImage(sha256=sha256, location=str(path), prompt=prompt, width=size[0], height=size[1], **fields)

    return make


def encoded(images, family=None):
    return FeedbackEncoder(family or Family(), COMPONENTS, 42).encode(images)


def test_each_image_is_encoded_once_for_each_shape_and_prompt(image):
    family, dark, light = Family(), image(0), image(255)
    cat = dark.model_copy(update={"prompt": "a cat or so"})
    found = encoded([(dark, SQUARE), (light, SQUARE), (dark, SQUARE), (cat, SQUARE), (light, (16, 8))], family)
    assert family.images == 4 and sorted(family.texts) == ["a cat or so", "a dog", "a dog"]
    square = found[SQUARE]
    examples = square.examples
    assert len(examples) == 3 and len(found[16, 8].examples) == 1
    for each, level, length in ((dark, -1, 5), (light, 1, 5), (cat, -1, 11)):
        place = square.place(each)
        assert examples.latents[place, 0, 0, 0, 0].item() == pytest.approx(level, abs=1e-5)
        assert examples.text_of(examples.captions_for([place]))["length"].item() == length


def test_feedback_in_another_order_is_encoded_alike(image):
    images = [(image(level), SQUARE) for level in (0, 100, 255)]
    one, other = encoded(images)[SQUARE], encoded(images[::-1])[SQUARE]
    assert torch.equal(one.examples.latents, other.examples.latents) and one.places == other.places


def test_a_changed_file_is_refused(image):
    changed = image(0).model_copy(update={"sha256": "0" * 64})
    with pytest.raises(LimnerError, match="has changed since it was scanned"):
        encoded([(changed, SQUARE)])


def test_noise_is_known_of_an_image_with_a_seed_in_its_own_shape(image):
    known, unknown = image(0, seed=7), image(255)
    square = encoded([(known, SQUARE), (unknown, SQUARE)])[SQUARE]
    assert square.noise[square.place(known)] == InitialNoise(7, torch.float32)
    assert square.noise[square.place(unknown)] is None
    assert encoded([(known, (16, 8))])[16, 8].noise == (None,), "its noise had another shape"


def test_a_family_may_draw_noise_in_a_format_of_its_own(image):
    family = Family()
    family.facts = SimpleNamespace(noise_precision="bf16")
    assert encoded([(image(0, seed=7), SQUARE)], family)[SQUARE].noise == (InitialNoise(7, torch.bfloat16),)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_noise_is_what_diffusers_draws(dtype):
    from diffusers.utils.torch_utils import randn_tensor

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in (3, 7)]
    wanted = randn_tensor((2, 4, 8, 6), generators, torch.device("cpu"), dtype)
    found = InitialNoise(7, dtype).draw(torch.Size((4, 8, 6)))
    assert torch.equal(found, wanted[1].float()) and found.dtype == torch.float32


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32), ("auto", torch.float32)]
)
def test_the_label_says_in_which_format_an_image_was_generated(image, tmp_path, precision, dtype):
    from limner import GenerateRequest

    path = tmp_path / "labelled.png"
    request = GenerateRequest(prompt="a dog", precision=precision)
    mark = {"reference": "starter", "sha256": None, "licence": "none"}
    label = Label(request=request, index=0, seed=7, version="1", model=mark)
    write_png(Image.new("RGB", SQUARE), path, label)
    labelled = image(0).model_copy(update={"location": str(path)})
    assert precision_of(labelled, torch.device("cpu")) is dtype
    path.write_bytes(b"damaged")
    assert precision_of(labelled, torch.device("cpu")) is devices.pick_dtype("auto", torch.device("cpu"))


def test_images_have_their_own_noise_where_it_is_known_of_all_of_a_row():
    size = torch.Size((1, 2, 2))
    noise = [InitialNoise(seed, torch.float32) for seed in (1, 2, 3)]
    images = feedback([0.0] * 4, (*noise, None), size=(2, 2))
    drawn = torch.randn(2, *size)
    better, worse = own_noise(images, [[0, 2], [1, 3]], drawn)
    assert torch.equal(better[0], noise[0].draw(size)) and torch.equal(worse[0], noise[1].draw(size))
    assert torch.equal(better[1], drawn[1]) and torch.equal(worse[1], drawn[1]), "the noise of the worse is not known"
