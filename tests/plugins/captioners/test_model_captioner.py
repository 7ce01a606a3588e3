"""Captioning models by name: the captions of the stock library, in batches, and errors for broken folders."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, ViTImageProcessorPil, pipeline

from caption_models import MODELS, WORDS, tokenizer
from limner.core.errors import LimnerError
from limner.plugins import registry
from limner.plugins.captioners import model as captioner

PICTURES = [
    Image.fromarray(np.random.default_rng(at).integers(0, 256, (24 + 8 * at, 40, 3), dtype=np.uint8)) for at in range(3)
]
LIMITS = {"max_new_tokens": captioner.LONGEST, "do_sample": False}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: build(tmp_path_factory.mktemp("caption_models") / name) for name, build in MODELS.items()}


def stock(name, folder, image):
    """What the library's own pipeline, or its classes, say of one picture."""
    if name == "llava":
        content = [{"type": "image", "image": image}, {"type": "text", "text": captioner.QUESTION}]
        pipe = pipeline("image-text-to-text", model=str(folder))
        output = pipe(text=[{"role": "user", "content": content}], return_full_text=False, generate_kwargs=LIMITS)
        return output[0]["generated_text"]
    own = name == "encoder_decoder"
    processor = ViTImageProcessorPil.from_pretrained(folder) if own else AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    tokens = model.generate(**processor(images=image, return_tensors="pt"), **LIMITS)
    return tokenizer().decode(tokens[0], skip_special_tokens=True)


@pytest.mark.parametrize("name", MODELS)
def test_it_says_what_the_library_says(folders, name):
    speaker = registry.captioners.get("model").speaker(str(folders[name]), "cpu")
    output = speaker.captions(PICTURES, None)
    assert output == [" ".join(stock(name, folders[name], image).split()) for image in PICTURES]
    assert len(set(output)) == 3 and all(set(text.split()) <= set(WORDS) for text in output)
    assert output == speaker.captions(PICTURES, None)
    assert speaker.fields(PICTURES) == [{}, {}, {}]


def test_batches_change_nothing(folders, monkeypatch):
    speaker = captioner.plugin.speaker(str(folders["llava"]), "cpu")
    together = speaker.captions(PICTURES, None)
    monkeypatch.setattr(captioner, "BATCH", 2)
    assert speaker.captions(PICTURES, None) == together
    assert speaker.captions([], None) == []
    assert speaker.captions([PICTURES[0].convert("L").convert("RGBA")], None) == speaker.captions(
        [PICTURES[0].convert("L")], None
    )


def test_the_prompt_of_a_chat_model_contains_the_words(folders):
    speaker = captioner.plugin.speaker(str(folders["llava"]), "cpu")
    ids = speaker._inputs(PICTURES[:1], "the red car")["input_ids"][0]
    output = AutoProcessor.from_pretrained(folders["llava"]).decode(ids)
    assert "[UNK]" in output and output.startswith("ASK :")
    assert len(ids) > len(speaker._inputs(PICTURES[:1], "")["input_ids"][0])
    assert all("sks dog" in text for text in speaker.captions(PICTURES, "sks dog"))


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("a dog on the beach", "sks dog", "sks dog on the beach"),
        ("a small bear sits", "zwx teddy bear", "a small zwx teddy bear sits"),
        ("a teddy bear sits", "zwx teddy bear", "zwx teddy bear sits"),
        ("a puppy", "sks dog", "sks dog, a puppy"),
        ("a cat", "cat", "a cat"),
        ("a cat", "dog", "dog, a cat"),
        ("", "sks dog", ""),
        ("a cat", "", "a cat"),
    ],
)
def test_the_subject_is_called_by_its_words(text, words, expected):
    assert captioner._with_name(text, words) == expected


