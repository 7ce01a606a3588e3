"""Training in several processes: the same command, the same result."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from limner import LimnerError, Studio
from limner.engine.train.processes import ProcessGroup
from limner.models.options import LORA_FILE


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def launch(forker, tmp_path):
    """Start `limner` alone, or in several processes with the environment that accelerate's launcher gives to each."""
    started = []

    def begin(count, arguments):
        ranks = [{}]
        if count > 1:
            group = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1"}
            group |= {"MASTER_PORT": free_port()}
            ranks = [group | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(count)]
        for rank in ranks:
            values = {name: str(value) for name, value in rank.items()} | {"LIMNER_HOME": str(tmp_path / "home")}
            started.append(forker.limner(*arguments, environment=os.environ | values, folder=tmp_path))
        return started[-len(ranks) :]

    yield begin
    for process in started:
        process.end()


def done(processes):
    """What the main one of several processes wrote, when all have ended well."""
    values = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), values
    return values[0]


@pytest.fixture
def arguments(tiny_sd, painted):
    fields = {"--class": "dog", "--model": tiny_sd, "--steps": 6, "--batch": 4, "--class-pictures": 3, "--rank": 4}
    fields |= {"--learning-rate": 1e-2, "--precision": "fp32", "--checkpoint-every": 2, "--held-out": 1}
    return ["train", painted, *(part for pair in fields.items() for part in pair)]


def apart(one, other):
    one, other = load_file(one / LORA_FILE), load_file(other / LORA_FILE)
    ups = [name for name in one if "lora_B" in name]
    return (sum((one[n] - other[n]).norm() ** 2 for n in ups) / sum(one[n].norm() ** 2 for n in ups)).sqrt().item()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(launch, tmp_path, arguments):
    runs = {count: launch(count, [*arguments, "--out", f"by-{count}"]) for count in (1, 2)}
    for count, processes in runs.items():
        assert done(processes)[0].strip().splitlines()[-1] == str(tmp_path / f"by-{count}")
    assert_alike(tmp_path)


def assert_alike(tmp_path):
    """What one process and what two processes made: the same adapter, the same figures, and a run each."""
    assert 0 < apart(tmp_path / "by-1", tmp_path / "by-2") < 0.02, "sums in another order, and nothing else"
    values = [
        [json.loads(line)["loss"] for line in (tmp_path / f"by-{n}" / "metrics.jsonl").read_text().splitlines()]
        for n in (1, 2)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-3)
    listed = Studio(tmp_path / "home").runs.list()
    assert [run.request.kind for run in listed] == ["train"] * 2, "a helping process is no run"


@pytest.mark.slow
def test_two_processes_by_accelerates_launcher_learn_what_one_learns(launch, tmp_path, arguments):
    done(launch(1, [*arguments, "--out", "by-1"]))
    numbers = ["--num_processes", 2, "--num_machines", 1, "--main_process_port", free_port()]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", *numbers, "-m", "limner.cli"]
    command = [sys.executable, *map(str, [*launcher, *arguments, "--out", "by-2"])]
    environment = os.environ | {"LIMNER_HOME": str(tmp_path / "home")}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().splitlines()[-1] == str(tmp_path / "by-2")
    assert_alike(tmp_path)


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(launch, tmp_path, arguments):
    arguments = [10 if part == 6 else part for part in arguments] + ["--out", "rex"]
    run = launch(2, arguments)
    folder = tmp_path / "home" / "runs"
    deadline = time.monotonic() + 200
    while not list(folder.glob("*/checkpoint-*")):
        assert run[0].poll() is None and time.monotonic() < deadline, run[0].output()
        time.sleep(0.01)
    for process in run:
        process.send_signal(signal.SIGINT)
    assert [process.wait(200) for process in run] == [130, 130]
    assert not (tmp_path / "rex").exists()
    _, err = done(launch(2, [*arguments, "--resume"]))
    assert "resuming from step" in err
    done(launch(2, [*arguments[:-1], "whole"]))
    assert apart(tmp_path / "rex", tmp_path / "whole") == 0


def test_a_batch_that_the_processes_cannot_share(learn, monkeypatch):
    monkeypatch.setattr(ProcessGroup, "joined", classmethod(lambda cls, device: ProcessGroup(0, 3)))
    monkeypatch.setattr(ProcessGroup, "from_main", lambda self, value: value)
    with pytest.raises(
        LimnerError, match="a batch of 2 cannot be split into 3 equal parts for 3 processes; use a --batch"
    ):
        learn()


def test_alone_nothing_is_shared():
    alone, tensors = ProcessGroup(), [torch.ones(3)]
    alone.sum(tensors)
    alone.wait()
    assert alone.main and alone.agreed(True, torch.device("cpu")) and tensors[0].sum() == 3
