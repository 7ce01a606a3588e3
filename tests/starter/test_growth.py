"""A UNet that grows by an outer level keeps what it has learned."""

from __future__ import annotations

import pytest
import torch

from limner.core.errors import LimnerError
from limner.starter.pretrain import __main__ as pretrain
from limner.starter.pretrain import denoiser, growth
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.recipe import Recipe

INNER = Recipe(unet_channels=(32, 48, 64), vae_channels=(32, 32, 64, 96), latent_channels=4, text_width=16)
FINER = INNER.model_copy(update={"unet_channels": (16, 32, 48, 64), "vae_channels": (32, 32, 64)})


@pytest.fixture(scope="module")
def inner():
    torch.manual_seed(0)
    return denoiser.build(INNER)


def states(unet, prefix):
    return {name: weights for name, weights in unet.state_dict().items() if name.startswith(prefix)}


def test_inner_levels_are_taken_over(inner):
    unet = growth.grown(inner, FINER)
    pairs = [(f"down_blocks.{i}.", f"down_blocks.{i + 1}.") for i in (1, 2)]
    pairs += [(f"up_blocks.{i}.", f"up_blocks.{i}.") for i in (0, 1)]
    for before, after in [*pairs, ("mid_block.", "mid_block."), ("time_embedding.linear_2", "time_embedding.linear_2")]:
        found = {name.removeprefix(after): weights for name, weights in states(unet, after).items()}
        for name, weights in states(inner, before).items():
            assert torch.equal(found[name.removeprefix(before)], weights), name
    first = states(unet, "down_blocks.1.resnets.0.")
    assert first["down_blocks.1.resnets.0.conv1.weight"].shape[1] == 16, "fed by the outer level"
    assert torch.equal(
        first["down_blocks.1.resnets.0.conv2.weight"], inner.state_dict()["down_blocks.0.resnets.0.conv2.weight"]
    )


def test_a_grown_unet_knows_the_time_as_before(inner):
    torch.manual_seed(1)
    unet, other, steps = growth.grown(inner, FINER), denoiser.build(FINER), torch.arange(0, 1000, 7)
    assert unet.time_proj(steps).shape[1] == 16 and inner.time_proj(steps).shape[1] == 32
    with torch.no_grad():
        before, after, random = (net.time_embedding(net.time_proj(steps)) for net in (inner, unet, other))
    assert (before - after).square().mean() < 0.5 * (before - random).square().mean()
    fitted = unet.time_embedding.linear_1
    assert max(fitted.weight.abs().max(), fitted.bias.abs().max()) < 10, "as fp16 and bf16 can hold"


def test_a_grown_unet_denoises_latents_of_twice_the_side(inner):
    unet = growth.grown(inner, FINER)
    noise = torch.randn(2, 4, FINER.latent_side, FINER.latent_side)
    assert FINER.latent_side == 2 * INNER.latent_side
    assert unet(noise, torch.tensor([3, 700]), torch.randn(2, 5, 16)).sample.shape == noise.shape


@pytest.mark.parametrize("channels", [(32, 48, 64), (16, 32, 48), (16, 16, 32, 48, 64), (16, 32, 48, 80)])
def test_other_levels_than_the_inner_ones_are_refused(inner, channels):
    recipe = FINER.model_copy(update={"unet_channels": channels})
    with pytest.raises(LimnerError, match=r"cannot grow into one of .*; set 'unet_channels' in the recipe"):
        growth.grown(inner, recipe)


def test_the_stage_trains_the_grown_unet(inner, monkeypatch, tmp_path):
    given = {}
    parts = StarterParts(None, vae="v", text="t", unet=inner, judge="j")  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(StarterParts, "load", lambda folder: parts)
    monkeypatch.setattr(pretrain, "DrawnImages", lambda folder: None)
    monkeypatch.setattr(denoiser, "train", lambda recipe, gallery, parts, *rest: given.update(unet=parts.unet))
    pretrain.run(FINER, tmp_path, out=tmp_path, stages=("denoiser",), begin_with=tmp_path, grow=True)
    assert given["unet"].config["block_out_channels"] == (16, 32, 48, 64)
