"""The command line: flags are the requests' fields, results go to stdout, exit codes are what they should be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from limner import GenerateRequest, Studio
from limner.cli.app import application, main
from limner.cli.flags import flag_of
from limner.core.execution import Execution, body_model
from limner.plugins import registry
from limner.provenance.labels import read_label


def flags_of(command: str) -> set[str]:
    """Long flags that a command takes."""
    found = set()
    for argument in application([command])[command].assemble_argument_collection():
        found |= {name for name in argument.names if name.startswith("--")}
    return found


def fields_of(model):
    for name, field in model.model_fields.items():
        flag = flag_of(field)
        if not flag.hidden:
            yield name, flag.name or "--" + name.replace("_", "-"), field


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("generate", {"--out", "--recipe"}),
        ("train", {"--out", "--recipe", "--resume"}),
        ("influence", {"--out", "--recipe"}),
        ("improve", {"--out", "--recipe", "--resume"}),
    ],
)
def test_flags_are_the_fields(command, own):
    options = registry.methods.get("lora").Options if command == "train" else None
    wanted = {flag for _, flag, _ in fields_of(body_model(command))} | own
    wanted |= {flag for _, flag, _ in fields_of(options)} if options else set()
    found = flags_of(command)
    assert wanted - found == set(), "a field without a flag"
    extra = {flag for flag in found - wanted if not (flag.startswith("--no-") and "--" + flag[5:] in wanted)}
    assert extra == set(), "a flag without a field"


@pytest.mark.parametrize("command", ["generate", "train"])
def test_help_tells_every_field(limner, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = limner(command, "--help")
    assert said.code == 0
    text = " ".join(said.out.split())
    for _, flag, field in fields_of(body_model(command)):
        assert flag.removeprefix("--").upper() in text.upper(), flag
        assert field.description.split()[0] in text, flag


def test_help_names_the_commands(limner):
    said = limner("--help")
    assert said.code == 0
    assert all(name in said.out for name in ("train", "generate", "run", "runs", "show"))


def test_version(limner):
    assert limner("--version").out.strip() == version("limner")


def pixels(path: Path) -> bytes:
    """What is seen of a picture, without what it says of itself."""
    with Image.open(path) as image:
        return image.tobytes()


def test_it_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "limner.cli", "generate"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("limner: ") and len(done.stderr.splitlines()) == 1


def test_from_photographs_to_pictures(limner, painted, tiny_sd, tmp_path, monkeypatch):
    """The main job on the command line, and what the history shows afterwards."""
    said = limner(
        "train", painted, "--class", "dog", "--identifier", "zwx", "--model", tiny_sd, "--steps", 3, "--batch", 1,
        "--class-pictures", 2, "--rank", 2, "--out", "rex",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.out.splitlines() == [str(tmp_path / "rex")]
    command = f"'a photo of zwx dog on the beach' --model {tiny_sd} --adapter {tmp_path / 'rex'}"
    assert f"try: limner generate {command}" in " ".join(said.err.split())
    said = limner(
        "generate", "a photo of zwx dog", "--adapter", "rex:0.8", "--model", tiny_sd, "--steps", 2, "--count", 2,
        "--seed", 7, "--guidance", 3, "--out", "pictures",
    )  # fmt: skip
    assert said.code == 0, said.err
    paths = [tmp_path / "pictures" / name for name in ("0001.png", "0002.png")]
    assert said.out.splitlines() == [str(path) for path in paths]
    request = read_label(paths[1]).request
    assert (request.seed, request.guidance, request.adapter[0].weight) == (7, 3.0, 0.8)
    said = limner("run", paths[1], "--out", "again")
    assert said.code == 0 and len(said.out.splitlines()) == 2
    assert pixels(tmp_path / "again" / "0002.png") == pixels(paths[1]), "signatures alone differ"

    monkeypatch.setenv("COLUMNS", "300")
    said = limner("runs")
    assert said.code == 0
    assert [word in said.out for word in ("train", "generate", "done", "zwx")] == [True] * 4
    assert len(limner("runs", "--count", 1).out.splitlines()) == 2
    first = Studio().runs.list()[-1]
    said = limner("show", first.id)
    assert said.code == 0
    assert (
        first.id in said.out
        and "adapter" in said.out
        and str(tmp_path / "rex") in said.out
        and '"class_word": "dog"' in said.out
    )
    said = limner("show", Studio().runs.list()[0].id)
    assert "0002.png" in said.out and "seed 8" in said.out


def test_no_flag_is_ignored(limner, painted, tiny_sd):
    """Every flag of `generate` arrives in the request."""
    said = limner(
        "generate", "a dog", "--negative-prompt", "blurry", "--model", tiny_sd, "--count", 1, "--seed", 9, "--steps", 1,
        "--guidance", 2.5, "--scheduler", "euler", "--width", 32, "--height", 40, "--batch", 3, "--device", "cpu",
        "--precision", "fp32",
    )  # fmt: skip
    assert said.code == 0, said.err
    run = Studio().runs.list()[0]
    assert run.execution == Execution(device="cpu")
    assert run.request == GenerateRequest(
        prompt="a dog", negative_prompt="blurry", model=str(tiny_sd), seed=9, steps=1, guidance=2.5, scheduler="euler",
        width=32, height=40, batch=3, precision="fp32",
    )  # fmt: skip


def test_runs_before_there_is_one(limner):
    said = limner("runs")
    assert said.code == 0 and "there are no runs yet" in said.out


def test_a_run_that_failed_is_remembered(limner, tiny_sd):
    assert limner("generate", "a dog", "--model", tiny_sd, "--steps", 1000).code == 2
    run = Studio().runs.list()[0]
    assert run.status == "failed" and "1000 steps" in run.error
    assert "1000 steps" in limner("show", run.id).out and "failed" in limner("runs").out


def test_a_flag_of_another_method_is_told_as_such(limner, painted):
    said = limner("train", painted, "--class", "dog", "--method", "textual_inversion", "--rank", 4)
    assert said.code == 2 and said.error == "--rank is a flag of `limner train --method lora or pivotal` only"


def test_a_folder_is_named_by_plain_words(limner, painted, tiny_sd, tmp_path):
    flags = ["--identifier", "<rex>", "--model", tiny_sd, "--steps", 1, "--batch", 1, "--vectors", 1]
    said = limner("train", painted, "--class", "big dog", "--method", "textual_inversion", *flags)
    assert said.code == 0 and said.out.strip() == str(tmp_path / "rex-big-dog"), said.err


def test_fields_in_messages_are_flags(limner):
    said = limner("generate", "a cat", "--refiner-strength", 0.5)
    assert said.code == 2 and said.error.startswith("--refiner-strength (0.5) is given without refiner")
    said = limner("generate", "a cat", "--adapter", "rex:nan")
    assert said.code == 2 and said.error.startswith("--adapter weight 'nan': use a finite number"), said.err


def test_a_mistake_leaves_one_line_only(limner, tiny_sd):
    said = limner("generate", "a cat", "--model", tiny_sd, "--adapter", "nowhere")
    assert said.code == 2 and said.err.splitlines() == [f"limner: {said.error}"]


@pytest.mark.parametrize("command", [("generate",), ("train",), ("run",), ("show",), ("nonsense",), ()])
def test_nothing_is_a_traceback(limner, command):
    said = limner(*command)
    assert "Traceback" not in said.out + said.err
    assert said.code in (0, 2)
    assert not re.search(r"[╭╰]", said.err), "a box instead of a line"


def test_a_prompt_names_adapters_as_in_a1111(limner, tiny_sd, tmp_path, monkeypatch):
    """A folder, a file without or with its suffix, besides those of --adapter; a name that there is not is an error."""
    from limner.cli.commands.requests import with_named_adapters
    from limner.core.requests import GenerateRequest

    monkeypatch.chdir(tmp_path)
    (tmp_path / "rex").mkdir()
    for name in ("rex.safetensors", "max.safetensors"):
        (tmp_path / name).touch()
    prompt = "a <lora:rex:0.8> cat <lora:max> <lora:max.safetensors:-1> on <lora:none:1>the beach"
    found = with_named_adapters(GenerateRequest(prompt=prompt, adapter=("first:0.5",)))
    assert found.prompt == "a cat on the beach"
    assert [str(use) for use in found.adapter] == [
        "first:0.5", "rex:0.8", "max.safetensors", "max.safetensors:-1", "none",
    ]  # fmt: skip
    said = limner("generate", "a cat <lora:maxx:0.8>", "--model", tiny_sd)
    assert said.code == 2 and said.error.startswith("unknown adapter ") and "maxx" in said.error
    assert "the prompt is empty" in limner("generate", "<lora:rex:0.8>").error


@pytest.mark.parametrize("chosen", [None, "ACTIVE"])
def test_threads_that_wait_sleep_unless_the_user_chooses(monkeypatch, capsys, chosen):
    variables = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    monkeypatch.setattr(os, "environ", variables | ({"OMP_WAIT_POLICY": chosen} if chosen else {}))
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert os.environ["OMP_WAIT_POLICY"] == (chosen or "PASSIVE") and "nonsense" in capsys.readouterr().err
