"""Adapter files: check of the base model, and weights of several adapters."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from limner.core.errors import LimnerError
from limner.core.protocols import WeightedFile
from limner.models import adapters
from limner.models.adapters import Adapter, adapters_applied, check_base, open_adapter
from limner.models.options import LORA_FILE
from limner.plugins import registry
from limner.plugins.methods import pivotal
from limner.plugins.methods.pivotal import LoraWithEmbeddings


def adapter(name="rex", method="lora", **base):
    return Adapter(Path(f"/a/{name}.safetensors"), "0" * 64, {}, {"base": base} if base else {}, method)


def warnings_for(each, architecture="sd1", prints=("a",)):
    events = []
    model = SimpleNamespace(reference="mine", alias=None, fingerprints=lambda: set(prints))
    check_base(each, model, architecture, events.append)
    return [event.level for event in events]


def test_an_adapter_of_another_architecture_is_refused():
    assert warnings_for(adapter(reference="sd15", architecture="sd1", fingerprint="a")) == []
    with pytest.raises(LimnerError, match=r"made for 'sd15' \(sd1\), not for 'mine'; use --model sd15"):
        warnings_for(adapter(reference="sd15", architecture="sd1", fingerprint="a"), "sdxl")
    assert warnings_for(adapter()) == [], "a file of another tool does not name its base"


@pytest.mark.parametrize(
    ("fingerprint", "prints", "warned"), [("a", ["a", "b"], False), ("c", ["a", "b"], True), (None, ["a"], False)]
)
def test_an_adapter_on_other_weights_is_a_warning(fingerprint, prints, warned):
    found = warnings_for(adapter(reference="sd15", architecture="sd1", fingerprint=fingerprint), prints=prints)
    assert found == ["warning"] * warned


def test_each_adapter_has_its_own_weight(monkeypatch):
    given, left = {}, []

    def method(name):
        @contextmanager
        def applied(pipeline, facts, uses):
            given[name] = [(use.file.stem, use.weight) for use in uses]
            yield
            left.append(name)

        return SimpleNamespace(applied=applied)

    monkeypatch.setattr(registry.methods, "get", method)
    three = [adapter("a"), adapter("b", "textual_inversion"), adapter("c")]
    with adapters_applied(None, None, three, [0.5, 1.0, -2.0]):
        assert given == {"lora": [("a", 0.5), ("c", -2.0)], "textual_inversion": [("b", 1.0)]} and left == []
    assert left == ["textual_inversion", "lora"]


def test_a_file_that_does_not_fit_drops_the_model(monkeypatch):
    def refused(pipeline, facts, uses):
        raise LimnerError("does not fit")

    forgotten = []
    monkeypatch.setattr(registry.methods, "get", lambda name: SimpleNamespace(applied=refused))
    monkeypatch.setattr(adapters, "unload_all", lambda: forgotten.append(True))
    with pytest.raises(LimnerError), adapters_applied(None, None, [adapter()], [1.0]):
        pass
    assert forgotten == [True]


def test_the_embeddings_of_a_pivotal_adapter_have_its_weight(monkeypatch):
    """The embeddings next to the file have the weight of the layers."""
    from limner.models import embeddings, lora

    given = {}

    def acting(name):
        @contextmanager
        def applied(pipeline, facts, uses):
            given[name] = [(use.file.name, use.weight) for use in uses]
            yield

        return applied

    monkeypatch.setattr(pivotal, "_embeddings_of", lambda file: file.with_name("word"))
    monkeypatch.setattr(embeddings, "embeddings_applied", acting("words"))
    monkeypatch.setattr(lora, "lora_applied", acting("layers"))
    with pivotal.plugin.applied(None, None, [WeightedFile(Path("/a/lora"), 0.5), WeightedFile(Path("/b/lora"), 2.0)]):
        assert given == {"words": [("word", 0.5), ("word", 2.0)], "layers": [("lora", 0.5), ("lora", 2.0)]}


def test_the_embeddings_of_a_pivotal_adapter_are_in_the_text_group():
    layers = SimpleNamespace(groups=lambda: {"denoiser": [1], "text": [2]}, state=lambda: {"x": 1})
    word = SimpleNamespace(groups=lambda: {"text": [3]}, state=lambda: {"x": 3})
    found = LoraWithEmbeddings(layers, word)
    assert found.groups() == {"denoiser": [1], "text": [2, 3]} and found.state() == {"x": 1, "word.x": 3}


def test_a_name_that_ends_like_a_weight_is_suggested_with_its_weight(tmp_path):
    (tmp_path / "rex:1.5").mkdir()
    (tmp_path / "rex:1.5" / LORA_FILE).touch()
    with pytest.raises(LimnerError, match=r"choose one of: rex:1\.5:1"):
        open_adapter(str(tmp_path / "rex"))
