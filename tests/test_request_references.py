"""Tests of the references that queued requests may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.requests import parse_request, references_of
from limner.studio.references import check_references, is_model, suffix_of

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
FOLDER = "folder:" + "d" * 64


def request(**fields: Any) -> Any:
    return parse_request({"kind": "generate", "prompt": "x", **fields})


def test_all_references_of_a_request_are_found() -> None:
    asked = request(
        image=A, mask=B, adapter=[C, f"{FOLDER}:0.5"], control=[f"canny={A}"], control_model=["own/canny"], model=FOLDER
    )
    assert check_references(asked) == {A, B, C, FOLDER}
    assert sorted(references_of(asked)) == sorted(
        [("picture", A), ("picture", B), ("weights", C), ("weights", FOLDER), ("picture", A), ("model", "own/canny")]
        + [("model", FOLDER)]
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "/etc/passwd"},
        {"image": "starter"},
        {"image": "owner/name"},
        {"image": A, "mask": "b.png"},
        {"adapter": ["a.safetensors"]},
        {"adapter": [A, "b/c/d"]},
        {"control": ["canny=photo.png"]},
        {"model": "./models/x"},
        {"model": "/srv/model"},
        {"model": "nosuch"},
        {"vae": "../vae"},
        {"image": A[:-1]},
        {"image": A.upper()},
    ],
)
def test_paths_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(LimnerError, match="is not a reference; upload the file"):
        check_references(request(**fields))


def test_missing_fields_are_not_read_from_an_adapter() -> None:
    compare = {"kind": "compare", "contestants": [A, B], "prompt": ["x"]}
    with pytest.raises(LimnerError, match="model is not given"):
        check_references(parse_request(compare))
    assert check_references(parse_request(compare | {"model": "starter"})) == {A, B}
    evaluate = {"kind": "evaluate", "target": A, "prompt": ["a {}"], "model": "starter"}
    with pytest.raises(LimnerError, match="identifier is not given"):
        check_references(parse_request(evaluate | {"class_word": "dog"}))
    assert check_references(parse_request(evaluate | {"class_word": "dog", "identifier": "sks"})) == {A}


def test_a_model_is_an_alias_or_on_the_hub_by_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("starter", "owner/name", "owner/name-1.0", "owner/name/unet/weights.safetensors"):
        assert is_model(name), name
    for name in ("nosuch", "owner/", "/name", "../name", "owner/.name", "owner/name/x", "a/b/c.bin", "owner/name/", A):
        assert not is_model(name), name
    for name in ("owner/name/.cache/a.safetensors", "owner/name/../a.safetensors", "owner/name/.safetensors"):
        assert not is_model(name), name
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert is_model("owner/name"), "what lies on this machine changes no answer"


def test_suffixes_of_weights_and_tables() -> None:
    asked = request(image=A, adapter=[B, C], control=[f"canny={C}"])
    assert [suffix_of(asked, reference) for reference in (A, B, C)] == ["", ".safetensors", ""]
    assert suffix_of(asked, FOLDER) == "", "it is not named there"
    prepare = parse_request({"kind": "prepare", "sources": [FOLDER], "fields": A, "captions": B})
    assert [suffix_of(prepare, reference) for reference in (FOLDER, A, B)] == ["", ".csv", ".csv"]


def test_words_for_recorded_feedback_are_no_references() -> None:
    improve = {"kind": "improve", "target": "starter"}
    for words in ({}, {"source": "ratings"}, {"source": "pairs"}):
        assert check_references(parse_request(improve | words)) == set()
    with pytest.raises(LimnerError, match="'pair' is not a reference"):
        check_references(parse_request(improve | {"source": "pair"}))
    assert check_references(parse_request(improve | {"source": A})) == {A}


@pytest.mark.parametrize(("head", "suffix"), [(b"PAR1\0", ".parquet"), (b'{"caption": "a"}', ".jsonl"), (b"", "")])
def test_a_file_of_feedback_is_named_by_its_content(head: bytes, suffix: str) -> None:
    asked = parse_request({"kind": "improve", "target": "starter", "source": A})
    assert suffix_of(asked, A, lambda: head) == suffix
