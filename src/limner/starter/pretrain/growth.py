"""A UNet around another: one outer level more, for latents of twice the side."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from limner.core.errors import LimnerError
from limner.starter.pretrain.denoiser import build
from limner.starter.pretrain.objective import STEPS
from limner.starter.pretrain.recipe import Recipe

ENDS = ("conv_in.", "conv_norm_out.", "conv_out.")  # of the inner UNet; the outer level takes their place


@torch.no_grad()
def grown(inner: UNet2DConditionModel, recipe: Recipe) -> UNet2DConditionModel:
    """The recipe's UNet with the trained levels of `inner`; its outer level, and what meets it, is untrained.

    As in progressive growing (Karras et al. 2018, arXiv 1710.10196), composition need not be learned again. Raises
    LimnerError if the recipe's levels after the first are not those of `inner`.
    """
    channels = tuple(inner.config["block_out_channels"])
    if recipe.unet_channels[1:] != channels:
        problem = f"a UNet of {channels} channels cannot grow into one of {recipe.unet_channels}"
        raise LimnerError(problem, f"set 'unet_channels' in the recipe to one more level before {channels}")
    unet = build(recipe)
    state = unet.state_dict()
    for name, weights in inner.state_dict().items():
        if name.startswith(ENDS):
            continue
        place = _one_further(name) if name.startswith("down_blocks.") else name  # those on the way up keep their place
        if state[place].shape == weights.shape:
            state[place].copy_(weights)
    _copy_time(inner, unet)
    return unet


def _one_further(name: str) -> str:
    block, number, rest = name.split(".", 2)
    return f"{block}.{int(number) + 1}.{rest}"


def _copy_time(inner: UNet2DConditionModel, unet: UNet2DConditionModel) -> None:
    """Fit the first layer of the time embedding, which has other frequencies, to the inner one's output.

    By ridge regression in float64: the frequencies are nearly dependent, and without a penalty the weights would be
    millions, which bf16 and fp16 cannot hold.
    """
    steps, source, target = torch.arange(STEPS), inner.time_embedding.linear_1, unet.time_embedding.linear_1
    wanted = inner.time_proj(steps).double() @ source.weight.T.double() + source.bias.double()
    given = torch.cat([unet.time_proj(steps).double(), torch.ones(STEPS, 1, dtype=torch.float64)], 1)
    penalty = torch.eye(given.shape[1], dtype=torch.float64)
    fitted = torch.linalg.solve(given.T @ given + penalty, given.T @ wanted)
    target.weight.copy_(fitted[:-1].T)
    target.bias.copy_(fitted[-1])
