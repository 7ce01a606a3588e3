"""Prompts and settings that A1111, InvokeAI, ComfyUI and Limner write into images."""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

import hostile
from hostile import within
from limner.core.errors import LimnerError
from limner.data.prompts.embedded import settings_in
from limner.data.prompts.records import record_of
from limner.imaging.embedded_texts import embedded_texts

A1111 = (
    "a corgi, <lora:pets:0.8> on a beach\nNegative prompt: blurry, ugly\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768, Model hash: abc, "
    'Model: "dream, v1", Version: v1'
)
COMFY = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dream.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a corgi", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768}},
    "6": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["2", 0]}},
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 2**64 - 1, "steps": 20, "cfg": 7.5, "sampler_name": "euler", "positive": ["6", 0],
            "negative": ["3", 0], "latent_image": ["4", 0],
        },
    },
}  # fmt: skip
INVOKE = {
    "positive_prompt": "a corgi", "negative_prompt": "blurry", "steps": 30, "cfg_scale": 7.5, "scheduler": "euler",
    "seed": 5, "width": 512, "height": 768, "model": {"name": "dream"},
}  # fmt: skip


def png(**texts: str) -> bytes:
    info, file = PngInfo(), BytesIO()
    for name, text in texts.items():
        info.add_itxt(name, text) if not text.isascii() else info.add_text(name, text)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def exif(kind: str, comment: bytes) -> bytes:
    image, file = Image.new("RGB", (8, 8)), BytesIO()
    found = Image.Exif()
    found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    image.save(file, kind, exif=found)
    return file.getvalue()


def of(data: bytes) -> dict:
    return settings_in(embedded_texts(data))


@pytest.mark.parametrize(
    "data",
    [
        png(parameters=A1111),
        *(
            exif(kind, comment)
            for kind in ("JPEG", "WEBP")
            for comment in (
                b"UNICODE\0" + A1111.encode("utf-16-be"),
                b"UNICODE\0" + A1111.encode("utf-16-le"),
                b"ASCII\0\0\0" + A1111.encode(),
                A1111.encode(),
            )
        ),
    ],
)
def test_a1111(data):
    record = record_of(of(data))
    assert (record.prompt, record.negative, record.adapter) == ("a corgi,  on a beach", "blurry, ugly", "pets")
    assert (record.steps, record.sampler, record.guidance, record.seed) == (20, "Euler a", 7, 1)
    assert (record.width, record.height, record.model) == (512, 768, "dream, v1")


def test_a1111_without_settings_or_negative():
    assert of(png(parameters="a cat")) == {"prompt": "a cat", "negative": ""}
    assert of(png(parameters="a cat\nSteps: 2, Sampler: x, Seed: 3"))["negative"] == ""
    assert of(png(parameters="chat café\nSteps: 2, Sampler: x, Seed: 3"))["prompt"] == "chat café"
    assert of(png(parameters="Steps: 2, Sampler: x, Seed: 3")) == {}


def test_limner_writes_what_is_read(tmp_path):
    from limner.core.requests import GenerateRequest
    from limner.provenance.labels import Label, write_png

    request = GenerateRequest(prompt="a dog, in snow: night", negative_prompt="text", steps=7, guidance=3.5)
    label = Label(
        request=request,
        index=0,
        seed=9,
        version="1",
        model={"reference": "starter", "sha256": None, "licence": ""},
    )
    write_png(Image.new("RGB", (128, 64)), tmp_path / "a.png", label, "algorithmicMedia")
    record = record_of(of((tmp_path / "a.png").read_bytes()))
    assert (record.prompt, record.negative) == ("a dog, in snow: night", "text")
    assert (record.steps, record.guidance, record.seed, record.width, record.height) == (7, 3.5, 9, 128, 64)


def test_invokeai_and_comfyui():
    record = record_of(of(png(invokeai_metadata=json.dumps(INVOKE))))
    assert (record.prompt, record.negative, record.model, record.sampler, record.seed) == (
        "a corgi", "blurry", "dream", "euler", 5,
    )  # fmt: skip
    record = record_of(of(png(prompt=json.dumps(COMFY), workflow="{}")))
    assert (record.prompt, record.negative, record.model, record.seed) == (
        "a corgi", "blurry", "dream.safetensors", 2**64 - 1,
    )  # fmt: skip
    assert (record.steps, record.guidance, record.width, record.height) == (20, 7.5, 512, 768)


def test_the_sampler_that_is_connected_with_a_text_counts():
    first = {"class_type": "SamplerCustomAdvanced", "inputs": {"sampler": ["9", 0]}}
    assert of(png(prompt=json.dumps({"0": first} | COMFY)))["prompt"] == "a corgi"
    flux = {
        "1": {"class_type": "SamplerCustomAdvanced", "inputs": {"guider": ["2", 0], "noise_seed": 4}},
        "2": {"class_type": "BasicGuider", "inputs": {"conditioning": ["3", 0]}},
        "3": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["4", 0]}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "a corgi"}},
        "5": {"class_type": "CheckpointLoader"},
    }
    assert of(png(prompt=json.dumps(flux))) == {"prompt": "a corgi", "negative": "", "seed": 4}


@pytest.mark.parametrize(
    "graph",
    [
        "", "[]", "{", "[" * 10_000, '{"a":' * 10_000, "null", '{"1": []}', '{"1": {"class_type": "KSampler"}}',
        '{"1": {"class_type": "KSampler", "inputs": {"positive": ["1", 0]}}}',
        '{"1": {"class_type": "KSampler", "inputs": {"positive": [{}, 0], "conditioning": ["1", 0]}}}',
        '{"1": {"class_type": "KSampler", "inputs": {"positive": []}}, "2": {"class_type": "CheckpointLoader"}}',
    ],
)  # fmt: skip
def test_graphs_without_a_prompt(graph):
    assert within(settings_in, {"prompt": graph}) == {}
    assert within(settings_in, {"invokeai_metadata": graph}) == {}


def test_hostile_texts_take_linear_time():
    for text in (*hostile.texts("", "\nSteps: 1, Seed: 2, Size: 3"), 'a:"' * 300_000, "a\n" + 'a:"x' * 250_000):
        within(settings_in, {"parameters": text})
        within(settings_in, {"parameters": f"x\n{text}"})


def test_images_with_far_too_many_pixels_are_not_decoded():
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def huge(side: int) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        text = chunk(b"tEXt", b"parameters\0a cat")
        return b"\x89PNG\r\n\x1a\n" + head + text + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    assert within(of, huge(10_000))["prompt"] == "a cat"
    with pytest.raises(LimnerError, match="has too many pixels; save a smaller copy of it"):
        within(of, huge(60_000))


def test_a_text_that_unpacks_to_very_much_is_not_read():
    info, file = PngInfo(), BytesIO()
    info.add_text("parameters", "a" * (8 * 2**20), zip=True)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    assert within(of, file.getvalue()) == {}
