"""Libraries are imported without what a request does not use, and with all that it may use."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from limner.core.execution import Execution
from limner.core.requests import CompareRequest, GenerateRequest, SweepRequest, TrainRequest
from limner.models.libraries import DeferredModule, absent, may_quantise

HEAVY = {"torch._dynamo.convert_frame", "torchao", "bitsandbytes", "scipy.stats._stats_py", "torch.distributed.tensor"}
SCRIPT = f"""
import sys
from limner.cli import main
try:
    main(["generate", "a photo of a cat", "--steps", "2", "--width", "64", "--height", "64", "--out", sys.argv[1]])
except SystemExit:
    pass
print("HEAVY", sorted({HEAVY!r} & sys.modules.keys()))
import scipy.stats, torch, torch._dynamo
print(scipy.stats.norm.cdf(0), torch.compile(torch.nn.Identity()).__class__.__name__)
"""


def test_a_command_generates_the_same_image_without_what_it_does_not_use(home, tmp_path):
    from limner import Studio

    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "command")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["HEAVY []", "0.5 OptimizedModule"]
    request = GenerateRequest(prompt="a photo of a cat", steps=2, width=64, height=64)
    Studio().run(request, tmp_path / "python")
    first, second = (np.asarray(Image.open(tmp_path / name / "0001.png")) for name in ("command", "python"))
    assert (first == second).all()


def generate(**fields):
    return GenerateRequest(prompt="a cat", **fields)


@pytest.mark.parametrize(
    ("request_", "memory", "may"),
    [
        (generate(), "high", False),
        (generate(), "balanced", False),
        (generate(), "low", True),
        (generate(quantise="int8"), "high", True),
        (generate(model="sdxl"), "high", False),
        (generate(model="owner/unknown"), "high", True),
        (generate(refiner="owner/unknown"), "high", True),
        (TrainRequest(data="photos", class_word="dog", identifier="sks"), "high", False),
        (TrainRequest(data="photos", class_word="dog", identifier="sks", quantise="nf4"), "high", True),
        (SweepRequest(prompt=("a cat",), axis=("guidance=1,2",)), "high", False),
        (SweepRequest(prompt=("a cat",), axis=("quantise=none,int8",)), "high", True),
        (CompareRequest(contestants=("rex", "max"), prompt=("a cat",)), "high", True),
    ],
)
def test_what_may_load_quantised_weights(request_, memory, may, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert may_quantise(request_, Execution(memory=memory)) == may


@pytest.mark.parametrize("where", ["", "unet"])
def test_a_folder_of_quantised_weights_is_noticed(where, tmp_path):
    config = tmp_path / where / "config.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text("{}")
    assert not may_quantise(generate(model=str(tmp_path)), Execution())
    config.write_text(json.dumps({"quantization_config": {"quant_method": "bitsandbytes"}}))
    assert may_quantise(generate(model=str(tmp_path)), Execution())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package with the modules `inside` and `other`, which is forgotten afterwards."""
    folder = tmp_path / "deferred_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("value = 3\ndef mark(function): return None\n")
    (folder / "inside.py").write_text("value = 4\n")
    (folder / "other.py").write_text("from . import value\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    for module in [each for each in sys.modules if each.startswith(folder.name)]:
        del sys.modules[module]


@pytest.mark.parametrize(
    "use",
    [
        "import deferred_package.other as found",
        "from deferred_package import value",
        "import deferred_package as found; found.value",
    ],
)
def test_a_deferred_module_is_executed_when_it_is_used(package, use):
    module = DeferredModule(package, {"mark": lambda function: function})
    assert sys.modules[package] is module
    from deferred_package import mark  # pyright: ignore
    from deferred_package.inside import value  # pyright: ignore

    assert (mark(len), value) == (len, 4)
    assert not hasattr(module, "__wrapped__")
    assert "value" not in vars(module)
    exec(use)
    assert sys.modules[package] is module
    assert (module.value, module.mark(len)) == (3, None)
    with pytest.raises(AttributeError):
        _ = module.missing


def test_packages_are_absent_only_inside(package):
    with absent((package, "json")):
        assert json.loads("1") == 1
        import json as again

        assert again is json, "what is imported already stays"
        with pytest.raises(ImportError):
            __import__(package)
    assert __import__(package).value == 3
