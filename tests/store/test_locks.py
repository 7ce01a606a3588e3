"""Tests of locks between programs."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from limner import LimnerError
from limner.store.locks import Locked, is_locked, output_lock, run_lock, with_output_lock

HOLD = """
import sys, time
from pathlib import Path
from limner.store.locks import output_lock, run_lock
with run_lock(Path(sys.argv[1])), output_lock(Path(sys.argv[1]) / "rex"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_program_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    program = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
        with pytest.raises(LimnerError, match="executed by another program"), run_lock(tmp_path):
            pass
        message = r"rex' is being filled by another program; wait until that ends, or choose another --out$"
        with pytest.raises(Locked, match=message), output_lock(tmp_path / "rex"):
            pass
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert not is_locked(tmp_path)
    with run_lock(tmp_path):
        assert is_locked(tmp_path)
    with output_lock(tmp_path / "rex"):  # what a killed program held is free
        assert not (tmp_path / "rex").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_an_output_folder_is_locked_under_each_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with output_lock(tmp_path / "real" / "rex"):
        for same in (tmp_path / "real" / "rex", tmp_path / "link" / "rex", tmp_path / "real" / ".." / "real" / "rex"):
            with pytest.raises(Locked), output_lock(same):
                pass
        with output_lock(tmp_path / "real" / "max"):
            pass
    assert list((tmp_path / "real").iterdir()) == []


def test_a_released_folder_is_locked_by_one(tmp_path: Path) -> None:
    """The lock file is deleted with it: a program that waited for the old file must not hold a lock on it."""
    inside, most, turns = 0, 0, 0

    def fill(_: int) -> None:
        nonlocal inside, most, turns
        for _ in range(60):
            with suppress(Locked), output_lock(tmp_path / "rex"):
                inside += 1
                most = max(most, inside)
                turns += 1
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(4)))
    assert most == 1 and turns > 4


def test_an_error_releases_the_folder(tmp_path: Path) -> None:
    @with_output_lock
    def fill(folder: Path, size: int, *, fail: bool) -> int:
        with pytest.raises(Locked), output_lock(folder):
            pass
        if fail:
            raise ZeroDivisionError
        return size

    with pytest.raises(ZeroDivisionError):
        fill(tmp_path / "rex", 1, fail=True)
    assert fill(tmp_path / "rex", 2, fail=False) == 2
