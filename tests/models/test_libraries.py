"""Libraries are imported without what a request does not use, and with all that it may use."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

from limner.core.execution import Execution
from limner.core.requests import CompareRequest, GenerateRequest, SweepRequest, TrainRequest
from limner.models.libraries import _SHAPES, DeferredModule, absent, may_quantise

HEAVY = {
    "bitsandbytes",
    "diffusers.guiders.auto_guidance",
    "diffusers.hooks.context_parallel",
    "diffusers.models.autoencoders.autoencoder_kl_wan",
    "diffusers.models.transformers.transformer_flux",
    "diffusers.models.unets.unet_kandinsky3",
    "kernels",
    "onnx",
    "onnxruntime",
    "peft",
    "requests.api",
    "scipy.integrate._quadrature",
    "scipy.optimize",
    "scipy.stats._stats_py",
    "sklearn",
    "sympy",
    "torch._dynamo.convert_frame",
    "torch._inductor",
    "torch.distributed.tensor",
    "torchao",
    "torchvision",
    "transformers.generation.utils",
    "transformers.models.bloom",
}
"""What generating without an adapter must not import: one module of each package that takes long."""
SCRIPT = f"""
import gc, sys
from limner.cli import main
try:
    main(["generate", "a photo of a cat", "--steps", "2", "--width", "64", "--height", "64", "--out", sys.argv[1]])
except SystemExit:
    pass
print("HEAVY", sorted({HEAVY!r} & sys.modules.keys()))
print("collector", gc.isenabled(), gc.get_freeze_count() > 200_000)
import scipy.integrate, scipy.stats, torch, torch._dynamo
from diffusers.models.unets import UNet1DModel
from transformers.models import CLIPTextModel, clip
from transformers.models.auto import AutoModel
print(scipy.stats.norm.cdf(0), round(scipy.integrate.quad(abs, 0, 1)[0], 9), UNet1DModel.__name__)
from diffusers.models.transformers import FluxTransformer2DModel
print(FluxTransformer2DModel.__name__, clip.CLIPTextModel is CLIPTextModel, AutoModel.__name__)
print(torch.compile(torch.nn.Identity()).__class__.__name__)
"""


def test_a_command_generates_the_same_image_without_what_it_does_not_use(home, tmp_path):
    from limner import Studio

    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "command")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-5:] == [
        "HEAVY []",
        "collector True True",
        "0.5 0.5 UNet1DModel",
        "FluxTransformer2DModel True AutoModel",
        "OptimizedModule",
    ]
    request = GenerateRequest(prompt="a photo of a cat", steps=2, width=64, height=64)
    Studio().run(request, tmp_path / "python")
    first, second = (np.asarray(Image.open(tmp_path / name / "0001.png")) for name in ("command", "python"))
    assert (first == second).all()


IMPORTED = f"""
import sys
from limner.core.execution import Execution
from limner.core.requests import GenerateRequest
from limner.models.libraries import import_libraries
import_libraries(GenerateRequest.model_validate_json(sys.argv[1]), Execution())
import diffusers.utils.import_utils
print(sorted({HEAVY!r} & sys.modules.keys()), diffusers.utils.import_utils.is_peft_available())
"""


@pytest.mark.slow  # test_what_may_use_an_adapter tests the choice
def test_peft_is_imported_for_a_request_with_an_adapter():
    request = generate(adapter=("rex",)).model_dump_json()
    command = [sys.executable, "-c", IMPORTED, request]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed, available = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert available == "True"
    assert "'peft'" in listed
    assert not {"'torchao'", "'bitsandbytes'", "'scipy.optimize'", "'torch.distributed.tensor'"} & {*listed.split(", ")}


@pytest.mark.parametrize(
    ("request_", "may"),
    [
        (GenerateRequest(prompt="a cat"), False),
        (GenerateRequest(prompt="a cat", adapter=("rex:0",)), True),
        (SweepRequest(prompt=("a cat",), axis=("guidance=1,2",)), False),
        (SweepRequest(prompt=("a cat",), adapter=("rex",), axis=("guidance=1,2",)), True),
        (SweepRequest(prompt=("a cat",), axis=("adapter=none,rex",)), True),
        (CompareRequest(contestants=("starter", "sd15"), prompt=("a cat",)), True),
        (TrainRequest(data="photos", class_word="dog", identifier="sks"), True),
    ],
)
def test_what_may_use_an_adapter(request_, may):
    assert request_.may_adapt == may


def test_shapes_of_numbers_are_compared_as_torch_does():
    real = import_module("torch.fx.experimental.symbolic_shapes")
    for name, stand_in in _SHAPES.items():
        if name == "sym_eq":
            pairs = [((2, 3), (2, 3)), (torch.Size((2, 3)), (2, 3)), ((2, 3), (3, 2)), ((2,), (2, 3)), (4, 4), (4, 5)]
            assert [stand_in(*pair) for pair in pairs] == [real.sym_eq(*pair) for pair in pairs]
        else:
            values = (2, 3) if name == "is_nested_int" else (True, False)
            with warnings.catch_warnings(action="ignore", category=FutureWarning):  # one of them will be removed
                expected = [getattr(real, name)(value) for value in values]
            assert [stand_in(value) for value in values] == expected


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


def test_a_folder_with_a_peft_adapter_is_noticed(tmp_path):
    file = tmp_path / "text_encoder" / "adapter_config.json"
    file.parent.mkdir()
    assert not may_quantise(generate(model=str(tmp_path)), Execution())
    file.write_text("{}")
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


def test_a_deferred_module_may_put_another_object_in_its_place(package, tmp_path):
    file = tmp_path / package / "__init__.py"
    file.write_text("import sys, types\nsys.modules[__name__] = types.SimpleNamespace(value=5)\n")
    module = DeferredModule(package, {})
    from deferred_package import value  # pyright: ignore

    assert (value, module.value, import_module(package).value) == (5, 5, 5)
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
