"""The service stops at once, in peace, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from test_service import PAINT, start

from limner.server import serve
from limner.server.settings import Settings


def test_a_stream_of_events_ends_with_the_service(tmp_path: Path, starter: Path) -> None:
    running = start(tmp_path)
    run = running.call("POST", "/v1/runs", PAINT | {"steps": 900, "count": 8}).json
    assert running.process.stderr is not None
    with urllib.request.urlopen(running.call.address + run["url"] + "/events", timeout=60) as stream:
        stream.readline()
        running.process.send_signal(signal.SIGTERM)
        told = stream.read()
    assert b"event: end" not in told, "the run is put back, and goes on later"
    assert running.process.wait(90) == 0
    said = running.process.stderr.read()
    running.process.stderr.close()
    assert "Traceback" not in said and "ERROR" not in said, said


def test_the_impatient_leave_no_worker_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = tmp_path / "worker"
    stubborn.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {tmp_path}/pid\nexec sleep 120\n")
    stubborn.chmod(0o700)
    monkeypatch.setattr(serve.sys, "executable", str(stubborn))
    asked = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), serve.workers(tmp_path, Settings(), lambda text: None):
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                time.sleep(0.01)
            asked.start()
    finally:
        signal.signal(signal.SIGINT, before)
    pid = (tmp_path / "pid").read_text().strip()
    found = subprocess.run(["ps", "-p", pid], capture_output=True, check=False)
    assert found.returncode == 1, "the worker is still there"
    assert sys.executable == str(stubborn)
