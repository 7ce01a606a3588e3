"""Mutation check: makes one small change at a time to a copy of the source, and runs the tests that must notice it.

    python tests/mutants/run.py                 all lists beside this file
    python tests/mutants/run.py store server    these lists
    python tests/mutants/run.py --name default-alpha --name karras-levels
    python tests/mutants/run.py my-own.toml     a list of your own

A list is a TOML file of [[mutant]] tables: `name`, `file` (below src/limner), `before` (text that stands in the file
once), `after`, and `tests` (arguments of pytest). A general tool such as mutmut makes thousands of mutants and runs
every test against each; with tests that train models that takes days, so the mutants are chosen by hand.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
PACKAGE = "src/limner"
WANTED = 0.95
"""Share of the mutants that `make test` must notice."""
SECONDS = 300
"""A mutant whose tests run longer hangs them, and is noticed."""
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "limner-demo", "build", "dist", "pictures")
WARM = (
    "torch",
    "peft",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img",
    "diffusers.pipelines.flux.pipeline_flux",
    "diffusers.pipelines.flux2.pipeline_flux2_klein",
    "diffusers.pipelines.z_image.pipeline_z_image",
    "transformers.models.clip.modeling_clip",
    "transformers.models.qwen3.modeling_qwen3",
    "transformers.models.t5.modeling_t5",
    "scipy.stats",
    "cyclopts",
    "fastapi.testclient",
    "sqlalchemy.orm",
    "alembic.config",
    "PIL.Image",
    "pytest",
    "xdist.plugin",
    "_hypothesis_pytestplugin",
    "hypothesis",
    "schemathesis.pytest.plugin",
)
"""What takes long to import and is no part of Limner: imported once, before the forks."""
OPTIONS = "-n", "0", "-x", "-q", "-m", "not slow", "-W", "ignore::pytest.PytestAssertRewriteWarning"
PASSED, FAILED, INTERRUPTED = 0, 1, 2
"""Exit codes of pytest: all passed, some failed, stopped by an error while collecting."""


@dataclass(frozen=True)
class Mutant:
    """One change of the source. file: below src/limner. tests: arguments of pytest."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def mutate(self, source: str) -> str:
        """The changed source. Raises ValueError where the text to change does not stand in it once."""
        if (found := source.count(self.before)) != 1:
            raise ValueError(f"{self.name}: {self.before!r} stands {found} times in {self.file}; write enough of it")
        return source.replace(self.before, self.after)


def load(path: Path) -> list[Mutant]:
    """The mutants of a list. Raises ValueError where a table is not one."""
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    try:
        return [Mutant(**table | {"tests": tuple(table["tests"])}) for table in tables]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: {error}; a mutant has name, file, before, after and tests") from None


def lists() -> list[Path]:
    """The lists of this project."""
    return sorted(Path(__file__).parent.glob("*.toml"))


