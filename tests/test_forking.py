"""A forked process ends, writes and is stopped as one of its own would be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest


def told(*words):
    print(*words, os.environ["ONLY"], os.getcwd(), sorted(os.environ), sys.stdin.read())
    print("a warning", file=sys.stderr)


def failing(error):
    raise error


def waiting():
    print("ready", flush=True)
    time.sleep(60)


@pytest.fixture
def start(forker, tmp_path):
    started = []

    def begin(call, *arguments):
        started.append(forker.start(call, *arguments, environment={"ONLY": "this"}, folder=tmp_path))
        return started[-1]

    yield begin
    for process in started:
        process.end()


def test_it_has_its_environment_folder_and_output(start, tmp_path):
    process = start(told, "a", "b")
    assert process.communicate(60) == (f"a b this {tmp_path} ['ONLY'] \n", "a warning\n") and process.returncode == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(SystemExit(3), 3, ""), (SystemExit("no"), 1, "no\n"), (ValueError("bad"), 1, "ValueError: bad\n")],
)
def test_it_ends_with_the_code_of_its_error(start, error, code, said):
    process = start(failing, error)
    out, err = process.communicate(60)
    assert (process.returncode, out) == (code, "") and err.endswith(said)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)]
)
def test_it_hears_signals(start, number, code):
    process = start(waiting)
    while not process.output()[0]:
        time.sleep(0.01)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    assert process.wait(60) == code and ("KeyboardInterrupt" in process.output()[1]) == (number == signal.SIGINT)


def test_many_run_at_once(start):
    processes = [start(told, number) for number in range(8)]
    assert [process.communicate(60)[0].split()[0] for process in processes] == [str(number) for number in range(8)]
