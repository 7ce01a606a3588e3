"""limner pets: what it prints, generates and refuses."""

from __future__ import annotations

import pytest

from limner import Studio
from limner.cli.commands import pets
from limner.core.pets import PetsCall

CALL = ("pets", "--species", "dog", "--breed", "Corgi", "--background", "beach", "--extras", "red scarf", "--seed", "7")
PROMPT = "a photo of a corgi dog wearing a red scarf on the beach"


def test_the_prompt_is_printed_and_the_image_generated(limner, home, starter, tmp_path):
    said = limner(*CALL, "--size", "64x64", "--out", tmp_path / "out")
    assert said.code == 0 and said.out.splitlines() == [f"Prompt: {PROMPT}", str(tmp_path / "out" / "0001.png")]
    studio = Studio(home)
    (run,) = studio.runs.list()
    assert (run.request.prompt, run.request.seed, run.request.width) == (PROMPT, 7, 64)
    assert run.tags == {
        "species": "dog",
        "breed": "corgi",
        "background": "beach",
        "extras": "red scarf",
        "style": "illustration",
    }
    studio.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--species", "dgo"), "unknown species 'dgo'; did you mean 'dog'?"),
        (("--species", "dog", "--breed", "siamese"), "unknown breed of a dog 'siamese'"),
        (("--species", "dog", "--extras", "scarf", "--extras", "crown"), "the model draws at most 1"),
        (("--species", "dog", "--count", "0"), "--count '0': use 1 or more"),
        (("--species", "dog", "--adapter", "nosuch"), "nosuch"),
        (("--species", "\x1b[31m"), "unknown species '[31m'"),
        ((), "--species is missing; see limner pets --help"),
    ],
)
def test_errors_are_one_line_and_nothing_is_recorded(limner, home, arguments, text):
    said = limner("pets", *arguments)
    assert said.code == 2 and text in said.err and said.err.count("\n") == 1 and "\x1b" not in said.err
    assert not (home / "runs").exists() or not Studio(home).runs.list()


def test_its_flags_are_the_fields_of_the_call(limner):
    flags = limner("pets", "--help").out
    assert all(f"--{name}" in flags for name in PetsCall.model_fields)


def test_the_identifier_is_read_from_the_adapter(limner, monkeypatch):
    asked = []
    monkeypatch.setattr("limner.studio.pets.adapter_identifier", lambda path: asked.append(path) or "sks")
    said = limner("pets", "--species", "dog", "--adapter", "nosuch:0.8")
    assert said.out == "Prompt: a photo of sks dog\n" and asked == ["nosuch"]
    assert pets.pets.__doc__ == "Request to generate images of a pet."
