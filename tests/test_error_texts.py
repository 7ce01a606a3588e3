"""Errors of the command line name the flag, the value and the remedy, in words that no library wrote."""

from __future__ import annotations

from socket import gaierror
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from limner.core.requests.sweep import Axis
from limner.models.hub import why_not_fetched


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("generate a --steps abc", "--steps 'abc': write a whole number, such as 8"),
        ("generate a --width 1e3", "--width '1e3': write a whole number, such as 8"),
        ("generate a --batch 1.5", "--batch '1.5': write a whole number, such as 8"),
        ("worker --together x", "--together 'x': write a whole number, such as 8"),
        ("serve --port abc", "--port 'abc': write a whole number, such as 8"),
        ("generate a --guidance x", "--guidance 'x': write a number, such as 7.5"),
        ("history --since x", "--since 'x': write a date, such as 2026-01-31"),
        ("generate a --guidance-method foo", "--guidance-method 'foo': choose one of: cfg, apg"),
        ("keys add x --role boss", "--role 'boss': choose one of: viewer, maker, admin"),
        ("generate a --quantise 4", "--quantise '4': choose one of: nf4, int8"),
        ("generate a --device gpu", "--device: 'gpu' is not a device; use auto, cpu, mps, cuda, or cuda:1"),
        ("generate", "PROMPT is missing; see limner generate --help"),
        ("train photos", "--class is missing; see limner train --help"),
        ("generate a --out", "--out has no value; write it behind the flag"),
        ("generate a --out x --out y", "--out is given more than once; give it once"),
        ("generate a b c", "'b c' is not expected here; put a value that contains spaces in quotation marks"),
        ("generate a --axis 1", "unknown flag '--axis'; --help lists all flags"),
        ("rate x 9", "stars '9': use 5 or less"),
        ("rate x 0", "stars '0': use 1 or more"),
        (
            "rate x 3 --reason off_promt",
            "unknown reason 'off_promt'; did you mean 'off_prompt'? choose one of: artefacts, bad_anatomy",
        ),
        ("generate a --steps 0", "--steps '0': use 1 or more"),
        ("generate a --guidance nan", "--guidance 'nan': use a finite number"),
        ("sweep a --axis guidance=1,x", "guidance 'x': use a number"),
        ("compare starter", "contestants: give at least 2 items"),
        ("starter wrds", "unknown command of `limner starter` 'wrds'; did you mean 'words'? choose one of: agreement"),
        ("collection ad x y", "unknown command of `limner collection` 'ad'; did you mean 'add'? choose one of: add, "),
        ("collection x", "unknown command of `limner collection` 'x'; choose one of: add, create, delete, remove, "),
        ("keys ad anna", "unknown command of `limner keys` 'ad'; did you mean 'add'? choose one of: add, revoke, role"),
        ("models gte sdxl", "unknown command of `limner models` 'gte'; did you mean 'get'? choose one of: get"),
        ("feedback exprt a", "unknown command of `limner feedback` 'exprt'; did you mean 'export'? choose one of: "),
        (
            "rate nosuch 4",
            "'nosuch' is not a file, and not the id of an image or a run; `limner history` lists the images",
        ),
        ("rate x " + "9" * 5000, "give images or runs, then the stars"),
        ("show nosuch", "unknown run 'nosuch'; `limner runs` lists the runs"),
    ],
)
def test_what_is_wrong_is_named(limner, command, error):
    said = limner(*command.split())
    assert said.code == 2
    assert said.error.startswith(error)


def test_every_axis_that_an_error_lists_is_accepted(limner):
    error = limner("sweep", "a cat", "--axis", "nosuch=1,2").error
    listed = error.partition("choose one of: ")[2].split(", ")
    assert len(listed) > 20
    for name in listed:
        assert Axis.model_validate(f"{name}=a,b").field == name
    assert {"guidance_rescale", "control_model"} <= {*listed}


def test_the_fields_that_a_recipe_may_have_are_listed_as_it_writes_them(limner, tmp_path):
    (tmp_path / "a.yaml").write_text("nosuch: 1\n")
    error = limner("train", "photos", "--class", "dog", "--recipe", tmp_path / "a.yaml").error
    assert "has an unknown field 'nosuch'; choose one of: " in error and ", learning_rate, " in error


@pytest.mark.parametrize("text", [b"root:x:0:0:root:/root:/bin/bash", b"", b"\0" * 4000])
@pytest.mark.parametrize("flag", ["--adapter", "--model"])
def test_a_file_that_is_no_safetensors_is_named_without_the_words_of_the_library(limner, tmp_path, flag, text):
    place = tmp_path / "rex.safetensors"
    place.write_bytes(text)
    error = limner("generate", "a cat", flag, str(place)).error
    assert "cannot be read: it" in error and "; " in error
    assert not any(word in error.casefold() for word in ("deserializ", "error while", "tensor_error", "invalid header"))


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (OSError("Cannot load it: the model is not fully cached (Cannot find a snapshot folder)"), "Cannot load it"),
        (gaierror(-2, "Name or service not known"), "no connection to the Hugging Face hub"),
        (TimeoutError("timed out"), "no connection to the Hugging Face hub"),
        (ConnectionRefusedError(111, "refused"), "no connection to the Hugging Face hub"),
        (LocalEntryNotFoundError("outgoing traffic has been disabled"), "no connection to the Hugging Face hub"),
    ],
)
def test_why_a_model_is_not_fetched_is_found_among_the_causes(cause, reason, monkeypatch):
    """Libraries wrap the failed connection in errors about their caches."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    wrapped = OSError("Cannot load it: the model is not fully cached locally")
    wrapped.__cause__ = cause
    assert why_not_fetched(cause).startswith(reason)
    assert why_not_fetched(wrapped).startswith(reason)


def test_an_error_of_the_hub_is_named_by_its_status(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    class Answered(OSError):
        response = SimpleNamespace(status_code=503)

    assert why_not_fetched(Answered("Server Error: for url")) == "the Hugging Face hub answered with the status 503"


@pytest.mark.parametrize("command", ["models get sdxl", "generate a --model owner/nosuch"])
def test_without_a_network_the_reason_is_a_sentence(limner, command, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = limner(*command.split()).error
    assert "is not on disk and could not be fetched (HF_HUB_OFFLINE is set); check the name and the network" in error
    assert "starter" not in error
