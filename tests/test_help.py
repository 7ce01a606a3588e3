"""Helps are grouped: commands by task, flags by topic, the basic ones first. Examples work, known names are listed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing

import pytest

from gallery import add_image
from limner.cli.app import COMMANDS, application
from limner.cli.flags import flag_of, headings_of
from limner.cli.recipes import read_recipe, shipped_recipes
from limner.core.execution import body_model
from limner.core.kinds import KINDS, CommandGroup
from limner.core.requests import Heading
from limner.server.settings import Settings
from limner.studio.studio import Studio

ALL = {**KINDS, **COMMANDS}


def boxes(text):
    """The titles of a help's boxes, with the flags or commands in each."""
    found = {}
    for line in text.splitlines():
        if title := re.match("╭─ (.+?) ─+╮", line):
            found[title[1]] = []
        elif entry := re.match(r"│ (?:[*]  |   )?(?:[A-Z-]+ )?(--[a-z-]+|[a-z][a-z-]*) ", line):
            found[list(found)[-1]].append(entry[1])
    return found


def test_commands_are_listed_by_task(limner):
    found = boxes(limner("--help").out)
    assert list(found) == [*CommandGroup, "Options"]
    assert found["Options"] == ["--help", "--version"]
    listed = [name for group in CommandGroup for name in found[group]]
    assert sorted(listed) == sorted(ALL)
    first = ["prepare", "generate", "train", "improve", "sweep", "pets", "discover", "run", "demo"]
    assert found["Train and generate"] == first


@pytest.mark.parametrize("command", [*KINDS, "serve"])
def test_flags_are_listed_by_topic_and_the_basic_ones_first(limner, command):
    model = Settings if command == "serve" else body_model(command)
    headings = headings_of(model.model_fields)
    assert all(heading in Heading for heading in headings.values())
    found = boxes(limner(command, "--help").out)
    assert "Parameters" not in found
    first, *others = found
    assert first == "Basics"
    assert others == [heading for heading in Heading if heading in others]
    assert 3 <= len(found["Basics"]) <= 17
    assert max(map(len, found.values())) <= 17
    for name, field in model.model_fields.items():
        if not flag_of(field).hidden and not field.is_required() and not flag_of(field).positional:
            flag = flag_of(field).name or "--" + name.replace("_", "-")
            assert flag in found[headings[name]], flag


def test_a_heading_goes_on_to_the_next_one():
    headings = headings_of(body_model("generate").model_fields)
    assert headings["mask"] is Heading.IMAGE, "as --image before it"
    assert headings["prompt"] is Heading.BASICS, "required"
    assert headings["guidance_rescale"] is headings["scheduler"] is Heading.SAMPLING
    assert headings["width"] is Heading.BASICS
    assert headings["device"] is Heading.MEMORY
    assert headings_of({"plain": body_model("generate").model_fields["tiled"]}) == {}


@pytest.mark.parametrize("name", ALL)
def test_examples_are_valid(name, limner):
    import shlex

    entry = ALL[name]
    assert len(entry.examples) == len({*entry.examples}) == 2
    text = limner(name, "--help").out
    for example in entry.examples:
        assert len(f" limner {example}") <= 80
        assert f"limner {example}" in text
        arguments = shlex.split(example)
        assert arguments[0] == name
        function, _, unused, *_ = application(arguments).parse_known_args(arguments)
        assert callable(function) and not unused