class Copy:
    """A copy of the checkout in which pytest runs in a child of this process, with one mutant in place or none."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "limner"
        self.mutant: Mutant | None = None
        self._child = 0
        shutil.copytree(ROOT, self.root, ignore=NOT_COPIED)
        if (shared := ROOT.parent / "shared").exists():
            (folder / "shared").symlink_to(shared.resolve())
        subprocess.run([sys.executable, "-m", "compileall", "-q", self.root], check=True)

    def start(self, tests: tuple[str, ...], mutant: Mutant | None = None) -> None:
        """Put a mutant in place and start its tests. This process has imported the heavy libraries already."""
        self.mutant, self._end = mutant, time.monotonic() + SECONDS
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - poll() closes it
        if mutant is not None:
            path = self.root / PACKAGE / mutant.file
            self._source = path.read_text(encoding="utf-8")
            path.write_text(mutant.mutate(self._source), encoding="utf-8")
            Path(cache_from_source(str(path))).unlink(missing_ok=True)
        self._child = os.fork()
        if self._child == 0:
            self._be_pytest(tests)

    def poll(self) -> tuple[int, str] | None:
        """Exit code and last output of the tests, once they have ended; one that takes too long is killed."""
        done, status = os.waitpid(self._child, os.WNOHANG)
        late = not done and time.monotonic() > self._end
        if not done and not late:
            return None
        with suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL)  # what the tests started and left behind goes too
        if late:
            _, status = os.waitpid(self._child, 0)
        if self.mutant is not None:
            path = self.root / PACKAGE / self.mutant.file
            path.write_text(self._source, encoding="utf-8")
            py_compile.compile(str(path), doraise=True)
        with self._output as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - 2000))
            return os.waitstatus_to_exitcode(status), output.read().decode(errors="replace")

    def _be_pytest(self, tests: tuple[str, ...]) -> NoReturn:
        code = 3
        try:
            os.setsid()
            os.dup2(self._output.fileno(), 1)
            os.dup2(self._output.fileno(), 2)
            os.chdir(self.root)
            sys.dont_write_bytecode = True
            sys.path.insert(0, str(self.root / "src"))
            os.environ |= {"PYTHONPATH": str(self.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
            import pytest

            code = int(pytest.main([*tests, *OPTIONS]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def check(mutants: list[Mutant], jobs: int) -> dict[str, bool]:
    """Name of each mutant -> whether its tests notice it. Raises ValueError where tests fail without any mutant."""
    from rich.progress import MofNCompleteColumn, Progress

    tests: dict[str, set[str]] = {}  # by their file, since most of a run's time is spent before the first test
    for test in (test for mutant in mutants for test in mutant.tests):
        tests.setdefault(test.partition("::")[0], set()).add(test)
    tasks = [(tuple(sorted(those)), None) for _, those in sorted(tests.items())]
    tasks += [(mutant.tests, mutant) for mutant in mutants]
    noticed: dict[str, bool] = {}
    with (
        tempfile.TemporaryDirectory(prefix="limner-mutants-") as folder,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), auto_refresh=False) as bar,
    ):
        # A thread of the bar that is at work while this process forks could leave a lock behind: it is drawn from here.
        rows = {
            False: bar.add_task("tests as they are", total=len(tests)),
            True: bar.add_task("mutants", total=len(mutants)),
        }
        idle = [Copy(_made(Path(folder, str(job)))) for job in range(min(jobs, len(tasks)))]
        busy: list[tuple[Copy, tuple[str, ...]]] = []
        while tasks or busy:
            while idle and tasks:
                copy, (of, mutant) = idle.pop(), tasks.pop(0)
                copy.start(of, mutant)
                busy.append((copy, of))
            time.sleep(0.05)
            for copy, of in list(busy):
                if (ended := copy.poll()) is None:
                    continue
                busy.remove((copy, of))
                idle.append(copy)
                _judge(copy.mutant, of, *ended, noticed)
                bar.advance(rows[copy.mutant is not None])
                bar.refresh()
                if copy.mutant is not None and not noticed[copy.mutant.name]:
                    bar.console.print(f"not noticed: {copy.mutant.name} ({copy.mutant.file})", highlight=False)
    return noticed


def _judge(mutant: Mutant | None, tests: tuple[str, ...], code: int, output: str, noticed: dict[str, bool]) -> None:
    if mutant is None and code != PASSED:
        raise ValueError(f"{' '.join(tests)} does not pass without a mutant (exit code {code}):\n{output}")
    if mutant is not None:
        if code not in (PASSED, FAILED, INTERRUPTED, -signal.SIGKILL):
            raise ValueError(f"{mutant.name}: pytest ended with {code}\n{output}")
        noticed[mutant.name] = code != PASSED


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {path.stem: path for path in lists()}
    parser.add_argument("lists", nargs="*", help=f"a list by name ({', '.join(known)}) or a TOML file; default: all")
    parser.add_argument("--name", action="append", default=[], help="only this mutant; may be repeated")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: %(default)s)"
    )
    arguments = parser.parse_args()
    try:
        paths = [known.get(name, Path(name)) for name in arguments.lists] or list(known.values())
        mutants = [mutant for path in paths for mutant in load(path)]
        if arguments.name:
            mutants = [mutant for mutant in mutants if mutant.name in arguments.name]
        if not mutants:
            raise ValueError("no mutant of that name; --name takes names as the lists write them")
        for mutant in mutants:
            mutant.mutate((ROOT / PACKAGE / mutant.file).read_text(encoding="utf-8"))
        os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):  # peft warns of kernels that need a GPU
            for name in WARM:
                importlib.import_module(name)
        gc.freeze()  # or every child would walk through all of it at its end
        noticed = check(mutants, max(1, arguments.jobs))
    except (OSError, ValueError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    share = sum(noticed.values()) / len(noticed)
    print(f"{sum(noticed.values())} of {len(noticed)} mutants are noticed ({share:.1%}); wanted: {WANTED:.0%}")
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
