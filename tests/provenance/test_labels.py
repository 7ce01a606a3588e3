"""Labels in generated PNGs: they survive, A1111's parsers read them, and hostile ones are rejected in one line."""

import json
import os
import re
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.core.errors import LimnerError
from limner.core.execution import as_body
from limner.core.requests import GenerateRequest, TrainRequest
from limner.provenance import labels
from limner.provenance.labels import Label, a1111_parameters, read_label, write_png

READER = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
ODD = 'ein Wölfchen, "sitzend"\n犬 🐶 \u202e\x01 ' + "\u0301"


def label(adapters=(), model="starter", sha256="a" * 64, **fields):
    request = GenerateRequest(**{"prompt": "a dog", "scheduler": "euler", "steps": 30, "guidance": 7.5, **fields})
    mark = {"reference": model, "sha256": sha256, "licence": "apache-2.0"}
    return Label(request=request, index=3, seed=45, version="0.1.0", model=mark, adapters=adapters)


def adapter(name="rex", weight=0.8):
    return {"name": name, "path": "/a/rex.safetensors", "sha256": "0123456789abcdef" * 4, "weight": weight}


def parsed(text):
    """Prompt, negative prompt and facts as a reader of A1111's text sees them."""
    *lines, last = text.split("\n")
    prompt, _, negative = "\n".join(lines).partition("\nNegative prompt: ")
    facts = dict(READER.findall(last))
    assert len(facts) >= 3
    return prompt, negative, {key: json.loads(value) if value[:1] == '"' else value for key, value in facts.items()}


def picture(size=(16, 8)):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def written(path, text):
    """A PNG whose `limner` text is what is given."""
    info = PngInfo()
    info.add_text("limner", text)
    picture().save(path, "PNG", pnginfo=info)
    return path


def refusal(path):
    with pytest.raises(LimnerError) as caught:
        read_label(path)
    line = str(caught.value)
    assert line.isprintable() and len(line) < 500, line
    return line


@pytest.mark.parametrize("prompt", ["a dog", "café au lait", ODD])
def test_round_trip(tmp_path, prompt):
    marks = (adapter(), adapter("犬", -1.5))
    before = label(marks, prompt=prompt, negative_prompt=prompt, adapter=("x.safetensors:0.5",))
    write_png(picture(), tmp_path / "a.tmp", before)
    assert read_label(tmp_path / "a.tmp") == before
    with Image.open(tmp_path / "a.tmp") as image:
        image.load()
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), np.asarray(picture()))
        assert image.text["parameters"] == a1111_parameters(before, (16, 8))
        xmp = ElementTree.fromstring(image.text["XML:com.adobe.xmp"])
    kinds = [node.text for node in xmp.iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")]
    assert kinds == ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]


def test_a_training_picture_has_no_parameters(tmp_path):
    before = label().model_copy(update={"request": as_body(TrainRequest(data="d", class_word="dog"))})
    write_png(picture(), tmp_path / "a.png", before)
    assert read_label(tmp_path / "a.png") == before
    with Image.open(tmp_path / "a.png") as image:
        assert "parameters" not in image.text
    assert a1111_parameters(before) == ""


def test_parameters_exactly():
    text = a1111_parameters(label((adapter(),), negative_prompt="blur", width=512, height=768, guidance=7, steps=20))
    assert text == (
        "a dog <lora:rex:0.8>\nNegative prompt: blur\n"
        "Steps: 20, Sampler: euler, CFG scale: 7, Seed: 45, Size: 512x768, Model hash: aaaaaaaaaa, Model: starter, "
        'Lora hashes: "rex: 0123456789ab", Version: limner 0.1.0'
    )


def test_parameters_leave_out_what_is_not_known():
    text = a1111_parameters(label(sha256=None, scheduler=None))
    assert text == "a dog\nSteps: 30, CFG scale: 7.5, Seed: 45, Model: starter, Version: limner 0.1.0"
    assert "Size: 16x8" in a1111_parameters(label(), (16, 8))


