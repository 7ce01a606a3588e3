"""What every test shares: tiny models, a home of its own, painted pictures, and the command line in-process."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the hub's library is imported
os.environ["OMP_NUM_THREADS"] = "1"  # here and in what tests start: the models are so small that a second only waits

import postgres
import s3
import tiny
from limner import cli
from limner.diffusion.quiet import hush
from limner.engine import models
from limner.starter.painter import Scene, paint

ROOT = Path(__file__).parents[1]
hush()


@dataclass(frozen=True)
class Said:
    """What a command answered: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The line that names the mistake: the only one that begins with "limner: ", and the last of all."""
        assert "Traceback" not in self.out + self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("limner: ")]
        assert len(lines) == 1 and self.err.rstrip().endswith(lines[0]), self.err
        return lines[0].removeprefix("limner: ")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """Family name -> its tiny model folder, built once. Tests never write into it."""
    built: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in built:
            built[family] = tiny.build(family, tmp_path_factory.mktemp("models") / f"tiny-{family}")
        return built[family]

    return of


@pytest.fixture(scope="session")
def tiny_sd(tiny_folder):
    return tiny_folder("sd")


@pytest.fixture(scope="session")
def tiny_sdxl(tiny_folder):
    return tiny_folder("sdxl")


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    """Six painter pictures of one dog, as a training folder. Tests never write into it."""
    folder = tmp_path_factory.mktemp("pictures") / "dog"
    folder.mkdir()
    rng = random.Random(7)
    for index, place in enumerate(("beach", "park", "snow", "city", "forest", "desert")):
        paint(Scene(subject="dog", character="comet", place=place, seed=rng.getrandbits(31))).save(
            folder / f"{index}.png"
        )
    return folder


@pytest.fixture(scope="session")
def postgres_folder():
    """A PostgreSQL server, by the folder of its socket."""
    with postgres.server() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """None for SQLite in the home, or the URL of an empty PostgreSQL database: each test is run with both."""
    return None if request.param == "sqlite" else postgres.fresh(request.getfixturevalue("postgres_folder"))


@pytest.fixture(scope="session")
def s3_server():
    """A running S3 server."""
    with s3.server() as running:
        yield running


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The URL of an empty place in a bucket, which programs reach by the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3.fresh()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh LIMNER_HOME, no network, and the working folder in tmp_path."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LIMNER_HOME", str(folder))
    monkeypatch.delenv("LIMNER_DATABASE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    yield folder
    models.forget()


@pytest.fixture
def limner(home, capsys):
    """Run a command in this process."""

    def run(*arguments: object) -> Said:
        code = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = 0 if stop.code is None else int(stop.code)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def starter():
    """The bundled model's folder; a test that needs it is skipped where the weights were not built."""
    folder = ROOT / "src/limner/starter/weights"
    if not (folder / "model_index.json").is_file():
        pytest.skip(
            "the starter's weights are not in src/limner/starter/weights; python -m limner.starter.pretrain makes them"
        )
    return folder
