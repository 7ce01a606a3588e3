"""What every test shares: tiny models, a home of its own, painted pictures, and the command line in-process."""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from filelock import FileLock

import postgres
import s3
from forking import Forker
from limner.store.files import sha256_of
from skips import unless_unexpected

if TYPE_CHECKING:
    from limner.studio.studio import KnownRequest as Request

hypothesis.settings.register_profile("long", max_examples=1000, deadline=None)  # of `make test-long`
os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the hub's library is imported
os.environ["OMP_NUM_THREADS"] = "1"  # here and in what tests start: the models are so small that a second only waits
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
os.environ.update(QUIET)  # while tests are collected, which imports both; what tests start is as loud as it is

MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # a disk takes as long as the tests of the store themselves

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src/limner/starter/weights"
FORKER: pytest.StashKey[Forker] = pytest.StashKey()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None and "forker" not in fixtures_of(item))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What has to be done before the first test, where tests run: the controller of pytest-xdist collects none."""
    if "diffusers" in sys.modules:
        from limner.models.logging import quiet_libraries

        quiet_libraries()
    if "fastapi" in sys.modules:
        from event_loop import share_event_loop
        from route_cache import keep_built_routes

        keep_built_routes()
        session.config.add_cleanup(share_event_loop())
    if any("forker" in fixtures_of(item) for item in session.items) and not session.config.option.collectonly:
        session.config.stash[FORKER] = Forker()
    for name in QUIET:
        del os.environ[name]
    gc.freeze()  # what was imported stays: no collection has to look through it again
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (forker := config.stash.get(FORKER, None)) is not None:
        forker.close()


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return unless_unexpected((yield), call)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return unless_unexpected(report, getattr(report, "call", None))


@pytest.fixture(scope="session")
def forker(request: pytest.FixtureRequest) -> Forker:
    """What starts processes without their imports."""
    return request.config.stash[FORKER]


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
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder once for all workers of pytest-xdist: its name, what fills it -> the folder, only to be read."""
    base = tmp_path_factory.getbasetemp()
    base = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    found: dict[str, Path] = {}

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        if name not in found:
            place, partial = base / name, base / "partial" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{place}.lock"):
                if not place.exists():
                    partial.mkdir(parents=True)
                    fill(partial)
                    Path(f"{place}.sha256").write_text(sha256_of(partial))
                    partial.rename(place)
            found[name] = place
        return found[name]

    yield make
    changed = [name for name, place in found.items() if sha256_of(place) != Path(f"{place}.sha256").read_text()]
    assert not changed, f"tests wrote into what they share: {changed}"


@pytest.fixture(scope="session")
def ran_once(made_once, tmp_path_factory) -> Callable[[str, Request], Path]:
    """Carries out a request once for all workers of pytest-xdist: name, request -> what it left, only to be read."""

    def run(name: str, request: Request) -> Path:
        from limner import Studio

        return made_once(name, lambda folder: Studio(tmp_path_factory.mktemp("home")).run(request, folder))

    return run


@pytest.fixture(scope="session")
def tiny_folder(made_once):
    """Family name -> its tiny model folder."""

    def of(family: str) -> Path:
        import tiny

        return made_once(f"models/tiny-{family}", lambda folder: tiny.build(family, folder))

    return of


@pytest.fixture(scope="session")
def components_kept():
    """Components of shared model folders that were loaded before, by what they were loaded from."""
    return {}


@pytest.fixture
def loaded_once(made_once, components_kept, tmp_path_factory, monkeypatch):
    """Shared model folders are read from the disk once: what is loaded later is a copy of what was loaded first."""
    from limner.plugins import registry
    from original import Original

    shared = str(made_once("empty", lambda folder: None).parent), str(WEIGHTS)

    def keeping(load):
        def of(source, dtype, device):
            if source.quantised or source.vae or not source.location.startswith(shared):
                return load(source, dtype, device)
            key = source.location, dtype, device
            if key not in components_kept:
                components_kept[key] = Original(load(source, dtype, device))
            return components_kept[key].copy()

        return of

    for family in registry.families.all().values():
        monkeypatch.setattr(family, "load", keeping(family.load))


@pytest.fixture(scope="session")
def tiny_sd(tiny_folder):
    return tiny_folder("sd")


@pytest.fixture(scope="session")
def tiny_sdxl(tiny_folder):
    return tiny_folder("sdxl")


@pytest.fixture(scope="session")
def painted(made_once):
    """Six painter pictures of one dog, as a training folder."""

    def fill(folder: Path) -> None:
        from limner.starter.painter import Scene, paint

        rng = random.Random(7)
        for index, place in enumerate(("beach", "park", "snow", "city", "forest", "desert")):
            scene = Scene(subject="dog", character="comet", place=place, seed=rng.getrandbits(31))
            paint(scene).save(folder / f"{index}.png")

    return made_once("pictures/dog", fill)


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


@pytest.fixture(scope="session")
def empty_database(made_once):
    """A database file without rows, since making one takes eight migrations."""

    def fill(folder: Path) -> None:
        from limner.store.database import open_engine, sqlite_url

        open_engine(sqlite_url(folder)).dispose()

    return made_once("database", fill) / "limner.db"


@pytest.fixture
def home(request, tmp_path, empty_database, monkeypatch):
    """A fresh LIMNER_HOME, no network, and the working folder in tmp_path."""
    if "limner.models.loading" in sys.modules:
        request.getfixturevalue("loaded_once")
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(empty_database, folder / empty_database.name)
    monkeypatch.setenv("LIMNER_HOME", str(folder))
    monkeypatch.delenv("LIMNER_DATABASE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    yield folder
    if models := sys.modules.get("limner.models.loading"):
        models.unload_all()


@pytest.fixture
def pool_here(monkeypatch):
    """Datasets that one worker prepares are prepared in this process."""
    from limner.engine.prepare import pool, prepare
    from pools import PoolHere

    def open_pool(executor, workers):
        return PoolHere() if (executor, workers) == ("processes", 1) else pool.open_pool(executor, workers)

    monkeypatch.setattr(prepare, "open_pool", open_pool)


@pytest.fixture
def limner(home, capsys):
    """Run a command in this process."""

    def run(*arguments: object) -> Said:
        from limner.cli import main

        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = 0 if stop.code is None else int(stop.code)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def starter():
    """The bundled model's folder; a test that needs it is skipped where the weights were not built."""
    if not (WEIGHTS / "model_index.json").is_file():
        pytest.skip(
            "the starter's weights are not in src/limner/starter/weights; python -m limner.starter.pretrain makes them"
        )
    return WEIGHTS
