"""Training that goes on from an adapter, and results that hold every checkpoint."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_train import tensors

from limner import GenerateRequest, LimnerError, Studio
from limner.models.options import LORA_FILE


def values(folder):
    return np.concatenate([each.ravel() for _, each in sorted(load_file(folder / LORA_FILE).items())])


def facts(folder):
    with safe_open(folder / LORA_FILE, framework="pt") as file:
        return json.loads(file.metadata()["limner"])


def test_training_goes_on_from_an_adapter(learn):
    first, _ = learn()
    still = {"steps": 1, "learning_rate": 1e-9, "warmup": 0, "checkpoint_every": 1}
    more, _ = learn("more", adapter=str(first), **still)
    fresh, _ = learn("fresh", **still)
    assert np.allclose(values(more), values(first), atol=1e-6)
    assert not np.allclose(values(fresh), values(first), atol=1e-6)
    assert facts(more)["request"]["adapter"] == str(first)
    assert f"adapter {first}" in (more / "README.md").read_text()


def test_an_adapter_keeps_its_rank(learn):
    first, _ = learn(options={"rank": 2, "rslora": True})
    more, _ = learn("more", adapter=str(first), options={"dropout": 0.5})
    assert {name: each.shape for name, each in load_file(more / LORA_FILE).items()} == {
        name: each.shape for name, each in load_file(first / LORA_FILE).items()
    }


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"options": {"rank": 8}}, "rank \\(8\\) differs from that of adapter 'rex' \\(4\\)"),
        ({"method": "pivotal", "options": {}}, "was trained by the method lora, not pivotal"),
        ({"adapter": "nowhere"}, "unknown adapter 'nowhere'"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(learn, fields, text):
    first, _ = learn()
    with pytest.raises(LimnerError, match=text):
        learn("more", **{"adapter": str(first), **fields})


def test_an_adapter_of_another_program_is_refused(learn, tmp_path):
    first, _ = learn()
    save_file(load_file(first / LORA_FILE), tmp_path / "foreign.safetensors")
    with pytest.raises(LimnerError, match="does not state how it was trained"):
        learn("more", adapter=str(tmp_path / "foreign.safetensors"))


@pytest.mark.parametrize("fields", [{}, {"ema": 0.5}, {"keep": "best"}])
def test_every_checkpoint_is_kept(learn, fields):
    folder, _ = learn(keep_checkpoints=True, **fields)
    places = {path.name: path for path in (folder / "checkpoints").iterdir()}
    assert set(places) == {"2", "4"}
    kept = str(facts(folder).get("kept_step", 4))
    assert tensors(places[kept]) == tensors(folder) and tensors(places["2"]) != tensors(places["4"])
    assert facts(places["2"])["kept_step"] == 2
    if not fields:
        plain, _ = learn("plain", steps=4)
        assert tensors(plain) == tensors(folder), "the result is the same as without"
        request = GenerateRequest(prompt="a dog", model=facts(folder)["base"]["reference"], adapter=(str(places["2"]),))
        Studio().run(request.changed(steps=1), folder.parent / "images")
        assert list((folder.parent / "images").glob("*.png"))


class Killed(BaseException):
    """The end of a process at any place."""


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 5])
def test_a_training_that_was_killed_keeps_all_its_checkpoints(learn, request_of, tmp_path, step):
    fields = {"keep_checkpoints": True, "steps": 6, "checkpoint_every": 2}
    whole, _ = learn("whole", **fields)

    stages = []

    def kill(event):
        if event.kind == "stage":
            stages.append(event.name)
        if event.kind == "progress" and event.done == step and stages[-1] == "training":
            raise Killed

    with pytest.raises(Killed):
        Studio().run(request_of(**fields), tmp_path / "killed", listener=kill)
    Studio().run(request_of(**fields), tmp_path / "killed", resume=True)
    names = {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()}
    assert names == {"2", "4", "6"} == {path.name for path in (whole / "checkpoints").iterdir()}
    for name in names:
        assert tensors(tmp_path / "killed" / "checkpoints" / name) == tensors(whole / "checkpoints" / name)


def test_whole_models_of_every_checkpoint_are_refused(learn):
    with pytest.raises(LimnerError, match="every checkpoint would be a whole model"):
        learn(keep_checkpoints=True, method="full", options={})
