"""The recipe of the starter's pretraining: all its numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

HELD_OUT_PHOTOGRAPHS = ("dog", "cat", "bear_plushie", "duck_toy")
"""Folders of photographs that only measure the autoencoder."""
Prediction = Literal["v_prediction", "epsilon", "flow_prediction"]


class StageRecipe(BaseModel):
    """How one network is trained.

    decay: the last share of the steps, in which the learning rate falls linearly to zero. Before that it is constant
    after `warmup` steps, so that a longer run may go on from any checkpoint. ema, emas: decay of the moving average
    that is the result, and of others that are saved beside it. minutes: a limit of the training time; where the
    measured speed shows that `steps` would take longer, there are fewer. It is measured until the learning rate falls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 100
    decay: float = 0.25
    weight_decay: float = 0.01
    ema: float = 0.998
    emas: tuple[float, ...] = ()
    minutes: float | None = Field(default=None, gt=0)
    optimiser: Literal["muon", "adamw"] = "muon"

    def rate(self, step: int) -> float:
        """The learning rate of a step (trapezoid)."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, (self.steps - step) / max(1, round(self.steps * self.decay)))
        return self.learning_rate * min(rise, fall)


class Recipe(BaseModel):
    """Sizes of the starter's networks and how each is trained.

    focused_pictures: how many images there are besides, of what is learned last (`drawings.LEARNED_LAST`). captions:
    how many wordings each image has. looks: share of the animals that have a random look and no breed, so that unusual
    coats and marks are known before personalisation. alignment: weight of the agreement of the UNet's inner features
    with the judge's of the same image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int = 40_000
    focused_pictures: int = Field(default=12_000, ge=0)
    captions: int = Field(default=8, ge=1)
    looks: float = Field(default=0.2, ge=0, le=1)
    seed: int = 1
    size: int = 128
    tokens: int = 48
    text_width: int = 192
    text_layers: int = 4
    image_width: int = 192
    image_layers: int = 4
    latent_channels: int = 8
    latent_groups: tuple[tuple[int, float], ...] = ((4, 0.25),)
    vae_channels: tuple[int, ...] = (32, 64, 96)
    vae_crop: int = 64
    kl_weight: float = 1e-6
    shrink_weight: float = 0.5
    photograph_share: float = 0.15
    unet_channels: tuple[int, ...] = (48, 64, 128, 208)
    unet_layers: int = 1
    prediction: Prediction = "v_prediction"
    caption_dropout: float = 0.1
    snr_cap: float | None = 20.0
    centre_weight: float = 2.0
    alignment: float = Field(default=0.0, ge=0)
    autoencoder: StageRecipe = StageRecipe(steps=4250, batch=16, learning_rate=2e-3, decay=0.6, ema=0.995)
    text: StageRecipe = StageRecipe(
        steps=600, batch=256, learning_rate=1e-3, warmup=50, weight_decay=0.05, decay=0.6, ema=0.98
    )
    image: StageRecipe = StageRecipe(
        steps=250, batch=128, learning_rate=1e-3, warmup=30, weight_decay=0.05, decay=0.6, ema=0.98
    )
    denoiser: StageRecipe = StageRecipe(steps=12_000, batch=64, learning_rate=1.5e-3, warmup=100, decay=0.5, ema=0.996)
    judge_pictures: int = 48_000
    judge: StageRecipe = StageRecipe(
        steps=4000, batch=128, learning_rate=2e-3, warmup=100, decay=0.6, ema=0.99, weight_decay=0.02
    )

    @property
    def latent_side(self) -> int:
        """Side of the latents: each level of the autoencoder after the first halves it."""
        return self.size // 2 ** (len(self.vae_channels) - 1)
