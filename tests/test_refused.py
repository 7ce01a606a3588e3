"""A request with a wrong name, file or value is refused before torch is imported, and is no run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from limner import GenerateRequest, LimnerError, Studio
from limner.core.kinds import KINDS

COMMANDS = [
    (["generate", "a cat", "--model", "startr"], "unknown model 'startr'; did you mean 'starter'?"),
    (["generate", "a cat", "--adapter", "nosuch"], "unknown adapter 'nosuch'"),
    (["generate", "a cat", "--adapter", "broken.safetensors"], "broken.safetensors' cannot be read"),
    (["generate", "a cat", "--adapter", "sdxl.safetensors"], "was made for 'sdxl' (sdxl), not for 'starter'"),
    (["generate", "a cat", "--vae", "nosuch"], "autoencoder (VAE) 'nosuch' does not exist"),
    (["generate", "a cat", "--refiner", "nosuch"], "refiner 'nosuch' does not exist"),
    (["generate", "a cat", "--image", "nosuch.png"], "'nosuch.png' does not exist"),
    (["generate", "a cat", "--image", "broken.png"], "broken.png"),
    (["generate", "a cat", "--control", "edges=photo.png"], "edges"),
    (["generate", "a cat", "--scheduler", "ddi"], "unknown scheduler 'ddi'; did you mean 'ddim'?"),
    (["generate", "a cat", "--width", "100"], "width 100 is not a multiple of 8"),
    (["train", "nosuch", "--identifier", "sks", "--class", "dog"], "'nosuch' does not exist"),
    (["train", "empty", "--identifier", "sks", "--class", "dog"], "empty"),
    (["train", "photos", "--identifier", "sks", "--class", "dog", "--model", "startr"], "unknown model 'startr'"),
    (["train", "photos", "--identifier", "sks", "--class", "dog", "--resolution", "101"], "multiple of 8"),
    (["train", "photos", "--identifier", "sks", "--class", "dog", "--out", "photos"], "photos"),
    (["compare", "starter", "nosuch", "--prompt", "a cat"], "'nosuch' is not an adapter"),
    (["compare", "starter", "starter+broken.safetensors", "--prompt", "a cat"], "cannot be read"),
    (["compare", "starter", "sd15", "--prompt", "a cat", "--metric", "saturatio"], "unknown metric 'saturatio'"),
    (["compare", "starter", "sd15", "--prompt", "a cat", "--references", "nosuch"], "'nosuch' does not exist"),
    (["evaluate", "nosuch", "--prompt", "a cat"], "'nosuch' is not an adapter"),
    (["evaluate", "starter", "--prompt", "a cat", "--dataset", "nosuch"], "'nosuch' does not exist"),
    (["evaluate", "starter", "--prompt", "a cat", "--metric", "saturatio"], "unknown metric 'saturatio'"),
    (["sweep", "a cat", "--axis", "scheduler=ddim,ddi"], "unknown scheduler 'ddi'"),
    (["sweep", "a cat", "--axis", "guidance=1,2", "--metric", "saturatio"], "unknown metric 'saturatio'"),
    (["influence", "--adapter", "nosuch"], "unknown adapter 'nosuch'"),
    (["improve", "nosuch"], "'nosuch' is not an adapter"),
    (["improve", "starter", "--from", "nosuch.jsonl"], "there is no file 'nosuch.jsonl'; give --from ratings, pairs"),
    (["improve", "starter", "--references", "nosuch"], "'nosuch' does not exist"),
    (["improve", "starter", "--out", "photos"], "photos"),
    (["improve", "starter+sdxl.safetensors"], "does not state how it was trained"),
    (["prepare", "nosuch"], "'nosuch' does not exist"),
    (["prepare", "photos", "--crop", "subject", "--detector", "fac"], "unknown detector 'fac'"),
    (["prepare", "photos", "--catalogue", "photos"], "catalogue 'photos' is a folder or a device"),
]
SCRIPT = """
import json, sys
from contextlib import redirect_stderr
from io import StringIO
from limner.cli import main
found = []
for command in json.loads(sys.stdin.read()):
    with redirect_stderr(StringIO()) as said:
        try:
            main(command)
        except SystemExit as stop:
            found.append([stop.code, said.getvalue()])
heavy = sorted({"torch", "diffusers", "transformers"} & sys.modules.keys())
from limner.studio.studio import Studio
print(json.dumps([found, heavy, len(Studio().runs.list(100))]))
"""


def test_every_kind_is_tried():
    assert {command[0] for command, _ in COMMANDS} == KINDS.keys()


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What each command prints, the heavy libraries that all of them imported, and the number of runs."""
    folder = tmp_path_factory.mktemp("refused")
    for name in ("empty", "photos"):
        (folder / name).mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / "photos" / "01.png")
    Image.new("RGB", (64, 64), "red").save(folder / "photo.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    base = {"limner": json.dumps({"method": "lora", "base": {"reference": "sdxl"}})}
    save_file({"weight": np.zeros(1)}, folder / "sdxl.safetensors", base)
    (folder / "broken.safetensors").write_bytes(b"\xff" * 64)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([command for command, _ in COMMANDS]),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "LIMNER_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=lambda number: " ".join(COMMANDS[number][0][:4]))
def test_the_error_is_one_line(refused, number):
    code, said = refused[0][number]
    [error] = said.splitlines()
    assert code == 2
    assert error.startswith("limner: ")
    assert COMMANDS[number][1] in error


def test_nothing_heavy_is_imported_and_no_run_is_recorded(refused):
    _, heavy, runs = refused
    assert heavy == []
    assert runs == 0


def test_the_first_line_comes_before_anything_slow(tmp_path):
    script = """
import sys
class Watched:
    first = None
    def write(self, text):
        if text.strip() and Watched.first is None:
            Watched.first = [text.strip(), sorted({"torch", "diffusers", "sqlalchemy"} & sys.modules.keys())]
            raise KeyboardInterrupt
    def flush(self): pass
sys.stderr = Watched()
from limner.cli import main
try:
    main(["generate", "a photo of a cat"])
except SystemExit:
    print(Watched.first)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "['generate: a photo of a cat', []]", done.stderr


def test_a_program_that_is_refused_records_no_run(home):
    studio = Studio()
    with pytest.raises(LimnerError, match="unknown adapter 'nosuch'"):
        studio.run(GenerateRequest(prompt="a cat", adapter=("nosuch",)))
    assert studio.runs.list(10) == []