@pytest.mark.parametrize("name", ALL)
def test_subcommands_are_listed_as_commands_with_examples_of_their_own(name, limner):
    import shlex

    loaded = application([name])[name]
    listed = {each for each in loaded if not each.startswith("-")}
    assert listed == {*getattr(ALL[name], "subcommands", ())}
    if not listed:
        return
    assert {*boxes(limner(name, "--help").out)["Commands"]} == listed
    for subcommand, examples in ALL[name].subcommands.items():
        text = limner(name, subcommand, "--help").out.partition("Examples:")[2]
        assert text.count(f" limner {name}") == len(examples)
        for example in examples:
            arguments = shlex.split(example)
            assert arguments[:2] == [name, subcommand] and f" limner {example}" in text
            function, _, unused, *_ = application(arguments).parse_known_args(arguments)
            assert callable(function) and not unused


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("generate", "[known: ddim, ddpm, dpm++2m, dpm++2m-karras, dpm++2m-sde, euler, euler-a, heun, pndm, unipc]"),
        ("generate", "sdxl, starter, z-image, z-image-turbo]"),
        ("train", "[known: full, lora, pivotal, textual_inversion]"),
        ("evaluate", "subject_fidelity, uniqueness]"),
        ("prepare", "[known: face, model, saliency]"),
    ],
)
def test_known_names_are_listed(limner, monkeypatch, command, known):
    monkeypatch.setenv("COLUMNS", "1000")
    assert known in limner(command, "--help").out


def test_a_recipe_is_found_by_its_name(limner, tmp_path, monkeypatch):
    assert {"flux", "guidance", "pets", "portrait", "product", "style"} == {*shipped_recipes()}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    assert read_recipe("pets", "train") == read_recipe(shipped_recipes()["pets"], "train")
    error = limner("train", "photos", "--recipe", "pest", "--class", "dog").error
    assert error.startswith("recipe 'pest' does not exist; did you mean 'pets'? choose one of: flux, guidance, pets")
    (tmp_path / "portrait").write_text("class_word: cat\n")
    assert read_recipe("portrait", "train") == [{"class_word": "cat", "kind": "train"}], "a file comes first"


def test_the_help_of_generate_needs_no_database():
    script = """
import sys
from limner.cli import main
try:
    main(["generate", "--help"])
except SystemExit:
    pass
print(sorted({"torch", "sqlalchemy", "numpy"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def subcommands():
    """Every command, and every subcommand behind its command, as typed."""
    found = []
    for name in ALL:
        command = application([name])[name]
        found += [(name,), *((name, part) for part in command if not part.startswith("-"))]
    return found


@pytest.mark.parametrize("typed", subcommands(), ids=" ".join)
def test_a_help_lists_every_argument_and_names_it_in_the_usage(limner, monkeypatch, typed):
    monkeypatch.setenv("COLUMNS", "300")
    shown = application([*typed])
    for name in typed:
        shown = shown[name]
    text = limner(*typed, "--help").out
    usage = text.splitlines()[0]
    assert usage.startswith(f"Usage: limner {' '.join(typed)}") and "ARGS" not in usage
    if shown.default_command is None:
        assert usage.endswith(" COMMAND")
        return
    assert usage.endswith(" [COMMAND]") == any(not part.startswith("-") for part in shown)
    for argument in shown.assemble_argument_collection():
        if argument.parameter.show is not False:
            name = argument.name.removeprefix("--")
            assert re.search(rf"^│.*(--{name}|{name.upper()})\b", text, re.MULTILINE), argument.name
            assert argument.index is None or re.search(rf" \[?{name.upper()}(\.\.\.)?\]?( |$)", usage), usage


@pytest.mark.parametrize("typed", [each for each in subcommands() if len(each) == 2], ids=" ".join)
def test_examples_of_a_subcommand_are_its_own(limner, typed):
    import shlex

    examples = re.findall(r"^ limner (.+?) *$", limner(*typed, "--help").out, re.MULTILINE)
    assert examples
    for example in examples:
        arguments = shlex.split(example)
        assert (*arguments[:2],) == typed
        function, _, unused, *_ = application(arguments).parse_known_args(arguments)
        assert callable(function) and not unused


def test_help_may_come_before_the_command(limner):
    for typed in (["train"], ["keys", "add"]):
        before, behind = limner("--help", *typed), limner(*typed, "-h")
        assert before.code == behind.code == 0 and before.err == behind.err == ""
        assert re.findall(r"[\w-]+", before.out) == re.findall(r"[\w-]+", behind.out)


@pytest.mark.parametrize("words", [["--help"], ["discover", "--json", "--filter", "size=square"]])
def test_nobody_reads_the_output_any_more(home, words):
    with closing(Studio(home)) as studio:
        add_image(studio, "a cat", size=(64, 64))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "limner.cli", *words], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