@pytest.mark.parametrize("model", ["C:\\models\\x", 'a, "b": c\nd', "org/name", " padded ", "模型,型"])
def test_parameters_are_parsed_back(model):
    marks = (adapter(), adapter("a:b,<c>\nd", 1.0))
    prompt, negative, facts = parsed(
        a1111_parameters(label(marks, model=model, prompt="one\ntwo, three: 3", negative_prompt="bad\nworse"), (8, 9))
    )
    assert prompt == "one\ntwo, three: 3 <lora:rex:0.8> <lora:a_b_c_d:1>"
    assert negative == "bad\nworse"
    assert facts == {
        "Steps": "30",
        "Sampler": "euler",
        "CFG scale": "7.5",
        "Seed": "45",
        "Size": "8x9",
        "Model hash": "aaaaaaaaaa",
        "Model": model,
        "Lora hashes": "rex: 0123456789ab, a_b_c_d: 0123456789ab",
        "Version": "limner 0.1.0",
    }


def test_nul_in_a_prompt_does_not_cut_the_text(tmp_path):
    write_png(picture(), tmp_path / "a.png", label(prompt="a\0b"))
    assert read_label(tmp_path / "a.png").request.prompt == "a\0b"
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["parameters"].startswith("ab\nSteps")


def test_an_ordinary_png_has_no_label(tmp_path):
    picture().save(tmp_path / "a.png")
    assert read_label(tmp_path / "a.png") is None
    line = str(labels.label_error(tmp_path / "a.png"))
    assert line == "'a.png' carries no Limner request; only images that Limner generated can be reproduced"


GOOD = json.loads(label().model_dump_json())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "label: it is not valid JSON)"),
        ("{", "label: it is not valid JSON)"),
        ("[" * 100_000, "label: it is not valid JSON)"),
        ("[]", "label: "),
        ("null", "label: "),
        (json.dumps(GOOD | {"extra": 1}), "extra: "),
        (json.dumps(GOOD | {"request": GOOD["request"] | {"x\n\x1b[31m": 1}}), "request.generate.x [31m"),
        (json.dumps(GOOD | {"request": GOOD["request"] | {"kind": "rm\n-rf\x07"}}), "kind"),
        (json.dumps(GOOD | {"request": GOOD["request"] | {"prompt": ""}}), "prompt"),
        (json.dumps(GOOD | {"seed": -1}), "seed: "),
        (json.dumps(GOOD | {"seed": float("inf")}), "seed"),
        (json.dumps(GOOD | {"model": GOOD["model"] | {"extra": 1}}), "model.extra: "),
        (json.dumps(GOOD | {"adapters": [adapter() | {"weight": float("nan")}]}), "weight"),
        (json.dumps(GOOD | {"version": "x" * 2**20}), "longer than"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "model"}), "model: it is missing"),
    ],
)
def test_hostile_labels(tmp_path, text, words):
    line = refusal(written(tmp_path / "h.png", text))
    assert "'h.png' carries no Limner request" in line and words in line


def test_a_text_bomb_is_no_label(tmp_path):
    info = PngInfo()
    info.add_text("limner", "x" * 50_000_000, zip=True)
    picture().save(tmp_path / "bomb.png", pnginfo=info)
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    assert read_label(tmp_path / "bomb.png") is None


def test_files_that_are_no_png(tmp_path):
    picture().save(tmp_path / "a.jpg")
    assert "it is not a PNG file" in refusal(tmp_path / "a.jpg")
    (tmp_path / "t\n.png").write_text("text")
    assert r"'t\n.png' carries no Limner request" in refusal(tmp_path / "t\n.png")
    (tmp_path / "e.png").write_bytes(b"")
    assert "not a PNG" in refusal(tmp_path / "e.png")
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "none.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "named pipe" in refusal(tmp_path / "pipe.png")


def test_truncated_everywhere(tmp_path):
    write_png(picture((4, 4)), tmp_path / "a.png", label())
    data = (tmp_path / "a.png").read_bytes()
    for end in [*range(8, len(data) - 12, 97), len(data) - 13, len(data) - 12, len(data) - 5]:
        (tmp_path / "cut.png").write_bytes(data[:end])
        assert "damaged or unfinished" in refusal(tmp_path / "cut.png")


def test_huge_size_and_flipped_byte(tmp_path):
    head = struct.pack(">IIBBBBB", 10**6, 10**6, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (tmp_path / "bomb.png").write_bytes(bomb)
    assert "carries no Limner request" in refusal(tmp_path / "bomb.png")
    write_png(picture(), tmp_path / "a.png", label())
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[100] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    assert "damaged" in refusal(tmp_path / "a.png")


def test_a_label_refuses_unknown_keys_and_wrong_hashes():
    for change in ({"x": 1}, {"index": -1}, {"model": {"reference": "m", "sha256": "short", "licence": "mit"}}):
        with pytest.raises(ValueError):
            Label.model_validate(GOOD | change)