def test_a_model_that_is_no_captioner_is_an_error_in_one_line(folders, tmp_path, home):
    speaker = captioner.plugin.speaker
    with pytest.raises(LimnerError, match="needs a model"):
        speaker(None, "cpu")
    with pytest.raises(LimnerError, match="captioner 'nobody/nothing' is not on disk and could not be fetched"):
        speaker("nobody/nothing", "cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LimnerError, match="incomplete or no captioner"):
        speaker(str(tmp_path / "empty"), "cpu")


def spoilt(folder, to):
    return shutil.copytree(folder, to)


def test_pickles_and_parts_are_refused(folders, tmp_path, home):
    pickled = spoilt(folders["blip"], tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(LimnerError, match="pickles are refused"):
        captioner.plugin.speaker(str(pickled), "cpu")
    lacking = spoilt(folders["blip"], tmp_path / "lacking")
    config = json.loads((lacking / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 2
    (lacking / "config.json").write_text(json.dumps(config))
    with pytest.raises(LimnerError, match="is incomplete: it has no 'vision_model"):
        captioner.plugin.speaker(str(lacking), "cpu")


def test_code_of_a_models_own_is_not_run(folders, tmp_path, home):
    own = spoilt(folders["blip"], tmp_path / "own")
    (own / "mine.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\nclass Model: pass\n")
    config = json.loads((own / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageTextToText": "mine.Model"}
    (own / "config.json").write_text(json.dumps(config))
    assert captioner.plugin.speaker(str(own), "cpu").captions(PICTURES[:1], None)
    assert not (tmp_path / "was run").exists()


def test_on_a_cpu_a_model_in_half_precision_is_taken_in_full(folders, tmp_path, home):
    half = spoilt(folders["blip"], tmp_path / "half")
    AutoModelForImageTextToText.from_pretrained(half, dtype=torch.bfloat16).save_pretrained(half)
    assert captioner.plugin.speaker(str(half), "cpu")._model.dtype == torch.float32


def test_an_incomplete_model_is_an_error_before_it_is_used(folders, tmp_path, home):
    wrong = spoilt(folders["encoder_decoder"], tmp_path / "wrong")
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(wrong)
    with pytest.raises(LimnerError, match="cannot caption images") as caught:
        captioner.plugin.speaker(str(wrong), "cpu")
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_an_error(folders, monkeypatch):
    def fails(*_, **__):
        raise ImportError("it requires the num2words library\n")

    monkeypatch.setattr(AutoProcessor, "from_pretrained", fails)
    with pytest.raises(LimnerError, match=r"needs a package that is missing .*num2words"):
        captioner.plugin.speaker(str(folders["blip"]), "cpu")


class RecordingModel:
    """A decoder-only chat model with its processor and tokenizer: records what it is given, and says one sentence."""

    chat_template, dtype, pad_token, eos_token, pad_token_id = "a template", torch.float16, None, "[END]", 7

    def __init__(self, pad_token_id=None):
        self.padding_side = "right"
        self.generation_config = SimpleNamespace(pad_token_id=pad_token_id, temperature=0.7, top_p=0.9, top_k=50)
        self.config = SimpleNamespace(is_encoder_decoder=False)
        self.asked, self.images, self.inputs, self.settings, self.decoded = [], [], [], [], []

    def apply_chat_template(self, messages, **settings):
        self.asked.append((messages[0]["content"][1]["text"], settings))
        return "prompt"

    def __call__(self, images, text, **_):
        self.images += [image for (image,) in images]
        return {"input_ids": torch.zeros(len(text), 3, dtype=torch.long), "pixel_values": torch.zeros(len(text), 2)}

    def generate(self, input_ids, pixel_values, **settings):
        self.inputs.append((input_ids, pixel_values))
        self.settings.append(settings)
        return torch.tensor([[0, 0, 0, 4, 5]] * len(input_ids))

    def decode(self, row, skip_special_tokens):
        assert skip_special_tokens
        self.decoded.append(row.tolist())
        return " a cat\non the  beach "


@pytest.fixture
def recording(monkeypatch):
    model, devices = RecordingModel(), []

    def load(reference, device):
        devices.append(device.type)
        return model, model, model

    monkeypatch.setattr(captioner, "_load", load)
    model.devices = devices
    return model


def test_a_model_is_set_up_for_greedy_captions_of_a_batch(recording):
    captioner.CaptionModel("name", "cpu")
    settings = recording.generation_config
    assert (recording.padding_side, recording.pad_token, settings.pad_token_id) == ("left", "[END]", 7)
    assert (settings.temperature, settings.top_p, settings.top_k) == (None, None, None)
    recording.__init__(pad_token_id=3)
    recording.pad_token = "[PAD]"
    captioner.CaptionModel("name", "cpu")
    assert (recording.pad_token, recording.generation_config.pad_token_id) == ("[PAD]", 3), "its own are kept"


def test_a_caption_is_one_line_of_what_follows_the_prompt(recording):
    grey = Image.new("L", (8, 8))
    assert captioner.CaptionModel("name", "cpu").captions([grey], None) == ["a cat on the beach"]
    assert recording.decoded == [[4, 5]] and [image.mode for image in recording.images] == ["RGB"]
    assert recording.settings == [{"max_new_tokens": 60, "do_sample": False, "num_beams": 1}]
    ((tokens, pixels),) = recording.inputs
    assert (tokens.dtype, pixels.dtype) == (torch.int64, torch.float16), "only numbers take the model's format"
    ((question, settings),) = recording.asked
    assert question == captioner.QUESTION and settings == {"add_generation_prompt": True, "tokenize": False}


def test_the_words_are_asked_for_in_one_line(recording):
    assert captioner.CaptionModel("name", "cpu").captions(PICTURES, " sks\n cat ") == ["sks cat on the beach"] * 3
    assert [question for question, _ in recording.asked] == [f'{captioner.QUESTION} Call its subject "sks cat".']


def test_a_model_and_what_it_is_given_are_on_the_named_device(recording):
    captioner.plugin.speaker("name", "meta")
    assert recording.devices == ["meta"]
    assert [tensor.device.type for given in recording.inputs for tensor in given] == ["meta"] * 2


def test_tensors_of_other_shapes_are_missing(folders, tmp_path, home):
    wrong = spoilt(folders["blip"], tmp_path / "wrong")
    tensors = load_file(wrong / "model.safetensors")
    name = next(name for name in tensors if name.endswith("mlp.fc1.bias"))
    save_file(tensors | {name: torch.zeros(3)}, wrong / "model.safetensors", {"format": "pt"})
    with pytest.raises(LimnerError, match=r"mlp\.fc1\.bias"):
        captioner.plugin.speaker(str(wrong), "cpu")
