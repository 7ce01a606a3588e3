"""Stopping the server and its workers: quickly, with no process left and no run lost."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

import serving
from limner.core.runs import Status
from limner.server import serve
from limner.server.settings import Settings
from limner.store.tables import RunRow
from limner.studio.studio import Studio
from serving import PAINT, Process, end, program
from waiting import until

LONG = PAINT | {"steps": 900, "count": 8}


def worker_of(service: Process) -> int:
    """The process id of the worker, once it is running."""
    found: list[str] = []

    def look() -> bool:
        line = ["pgrep", "-P", str(service.process.pid)]
        found[:] = subprocess.run(line, capture_output=True, text=True, check=False).stdout.split()
        return bool(found)

    until("a worker", look)
    return int(found[0])


@pytest.mark.slow
def test_event_streams_end_when_the_server_stops(tmp_path: Path, starter: Path) -> None:
    with program(tmp_path) as running:
        run = running.call("POST", "/v1/runs", LONG).json
        assert running.process.stderr is not None
        with urllib.request.urlopen(running.call.address + run["url"] + "/events", timeout=60) as stream:
            stream.readline()
            running.process.send_signal(signal.SIGTERM)
            events = stream.read()
        assert b"event: end" not in events, "the run is queued again"
        assert running.process.wait(90) == 0
        stderr = running.process.stderr.read()
    assert "Traceback" not in stderr and "ERROR" not in stderr, stderr
    studio = Studio(tmp_path)
    back = studio.store.get(run["id"])
    studio.store.close()
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


@pytest.mark.slow
def test_a_restart_loses_no_run(tmp_path: Path, starter: Path) -> None:
    with program(tmp_path) as first:
        runs = [first.call("POST", "/v1/runs", PAINT | {"steps": 20, "seed": seed}).json["url"] for seed in range(2)]
        until("a run's beginning", lambda: any(run["progress"] for run in first.call("GET", "/v1/runs").json))
        assert end(first) == 0
    with program(tmp_path) as second:
        until("the end of all runs", lambda: all(second.call("GET", run).json["status"] == "done" for run in runs))
        assert [len(second.call("GET", run).json["artifacts"]) for run in runs] == [1, 1]


@pytest.mark.slow
def test_the_run_of_a_killed_worker_is_executed_by_another(tmp_path: Path, starter: Path) -> None:
    with program(tmp_path) as running, closing(Studio(tmp_path).store) as store:
        url = running.call("POST", "/v1/runs", PAINT | {"steps": 200}).json["url"]
        until("its beginning", lambda: running.call("GET", url).json["progress"])
        os.kill(worker_of(running), signal.SIGKILL)
        with store.writing() as session:  # its lease has expired
            past = store.list(1)[0].created
            assert session.execute(update(RunRow).values(lease=past)).rowcount == 1
        until("its end", lambda: running.call("GET", url).json["status"] == "done")
        assert store.list(1)[0].attempt == 2


def test_a_failing_test_leaves_no_server_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sleep", "120"], stderr=subprocess.PIPE, text=True)
    monkeypatch.setattr(serving, "start", lambda home: Process(home, serving.Client("http://127.0.0.1:9"), process))
    with pytest.raises(AssertionError, match="it failed"), program(tmp_path):
        raise AssertionError("it failed")
    assert process.poll() == -signal.SIGTERM


def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str = "") -> None:
    """Make `worker_processes` start a script that writes its process id to the file `pids` and sleeps."""
    program = tmp_path / "worker"
    program.write_text(f"#!/bin/sh\n{first}\necho $$ >> {tmp_path}/pids\nexec sleep 120\n")
    program.chmod(0o700)
    monkeypatch.setattr(serve.sys, "executable", str(program))


def started(tmp_path: Path) -> list[int]:
    file = tmp_path / "pids"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_killed_worker_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path, monkeypatch)
    hour = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(serve, "monotonic", lambda: next(hour))
    messages: list[str] = []
    with serve.worker_processes(tmp_path, Settings(), messages.append):
        until("two workers", lambda: len(started(tmp_path)) == 2)
        os.kill(started(tmp_path)[0], signal.SIGKILL)
        until("another worker", lambda: len(started(tmp_path)) == 3)
    assert messages == [f"a worker ended (code {-signal.SIGKILL}) and is started again"]


def test_a_second_interrupt_leaves_no_worker_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path, monkeypatch, "trap '' TERM")
    asked = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), serve.worker_processes(tmp_path, Settings(), lambda text: None):
            until("two workers", lambda: len(started(tmp_path)) == 2)
            asked.start()
    finally:
        signal.signal(signal.SIGINT, before)
    for pid in started(tmp_path):
        found = subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False)
        assert found.returncode == 1, "the worker is still running"
