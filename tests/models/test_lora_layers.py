"""LoRA on layers: default scale, layers of presets and patterns, saving, restoring and merging."""

from __future__ import annotations

import os
import re

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

import tiny
from limner.core.errors import LimnerError
from limner.core.protocols import Components, WeightedFile
from limner.models.family_defaults import UNET_LORA_TARGETS
from limner.models.lora import attach_lora, lora_applied, restore_lora, save_lora
from limner.models.options import LoraOptions
from limner.plugins.families.sd import plugin as SD

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return tiny._unet(cross_attention_dim=tiny.WIDTH).requires_grad_(False)


def attach(unet, seed=1, **options):
    components = Components({"unet": unet}, "unet", "none", "none", 64, torch.float32, torch.device("cpu"))
    return attach_lora(components, SD.facts, LoraOptions(**options), seed)


def scaling(unet, **options):
    """Return the factor of the trained product in a layer's output."""
    base = unet.get_submodule(LAYER)
    states = torch.randn(1, 3, base.in_features, generator=torch.Generator().manual_seed(0))
    plain, lora = base(states), attach(unet, **options)
    layer = unet.get_submodule(LAYER)
    with torch.no_grad():
        layer.lora_B["default"].weight.fill_(0.1)
        update = states @ layer.lora_A["default"].weight.T @ layer.lora_B["default"].weight.T
        found = ((layer(states) - plain) / update).mean().item()
    lora.detach()
    return found


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({"rank": 4}, 1.0),
        ({"rank": 16}, 1.0),
        ({"rank": 4, "alpha": 2.0}, 0.5),
        ({"rank": 2, "alpha": 8.0}, 4.0),
        ({"rank": 4, "rslora": True}, 2.0),
        ({"rank": 4, "alpha": 2.0, "rslora": True}, 1.0),
    ],
)
def test_an_update_is_scaled_by_alpha_over_rank(unet, options, scale):
    """Hu et al. 2021; over the root of the rank with rsLoRA (arXiv 2312.03732)."""
    assert scaling(unet, **options) == pytest.approx(scale, rel=1e-4)


def test_default_rank_and_layers_are_the_familys(unet):
    lora = attach(unet)
    shapes = {name: tensor.shape for name, tensor in lora.state().items()}
    assert {shape[0] for name, shape in shapes.items() if "lora_A" in name} == {16} == {SD.facts.defaults["rank"]}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in shapes} <= {"to_q", "to_k", "to_v", "0"}
    assert {name.split(".")[0] for name in shapes} == {"unet"}
    assert len(lora.groups()["denoiser"]) == len(shapes) and lora.groups()["text"] == []


def test_presets_name_the_layers_of_diffusers_unet(unet):
    """Counted in the network itself, by the kinds of its layers."""
    names = [name for name, layer in unet.named_modules() if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d))]
    attention = [name for name in names if ".attn" in name]
    transformer = [name for name in names if ".attentions." in name]
    for preset, wanted in (
        ("attention", attention),
        ("transformer", transformer),
        ("all", [n for n in names if not n.startswith(("conv_in", "conv_out", "time_embedding"))]),
    ):
        lora = attach(unet, rank=1, targets=preset)
        found = {name.removeprefix("unet.").split(".lora_")[0] for name in lora.state()}
        assert found == set(wanted), preset
        lora.detach()
    assert set(UNET_LORA_TARGETS) == {"attention", "transformer", "all"}


@pytest.mark.parametrize(
    ("targets", "pattern"),
    [
        ("to_q", r".*\.to_q"),
        ("to_q, to_k", r".*\.to_[qk]"),
        ("*attn2.to_?", r".*attn2\.to_."),
        ("mid_block.*.attn1.to_q", r"mid_block\..*\.attn1\.to_q"),
        (LAYER, re.escape(LAYER)),
    ],
)
def test_layers_by_endings_and_patterns(unet, targets, pattern):
    names = [name for name, layer in unet.named_modules() if isinstance(layer, torch.nn.Linear)]
    lora = attach(unet, rank=1, targets=targets)
    found = {name.removeprefix("unet.").split(".lora_")[0] for name in lora.state()}
    assert found == {name for name in names if re.fullmatch(pattern, name)} != set()


@pytest.mark.parametrize("targets", ["o_q", "attn1", "to_q,no_such", "*no_such*"])
def test_unknown_layers_are_refused_by_name(unet, targets):
    """The end of a name is an end at a dot."""
    with pytest.raises(LimnerError, match=f"unknown LoRA target '{re.escape(targets.split(',')[-1])}'"):
        attach(unet, rank=1, targets=targets)


def test_a_saved_lora_is_restored(unet, tmp_path):
    lora = attach(unet, rank=2)
    with torch.no_grad():
        for tensor in lora.state().values():
            tensor.normal_()
    kept = {name: tensor.detach().clone() for name, tensor in lora.state().items()}
    save_lora(lora, tmp_path / "lora.safetensors", {})
    with torch.no_grad():
        for tensor in lora.state().values():
            tensor.zero_()
    restore_lora(lora, tmp_path / "lora.safetensors")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in lora.state().items())
    saved = load_file(tmp_path / "lora.safetensors")
    name = min(saved)
    for wrong in ({**saved, "more": torch.zeros(1)}, {key: value for key, value in saved.items() if key != name}):
        save_file(wrong, tmp_path / "wrong.safetensors")
        with pytest.raises(LimnerError, match="does not fit this base model"):
            restore_lora(lora, tmp_path / "wrong.safetensors")


