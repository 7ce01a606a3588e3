"""LoRA: rank, alpha and target layers have the meaning of Hu et al. 2021."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open

from limner.core.errors import LimnerError
from limner.core.protocols import Batch, ModelSource, SubjectWords
from limner.models.adapters import adapters_applied, open_adapter
from limner.models.options import LORA_FILE
from limner.plugins import registry

LORA = registry.methods.get("lora")
SD = registry.families.get("sd")


@pytest.fixture
def components(tiny_sd):
    return SD.load(ModelSource(str(tiny_sd)), torch.float32, torch.device("cpu"))


def attach(components, **options):
    return LORA.attach(components, SD.facts, LORA.Options(**options), SubjectWords("sks", "dog"), 1)


@pytest.mark.parametrize(("rank", "alpha"), [(4, 2.0), (2, 8.0)])
def test_alpha_over_rank_scales_the_update(components, rank, alpha):
    """The layer's output is W x + (alpha / rank) B A x."""
    layer = components.denoiser.mid_block.attentions[0].transformer_blocks[0].attn1
    states = torch.randn(1, 5, layer.to_q.in_features, generator=torch.Generator().manual_seed(0))
    base = layer.to_q(states)
    trainable = attach(components, rank=rank, alpha=alpha)
    wrapped = layer.to_q
    with torch.no_grad():
        up, down = wrapped.lora_B["default"].weight, wrapped.lora_A["default"].weight
        up.normal_(generator=torch.Generator().manual_seed(3))
        assert down.shape[0] == up.shape[1] == rank
        wanted = base + alpha / rank * states @ down.T @ up.T
        assert torch.allclose(wrapped(states), wanted, atol=1e-5)
    trainable.detach()


def test_stock_diffusers_applies_alpha(components, tiny_sd, tmp_path):
    from diffusers import StableDiffusionPipeline

    trainable = attach(components, rank=4, alpha=2.0)
    path = LORA.save(trainable, tmp_path, {}, lambda: None)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        names = list(file.keys())
    config = json.loads(header["lora_adapter_metadata"])
    assert (config["unet.r"], config["unet.lora_alpha"]) == (4, 2.0)
    assert all(name.startswith("unet.") and ".lora" in name for name in names)
    stock = StableDiffusionPipeline.from_pretrained(tiny_sd, safety_checker=None)
    stock.load_lora_weights(str(path))
    layer = stock.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q
    assert next(iter(layer.scaling.values())) == pytest.approx(0.5)


def test_presets_grow(components):
    counts = []
    for targets in ("attention", "transformer", "all"):
        trainable = attach(components, targets=targets, rank=2)
        counts.append(len(trainable.state()))
        trainable.detach()
    assert counts == sorted(set(counts))


def test_name_endings_choose_layers(components):
    trainable = attach(components, targets="to_q, to_k", rank=2)
    assert {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in trainable.state()} == {"to_q", "to_k"}


def test_the_error_of_an_unknown_target_has_the_nearest_name(components):
    with pytest.raises(LimnerError, match=r"unknown LoRA target 'to_qq'; did you mean 'to_q'"):
        attach(components, targets="to_qq")
    assert not hasattr(components.denoiser, "peft_config")


@pytest.mark.parametrize("options", [{"rank": 0}, {"rank": 2000}, {"alpha": 0}, {"alpha": float("nan")}, {"ranks": 4}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LORA.Options(**options)


@pytest.mark.parametrize("targets", [",", " , "])
def test_empty_targets_are_refused(components, targets):
    with pytest.raises(LimnerError, match=r"unknown LoRA target|LoRA cannot be attached to the layers"):
        attach(components, targets=targets)


@pytest.mark.parametrize("preset", SD.facts.lora_targets)
def test_every_trained_layer_has_an_effect_in_generation(components, tiny_sd, tmp_path, preset):
    """The saved file has the effect of the trained tensors, whichever layers were trained."""

    def loss(parts):
        latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            batch = Batch(latents, SD.encode_text(parts, ["a dog"] * 2))
            objective = SD.objective(parts)
            return objective.loss(batch, objective.draw(latents.shape, torch.Generator().manual_seed(2)))

    base = loss(components)
    trainable = attach(components, targets=preset, rank=4)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in trainable.state().items():
            if ".lora_B" in name:
                tensor.normal_(std=0.1, generator=generator)
    trained = loss(components)
    LORA.save(trainable, tmp_path, {}, lambda: None)
    fresh = SD.load(ModelSource(str(tiny_sd)), torch.float32, torch.device("cpu"))
    with adapters_applied(SD.pipeline(fresh), SD.facts, [open_adapter(str(tmp_path / LORA_FILE))], [1]):
        applied = loss(fresh)
    assert not torch.allclose(base, trained, rtol=1e-3)
    assert torch.allclose(applied, trained, rtol=1e-3)


def test_text_encoders_are_left_as_they_were(components):
    encoder = components.parts["text_encoder"]
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    for _ in range(2):
        trainable = attach(components, text_encoder=True)
        named = {name.split(".")[0] for name in trainable.state()}
        assert named == {"unet", "text_encoder"}
        with torch.no_grad():
            for parameter in trainable.state().values():
                parameter.normal_()
        trainable.detach()
        after = encoder.state_dict()
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
        assert not hasattr(encoder, "peft_config")
