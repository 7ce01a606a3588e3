"""Settings: when keys are needed, defaults, and limits."""

from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from limner.server import serve
from limner.server.settings import Settings
from waiting import until


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert not Settings(host=host).needs_keys
    assert Settings(host=host, accounts=True).needs_keys and Settings(host=host, share=True).needs_keys


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "127.0.0.2", "limner.example", ""])
def test_other_addresses_need_a_key(host: str) -> None:
    assert Settings(host=host).needs_keys and Settings(host=host, accounts=False).needs_keys


def test_default_settings() -> None:
    each = Settings()
    assert (each.host, each.workers, each.together, each.accounts, each.share) == ("127.0.0.1", 1, 8, False, False)
    assert (each.pixels, each.upload_bytes, each.unpacked_bytes) == (2048 * 2048, 64 * 2**20, 512 * 2**20)
    assert (each.run_seconds, each.retention_days, each.wait_seconds, each.presign) == (None, None, 600.0, False)
    assert (each.connections, each.connections_each, each.connections_per_client) == (1000, 250, 250)
    assert (each.header_seconds, each.body_seconds) == (20.0, 30.0)
    assert (each.port, each.names, each.profile, each.policy, each.log) == (None, (), None, None, "text")


def test_behind_a_tunnel_connections_are_not_counted_by_address() -> None:
    assert Settings(share=True, connections_each=9).connections_per_client == 0
    assert Settings(connections_each=9).connections_per_client == 9


@pytest.mark.parametrize(
    "fields", [{"workers": 0}, {"workers": 64}, {"together": 1}, {"together": 256}, {"port": 65535}]
)
def test_settings_at_their_limits(fields: dict[str, int]) -> None:
    (name,) = fields
    assert getattr(Settings.model_validate(fields), name) == fields[name]


@pytest.mark.parametrize(
    "fields",
    [{"workers": 65}, {"together": 0}, {"together": 257}, {"port": 65536}, {"run_seconds": 0}, {"retention_days": 0}]
    + [
        {"retention_days": 36501},
        {"pixels": 63},
        {"upload_bytes": 0},
        {"wait_seconds": 0},
        {"share_host": "-oProxy=x"},
    ],
)
def test_invalid_settings(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(fields)


def test_host_names() -> None:
    names = Settings(host="10.0.0.7", names=("limner.example",)).host_names
    assert set(names) == {"127.0.0.1", "::1", "localhost", "[::1]", "10.0.0.7", "limner.example"}


def test_workers_are_started_with_the_settings_of_the_service(tmp_path, monkeypatch):
    started = []

    class Started:
        def __init__(self, command, env, **options):
            started.append((command, env))

        def poll(self):
            return None

        def send_signal(self, number):
            pass

        def wait(self, timeout=None):
            return 0

        kill = wait

    monkeypatch.setattr(serve.subprocess, "Popen", Started)
    monkeypatch.setattr(serve.os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with serve.worker_processes(tmp_path, Settings(workers=2, together=5, run_seconds=60, log="json"), print):
        pass
    assert len(started) == 3
    assert ["--quick" in command for command, _ in started] == [False, False, True], "one for checks of datasets"
    command, environment = started[0]
    flags = dict(zip(command[command.index("worker") + 1 :: 2], command[command.index("worker") + 2 :: 2], strict=True))
    assert flags == {"--parent": str(os.getpid()), "--log": "json", "--together": "5", "--run-seconds": "60.0"}
    assert (environment["OMP_NUM_THREADS"], environment["LIMNER_HOME"]) == ("4", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("LIMNER_HOME", "/of/another/server")
    with serve.worker_processes(tmp_path, Settings(workers=2, run_seconds=0.5), print):
        pass
    command, environment = started[-2]
    assert (environment["OMP_NUM_THREADS"], environment["LIMNER_HOME"]) == ("3", str(tmp_path)), "if the user says so"
    assert command[-1] == "0.5"
    before = len(started)
    with serve.worker_processes(tmp_path, Settings(workers=0), print):
        pass
    assert len(started) == before, "other machines have the workers"


def test_a_worker_that_ends_at_once_is_started_again_after_a_second(tmp_path, monkeypatch):
    now, started, messages = [0.0], [], []

    class Ended:
        returncode = 7

        def __init__(self, command, env, **options):
            started.append(now[0])

        def poll(self):
            now[0] += 0.4
            return self.returncode

        def send_signal(self, number):
            pass

        def wait(self, timeout=None):
            return 0

        kill = wait

    monkeypatch.setattr(serve.subprocess, "Popen", Ended)
    monkeypatch.setattr(serve, "monotonic", lambda: now[0])
    with serve.worker_processes(tmp_path, Settings(), messages.append):
        until("another worker", lambda: len(started) >= 3)
    assert started[2] - started[0] > 1 and messages[0] == "a worker ended (code 7) and is started again"