def test_as_base_model_the_network_is_unchanged(unet):
    states = torch.randn(1, 3, unet.get_submodule(LAYER).in_features)
    plain = unet.get_submodule(LAYER)(states)
    lora = attach(unet, rank=2)
    layer = unet.get_submodule(LAYER)
    with torch.no_grad():
        layer.lora_B["default"].weight.fill_(1)
        changed = layer(states)
        with lora.base_model():
            assert torch.equal(layer(states), plain)
        assert torch.equal(layer(states), changed) and not torch.allclose(changed, plain)


@pytest.mark.parametrize("dora", [False, True])
def test_magnitudes_are_trained_with_dora_only(unet, dora):
    """arXiv 2402.09353: one number for each row of a weight."""
    lora = attach(unet, rank=2, dora=dora, targets=LAYER)
    shapes = [tuple(tensor.shape) for name, tensor in lora.state().items() if "magnitude" in name]
    assert shapes == ([(len(unet.get_submodule(LAYER).weight),)] if dora else [])


def test_trained_tensors_are_fp32_in_a_half_precision_network(unet):
    lora = attach(unet.to(torch.bfloat16), rank=2)
    assert {tensor.dtype for tensor in lora.state().values()} == {torch.float32}
    assert unet.get_submodule(LAYER).weight.dtype == torch.bfloat16


@pytest.mark.parametrize("rank", [2, 8])
def test_initial_tensors_of_an_update(unet, rank):
    lora = attach(unet, rank=rank)
    halves = {
        half: torch.cat([tensor.detach().flatten() for name, tensor in lora.state().items() if half in name])
        for half in ("lora_A", "lora_B")
    }
    assert halves["lora_A"].std().item() == pytest.approx(1 / rank, rel=0.05) and not halves["lora_B"].any()


def test_dropout_is_on_only_in_training(unet):
    lora = attach(unet, rank=2, dropout=0.5)
    layer = unet.get_submodule(LAYER)
    assert layer.lora_dropout["default"].p == 0.5
    lora.train(True)
    assert layer.lora_dropout["default"].training
    lora.train(False)
    assert not layer.lora_dropout["default"].training


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A rank-two LoRA of one layer, with its product (out, in), in the layout of PEFT."""
    rng = torch.Generator().manual_seed(3)
    down, up = torch.randn(2, 32, generator=rng), torch.randn(32, 2, generator=rng)
    path = tmp_path_factory.mktemp("lora") / "one.safetensors"
    save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, path)
    return path, up @ down


@pytest.fixture
def pipeline(tiny_sd):
    return StableDiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True, safety_checker=None)


@pytest.mark.parametrize("weights", [(1.0,), (0.5,), (-1.5,), (0.0,), (0.25, 0.5)])
def test_a_file_is_merged_by_its_weight_and_removed_bit_identically(pipeline, files, weights):
    """W + weight up down, of several files the sum, as merging by hand has it."""
    path, product = files
    before = pipeline.unet.get_submodule(LAYER).weight.detach().clone()
    with lora_applied(pipeline, SD.facts, [WeightedFile(path, weight) for weight in weights]):
        layer = pipeline.unet.get_submodule(LAYER)
        after = layer.weight.detach().clone()
    assert torch.allclose(after, before + sum(weights) * product, atol=1e-5)
    assert torch.equal(pipeline.unet.get_submodule(LAYER).weight, before)


def test_an_overwritten_file_is_read_again(pipeline, files, tmp_path):
    """Its tensors stay in memory, by path, modification time and size."""
    tensors, product = load_file(files[0]), files[1]
    place, layer = tmp_path / "lora.safetensors", pipeline.unet.get_submodule(LAYER)
    before = layer.weight.detach().clone()
    for turn, factor in enumerate((1.0, -2.0)):
        save_file({name: factor * tensor if "lora_B" in name else tensor for name, tensor in tensors.items()}, place)
        os.utime(place, (turn, turn))
        with lora_applied(pipeline, SD.facts, [WeightedFile(place, 1.0)]):
            assert torch.allclose(layer.weight, before + factor * product, atol=1e-5)


def test_a_file_of_another_network_is_refused(pipeline, tmp_path):
    save_file({"unet.no_such.lora_A.weight": torch.ones(1, 4), "unet.no_such.lora_B.weight": torch.ones(4, 1)},
              tmp_path / "other.safetensors")  # fmt: skip
    with (
        pytest.raises(LimnerError, match="does not fit this base model"),
        lora_applied(pipeline, SD.facts, [WeightedFile(tmp_path / "other.safetensors", 1)]),
    ):
        pass


def test_the_seed_determines_the_initial_weights(unet):
    found = []
    for seed in (1, 1, 2):
        lora = attach(unet, seed, rank=2)
        found.append(torch.cat([tensor.detach().flatten().clone() for tensor in lora.state().values()]))
        lora.detach()
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
