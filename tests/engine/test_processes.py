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

from limner import LimnerError
from limner.diffusion.options import LORA_FILE
from limner.engine.training.processes import Processes


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(tmp_path, processes, arguments):
    """`limner` alone, or in several processes as accelerate starts them; on CPUs, whatever the flag is called."""
    launcher = ["-m", "limner.cli"]
    if processes > 1:
        numbers = ["--num_processes", processes, "--num_machines", 1, "--main_process_port", free_port()]
        launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", *numbers, *launcher]
    environment = os.environ | {"LIMNER_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    environment.pop("RANK", None)
    command = [sys.executable, *map(str, launcher), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


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
def test_two_processes_learn_what_one_learns(tmp_path, arguments):
    runs = [(processes, launch(tmp_path, processes, [*arguments, "--out", f"by-{processes}"])) for processes in (1, 2)]
    for processes, run in runs:
        out, err = run.communicate(timeout=300)
        assert run.returncode == 0, err
        assert out.strip().splitlines()[-1] == str(tmp_path / f"by-{processes}")
    assert 0 < apart(tmp_path / "by-1", tmp_path / "by-2") < 0.02, "sums in another order, and nothing else"
    told = [
        [json.loads(line)["loss"] for line in (tmp_path / f"by-{n}" / "metrics.jsonl").read_text().splitlines()]
        for n in (1, 2)
    ]
    assert told[0] == pytest.approx(told[1], rel=1e-3)
    listed = subprocess.run(
        [sys.executable, "-m", "limner.cli", "runs"],
        env=os.environ | {"LIMNER_HOME": str(tmp_path / "home"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.count("train") == 2, "a helping process is no run"


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(tmp_path, arguments):
    arguments = [40 if part == 6 else part for part in arguments] + ["--out", "rex"]
    run = launch(tmp_path, 2, arguments)
    folder = tmp_path / "home" / "runs"
    deadline = time.monotonic() + 200
    while not list(folder.glob("*/checkpoint-*")):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=200)
    assert not (tmp_path / "rex").exists()
    again = launch(tmp_path, 2, [*arguments, "--resume"])
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0 and "going on from step" in err, err
    whole = launch(tmp_path, 2, [*arguments[:-1], "whole"])
    whole.communicate(timeout=300)
    assert whole.returncode == 0
    assert apart(tmp_path / "rex", tmp_path / "whole") == 0


def test_a_batch_that_the_processes_cannot_share(learn, monkeypatch):
    monkeypatch.setattr(Processes, "joined", classmethod(lambda cls, device: Processes(0, 3)))
    monkeypatch.setattr(Processes, "_told", lambda self, value: value)
    with pytest.raises(
        LimnerError, match="a batch of 2 cannot be cut into 3 equal parts for 3 processes; use a --batch"
    ):
        learn()


def test_alone_nothing_is_shared():
    alone, tensors = Processes(), [torch.ones(3)]
    alone.summed(tensors)
    alone.wait()
    assert alone.main and alone.agreed(True, torch.device("cpu")) and tensors[0].sum() == 3
