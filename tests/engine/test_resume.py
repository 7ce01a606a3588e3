"""`limner train` as a process that is killed: resumed, it ends in the same bits as one that was never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest
from safetensors.torch import load_file

from limner.models.options import LORA_FILE

STEPS = 16


@pytest.fixture
def start(forker, tiny_sd, painted, tmp_path):
    """Start `limner train` with a home of its own; the working folder is shared, so that paths are too."""
    started = []

    def begin(home, out, *more, every=1):
        fields = {"--class": "dog", "--model": tiny_sd, "--steps": STEPS, "--batch": 2, "--rank": 4}
        fields |= {"--learning-rate": 0.01, "--class-pictures": 2, "--prior-target": "model"}
        fields |= {"--checkpoint-every": every, "--out": tmp_path / out}
        flags = [part for pair in fields.items() for part in pair]
        environment = os.environ | {"LIMNER_HOME": str(tmp_path / home)}
        started.append(forker.limner("train", painted, *flags, *more, environment=environment, folder=tmp_path))
        return started[-1]

    yield begin
    for process in started:
        process.end()


def checkpoint_of(home):
    """The step of the newest complete checkpoint under a home, -1 before the first."""
    return max((int(path.name[-8:]) for path in home.glob("runs/*/checkpoint-????????")), default=-1)


def wait_for(process, condition, seconds=180):
    """Whether the condition came true while the process ran."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    assert time.monotonic() < end, "the training hangs"
    return False


def done(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out, err


def trained(folder):
    return {name: value.numpy().tobytes() for name, value in load_file(folder / LORA_FILE).items()}


def figures_of(folder):
    """Figures by step. A resumed run also logs its first step, so only the regular lines are compared."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    regular = [line for line in lines if line["step"] % 10 == 0]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in regular]


@pytest.mark.slow
def test_killed_at_random_instants_it_ends_in_the_same_bits(start, tmp_path):
    done(start("whole-home", "whole"))
    rng, home = random.Random(), tmp_path / "killed-home"
    kills, resume = 0, []
    for share in (0.1, 0.4, 0.7):
        process = start("killed-home", "killed", *resume)
        before = checkpoint_of(home)
        if wait_for(process, lambda before=before, share=share: checkpoint_of(home) > max(before, share * STEPS)):
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed").exists() or process.returncode == 0
        resume = ["--resume"]
    assert kills >= 2, "the run was over before it could be killed"
    if not (tmp_path / "killed").exists():
        done(start("killed-home", "killed", *resume))
    assert trained(tmp_path / "killed") == trained(tmp_path / "whole")
    assert figures_of(tmp_path / "killed") == figures_of(tmp_path / "whole")


def test_killed_while_it_writes_a_checkpoint(home, tmp_path):
    """Every instant of the writing: whatever call is the last, the newest complete checkpoint can be read."""
    import torch

    from limner.engine.train import checkpoint
    from tiny import in_progress

    weight = torch.nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.AdamW([weight])

    class Killed(BaseException):
        pass

    def step_to(number):
        weight.data.fill_(number)
        weight.grad = torch.ones(3)
        optimiser.step()
        weight.data.fill_(number)

    scaler = torch.amp.GradScaler("cpu", enabled=False)
    step_to(1)
    checkpoint.save_checkpoint(tmp_path, 1, in_progress({"w": weight}, optimiser, scaler, "a" * 64))
    writes = 0
    for allowed in range(100):
        folder = tmp_path / f"copy-{allowed}"
        folder.mkdir()
        calls = 0

        def guard(real, allowed=allowed):
            def call(*arguments, **options):
                nonlocal calls
                calls += 1
                if calls > allowed:
                    raise Killed
                return real(*arguments, **options)

            return call

        step_to(1)
        checkpoint.save_checkpoint(folder, 1, in_progress({"w": weight}, optimiser, scaler, "a" * 64))
        step_to(2)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "rename", "fsync", "mkdir"):
                patch.setattr(os, name, guard(getattr(os, name)))
            patch.setattr(checkpoint, "save_file", guard(checkpoint.save_file))
            try:
                checkpoint.save_checkpoint(folder, 2, in_progress({"w": weight}, optimiser, scaler, "a" * 64))
                finished = True
            except Killed:
                finished = False
        newest = checkpoint.checkpoints(folder)[-1]
        found = torch.zeros(3)
        step = checkpoint.load_checkpoint(newest, in_progress({"w": found}, optimiser, scaler, "a" * 64))
        assert found.tolist() == [step] * 3
        writes += 1
        if finished:
            assert step == 2
            break
    assert writes > 5


@pytest.mark.slow
def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(start, tmp_path):
    process = start("home", "rex", every=1000)
    runs = tmp_path / "home" / "runs"
    assert wait_for(process, lambda: any(path.stat().st_size for path in runs.glob("*/metrics.jsonl")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err and not (tmp_path / "rex").exists()
    assert checkpoint_of(tmp_path / "home") > 0
    lines = [line for line in err.splitlines() if line.startswith("limner: ")]
    assert "a checkpoint was saved" in lines[0]
    assert lines[1].startswith("limner: to resume: limner train ") and lines[1].endswith("--resume")
    _, err = done(start("home", "rex", "--resume", every=1000))
    assert "resuming from step" in err and (tmp_path / "rex" / LORA_FILE).is_file()


def test_a_changed_request_is_not_resumed(start, tmp_path):
    process = start("home", "rex")
    wait_for(process, lambda: checkpoint_of(tmp_path / "home") > 0)
    process.kill()
    process.communicate()
    other = start("home", "rex", "--seed", "7", "--resume")
    _, err = other.communicate(timeout=120)
    assert other.returncode == 2 and "there is no interrupted run of this request" in err
