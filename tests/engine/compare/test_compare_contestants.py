"""What a contestant is, which base model and autoencoder it has, and its name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.requests import CompareRequest, Contestant, EvaluateRequest
from limner.engine.compare import contestants, targets
from limner.engine.compare.contestants import find_contestants, find_target, identifiers
from limner.engine.compare.targets import AdapterTarget, ImagesTarget, ModelTarget, target_of

FACTS: dict[str, Any] = {
    "base": {"reference": "starter"},
    "request": {"vae": "my vae"},
    "trigger_words": ["sks", "", 7],
}


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Every path is an adapter with these facts, or with those of its name; nothing must be downloaded."""
    own: dict[str, dict[str, Any]] = {}

    def opened(path: str) -> Any:
        return SimpleNamespace(facts=own.get(Path(path).name, FACTS))

    for module in (contestants, targets):
        monkeypatch.setattr(module, "open_adapter", opened)
    monkeypatch.setattr(contestants.loading, "needs_download", lambda reference: reference.startswith("far/"))
    monkeypatch.chdir(tmp_path)
    for name in ("rex", "max"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lora.safetensors").touch()
    return own


def found(*typed: str, **fields: Any) -> list[Any]:
    return find_contestants(CompareRequest.model_validate({"contestants": typed, "prompt": ["x"]} | fields))


def test_an_adapter_has_the_base_and_autoencoder_of_its_training_unless_a_model_is_given() -> None:
    rex, own = found("rex", "starter+max:0.5")
    assert (rex.model, rex.vae, own.model, own.vae) == ("starter", "my vae", "starter", None)
    request = rex.request(EvaluateRequest.model_validate({"target": "rex", "seed": 8, "steps": 3}), "a cat")
    assert (request.prompt, request.model, request.vae, request.seed, request.steps) == (
        "a cat", "starter", "my vae", 8, 3,
    )  # fmt: skip
    assert request.adapter == rex.adapters
    given, _ = found("rex", "starter", model="sd15")
    assert (given.model, given.vae) == ("sd15", None)


def test_an_autoencoder_of_a_header_starts_no_download(files: dict[str, Any]) -> None:
    files["rex"] = FACTS | {"request": {"vae": "far/vae"}}
    with pytest.raises(LimnerError, match="adapter 'rex' was trained on 'far/vae', which is not on disk"):
        found("rex", "starter")
    files["rex"] = FACTS | {"request": {"vae": 7}}
    assert found("rex", "starter")[0].vae is None


def test_contestants_differ_in_their_weights_or_autoencoders() -> None:
    assert len(found("rex", "rex:0.5")) == 2 and len(found("rex", "starter+rex")) == 2, "one has another autoencoder"
    with pytest.raises(LimnerError, match="'rex' and 'rex' are the same contestant; name each once"):
        found("rex", "rex:1")


def test_names_are_those_that_the_user_gave() -> None:
    names = {"rex": "adapters/my rex", "max": "adapters/my max"}
    request = CompareRequest.model_validate({"contestants": ["rex", "max:0.25"], "prompt": ["x"]})
    rex, other = find_contestants(request, lambda path: names.get(path, path))
    assert (rex.name, other.name) == ("my rex", "my max:0.25")
    assert rex.adapters[0].path == "rex", "the file itself stays"
    named = rex.with_original_names({"rex": "mine", "starter": "theirs", "my vae": "ours"}.__getitem__)
    assert (named.model, named.vae, named.adapters[0].path) == ("theirs", "ours", "mine")
    target = find_target(Contestant.model_validate("rex"), None, lambda path: names.get(path, path))
    assert (target.name, target.vae) == ("my rex", "my vae")
    assert find_target(Contestant.model_validate("rex"), "sd15").model == "sd15"


def test_a_reference_by_content_is_named_by_its_first_characters() -> None:
    one, other = ("folder:" + text.ljust(64, "0") for text in ("abcdef121", "abcdef122"))
    names = {"rex": one, "max": other}
    request = CompareRequest.model_validate({"contestants": ["rex", "max"], "prompt": ["x"]})
    assert [each.name for each in find_contestants(request, lambda path: names.get(path, path))] == [
        "abcdef121",
        "abcdef122",
    ]
    (only,) = {find_target(Contestant.model_validate("rex"), None, lambda path: names.get(path, path)).name}
    assert only == "abcdef12"


def test_identifiers_are_the_words_of_all_adapters(files: dict[str, Any]) -> None:
    files["max"] = FACTS | {"trigger_words": ["zwx", "ab"]}
    assert identifiers(found("starter+rex+max", "starter")) == ["ab", "sks", "zwx"]
    files["max"] = FACTS | {"trigger_words": "zwx"}
    assert identifiers(found("starter+max", "starter")) == []


# What a contestant is


def test_a_folder_is_a_model_an_adapter_or_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").touch()

    def of(text: str) -> Any:
        return target_of(Contestant.model_validate(text))

    assert of("images") == ImagesTarget(Path("images"))
    assert isinstance(of("model+rex:0.5"), ModelTarget) and of("model+rex:0.5").adapters[0].weight == 0.5
    assert of("starter") == ModelTarget("starter", ())
    assert [use.path for use in of("rex").adapters] == ["rex"] and isinstance(of("rex"), AdapterTarget)
    both = of("rex+max:0.5")
    assert isinstance(both, AdapterTarget), "the base is that of the first"
    assert [(use.path, use.weight) for use in both.adapters] == [("rex", 1.0), ("max", 0.5)]
    assert isinstance(of("images+rex"), AdapterTarget), "which opening it refuses"
    assert isinstance(of("rex:0.5"), AdapterTarget) and of("owner/name") == ModelTarget("owner/name", ())


def test_a_file_is_a_model_where_it_is_one_and_else_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.safetensors").touch()

    def of(text: str) -> Any:
        return target_of(Contestant.model_validate(text))

    monkeypatch.setattr(targets.loading, "resolve", lambda reference: None)
    assert of("one.safetensors+rex") == ModelTarget("one.safetensors", of("rex").adapters)

    def unknown(reference: str) -> None:
        raise LimnerError("unknown layout", "use another")

    monkeypatch.setattr(targets.loading, "resolve", unknown)
    assert [use.path for use in of("one.safetensors+rex").adapters] == ["one.safetensors", "rex"]
