"""What each training method states of itself, and what it passes on to the layers and words that it trains."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from limner.core.errors import LimnerError
from limner.core.protocols import SubjectWords, WeightedFile
from limner.models import embeddings, full_weights, lora
from limner.plugins import registry
from limner.plugins.methods.pivotal import LoraWithEmbeddings
from limner.store.files import sha256_of

SUBJECT = SubjectWords(identifier="sks", class_word="dog")


def method(name):
    return registry.methods.get(name)


def test_rates_are_relative_to_that_of_lora():
    rates = {name: plugin.learning_rate(1e-4) for name, plugin in registry.methods.all().items()}
    assert rates == pytest.approx({"full": 5e-6, "lora": 1e-4, "pivotal": 1e-4, "textual_inversion": 2e-3})


def test_what_each_method_makes_and_keeps():
    facts = {name: (each.makes, each.preserves_class, each.file) for name, each in registry.methods.all().items()}
    assert facts == {
        "full": ("model", False, "limner.json"),
        "lora": ("adapter", False, "pytorch_lora_weights.safetensors"),
        "pivotal": ("adapter", False, "pytorch_lora_weights.safetensors"),
        "textual_inversion": ("adapter", True, "learned_embeds.safetensors"),
    }


def test_which_methods_train_text():
    trains = {
        (name, asked): plugin.trains_text(SimpleNamespace(text_encoder=asked))
        for name, plugin in registry.methods.all().items()
        for asked in (False, True)
    }
    assert {name for (name, asked), known in trains.items() if known and not asked} == {"pivotal", "textual_inversion"}
    assert all(known for (_, asked), known in trains.items() if asked)
    assert method("full").Options().text_encoder is False


@pytest.fixture
def attached(monkeypatch):
    """What is attached: LoRA layers and learned embeddings, as their arguments."""
    found = {}
    monkeypatch.setattr(lora, "attach_lora", lambda *given: found.update(lora=given))
    monkeypatch.setattr(embeddings, "LearnedEmbeddings", lambda *given: found.update(words=given))
    return found


@pytest.mark.parametrize(("initial", "begins"), [("puppy", "puppy"), (None, "dog")])
@pytest.mark.parametrize("name", ["pivotal", "textual_inversion"])
def test_words_begin_as_the_initial_word_or_the_class_word(attached, name, initial, begins):
    options = method(name).Options(initial_word=initial, vectors=3)
    method(name).attach("components", "facts", options, SUBJECT, 11)
    assert attached["words"] == ("components", "facts", SUBJECT, 3, begins, 11)
    assert attached.get("lora") == (("components", "facts", options, 11) if name == "pivotal" else None)


def test_lora_layers_follow_the_seed(attached):
    method("lora").attach("components", "facts", "options", SUBJECT, 11)
    assert attached == {"lora": ("components", "facts", "options", 11)}


@pytest.mark.parametrize(("text", "names"), [(False, ["unet"]), (True, ["unet", "text_encoder"])])
def test_full_fine_tuning_trains_the_text_encoders_only_if_asked(monkeypatch, text, names):
    monkeypatch.setattr(full_weights, "FullWeights", lambda components, trained: trained)
    components = SimpleNamespace(denoiser_name="unet", text_encoders=("text_encoder",))
    options = method("full").Options(text_encoder=text)
    assert method("full").attach(components, None, options, SUBJECT, 1) == names


def test_a_whole_model_is_saved_with_its_facts_and_the_rest_of_the_header(monkeypatch, tmp_path):
    copied = []
    monkeypatch.setattr(full_weights, "copy_weights", lambda *given: copied.append(given))
    pipeline = SimpleNamespace(save_pretrained=lambda folder: copied.append(folder))
    trainable = SimpleNamespace(components=SimpleNamespace(denoiser_name="unet"))
    header = {"limner": '{"steps": 3}', "modelspec.title": "a dog"}
    assert method("full").save(trainable, tmp_path, header, lambda: pipeline) == tmp_path / "unet"
    assert copied == [(pipeline, trainable), tmp_path], "the trained weights, before it is written"
    facts = json.loads((tmp_path / "limner.json").read_text())
    assert facts == {"steps": 3, "header": {"modelspec.title": "a dog"}}


def test_how_each_result_is_loaded():
    usages = {
        name: method(name).usage(
            "me/rex", "BASE", SimpleNamespace(embeddings=(("", "tokenizer", "text_encoder"),)), SUBJECT
        )
        for name in ("full", "lora", "pivotal", "textual_inversion")
    }
    assert usages["full"] == 'pipeline = DiffusionPipeline.from_pretrained("me/rex")'
    assert usages["lora"] == 'pipeline = BASE\npipeline.load_lora_weights("me/rex")'
    words = usages["textual_inversion"].removeprefix("pipeline = BASE\n")
    assert "me/rex" in words and usages["pivotal"] == f'pipeline = BASE\n{words}\npipeline.load_lora_weights("me/rex")'


def test_files_with_words_alone_are_known():
    recognises = method("textual_inversion").recognises
    for names in ({"emb_params"}, {"clip_l", "clip_g"}, {"clip_l", "t5"}, {"<sks>"}):
        assert recognises(names)
    for names in ({"a.weight"}, {"<one>", "<two>"}, {"clip_l", "unet.weight"}):
        assert not recognises(names)
    assert not method("pivotal").recognises({"emb_params"}) and not method("full").recognises({"emb_params"})


@pytest.fixture
def pivotal_files(monkeypatch, tmp_path):
    """Writes the files of pivotal tuning with stubs, and records their headers."""
    headers = {}

    def write(trainable, path, header):
        headers[path.name] = (trainable, dict(header))
        save_file({"x": torch.zeros(1)}, path, dict(header))

    monkeypatch.setattr(embeddings, "save_embeddings", write)
    monkeypatch.setattr(lora, "save_lora", write)
    trainable = SimpleNamespace(layers="layers", embeddings="words")
    path = method("pivotal").save(trainable, tmp_path, {"title": "rex"}, lambda: None)
    return path, headers


def test_the_lora_file_has_the_hash_of_its_words(pivotal_files, tmp_path):
    path, headers = pivotal_files
    assert path == tmp_path / "pytorch_lora_weights.safetensors"
    words = sha256_of(tmp_path / "learned_embeds.safetensors")
    assert headers == {
        "learned_embeds.safetensors": ("words", {"title": "rex"}),
        path.name: ("layers", {"title": "rex", "words_sha256": words}),
    }


def test_words_that_are_missing_or_changed_are_reported(pivotal_files, monkeypatch):
    path, _ = pivotal_files
    restored = []
    monkeypatch.setattr(embeddings, "restore_embeddings", lambda *given: restored.append(given))
    monkeypatch.setattr(lora, "restore_lora", lambda *given: restored.append(given))
    trainable, words = (
        SimpleNamespace(layers="layers", embeddings="words"),
        path.with_name("learned_embeds.safetensors"),
    )
    method("pivotal").restore(trainable, path)
    assert restored == [("words", words), ("layers", path)]
    words.write_bytes(b"other")
    with pytest.raises(LimnerError, match="was changed; copy the whole folder again"):
        method("pivotal").restore(trainable, path)
    words.unlink()
    with pytest.raises(LimnerError, match="is missing; copy the whole folder again"):
        method("pivotal").restore(trainable, path)


def test_words_are_applied_with_the_weight_of_their_layers(pivotal_files, monkeypatch):
    path, _ = pivotal_files
    applied = []

    @contextmanager
    def record(*given):
        applied.append(given)
        yield

    monkeypatch.setattr(embeddings, "embeddings_applied", record)
    monkeypatch.setattr(lora, "lora_applied", record)
    use = WeightedFile(path, 0.5)
    with method("pivotal").applied("pipeline", "facts", [use]):
        words = WeightedFile(path.with_name("learned_embeds.safetensors"), 0.5)
        assert applied == [("pipeline", "facts", [words]), ("pipeline", "facts", [use])]


def test_layers_and_words_are_trained_and_detached_together():
    calls = []

    class Part:
        def __init__(self, name):
            self.name = name

        def groups(self):
            return {"denoiser": [f"{self.name} denoiser"], "text": [f"{self.name} text"]}

        def state(self):
            return {"x": self.name}

        def train(self, on):
            calls.append((self.name, on))

        def detach(self):
            calls.append((self.name, "detached"))

    both = LoraWithEmbeddings(Part("layers"), Part("words"))  # type: ignore[arg-type]
    assert both.groups() == {"denoiser": ["layers denoiser"], "text": ["layers text", "words text"]}
    assert both.state() == {"x": "layers", "word.x": "words"}
    both.train(False)
    both.detach()
    assert calls == [("layers", False), ("words", False), ("words", "detached"), ("layers", "detached")]
