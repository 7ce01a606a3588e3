"""The recipe of the starter's pretraining: all its numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

HELD_OUT_PHOTOGRAPHS = ("dog", "cat", "bear_plushie", "duck_toy")
"""Folders of photographs that only measure the autoencoder."""
Prediction = Literal["v_prediction", "epsilon", "flow_prediction"]


class StageRecipe(BaseModel):
    """How one network is trained.

    decay: the last share of the steps, in which the learning rate falls linearly to zero. Before that it is constant
    after `warmup` steps, so that a longer run may go on from any checkpoint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 100
    decay: float = 0.25
    weight_decay: float = 0.01
    ema: float = 0.998
    optimiser: Literal["muon", "adamw"] = "muon"

    def rate(self, step: int) -> float:
        """The learning rate of a step (trapezoid)."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, (self.steps - step) / max(1, round(self.steps * self.decay)))
        return self.learning_rate * min(rise, fall)


class Recipe(BaseModel):
    """Sizes of the starter's networks and how each is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int = 48_000
    seed: int = 1
    size: int = 128
    tokens: int = 48
    text_width: int = 192
    text_layers: int = 4
    image_width: int = 192
    image_layers: int = 4
    latent_channels: int = 16
    latent_groups: tuple[tuple[int, float], ...] = ((4, 0.15), (8, 0.25))
    vae_channels: tuple[int, ...] = (32, 32, 64, 96)
    vae_crop: int = 64
    kl_weight: float = 1e-6
    shrink_weight: float = 0.5
    photograph_share: float = 0.15
    unet_channels: tuple[int, ...] = (64, 128, 208)
    unet_layers: int = 1
    prediction: Prediction = "v_prediction"
    caption_dropout: float = 0.1
    paraphrase: bool = True
    snr_cap: float | None = 20.0
    centre_weight: float = 2.0
    autoencoder: StageRecipe = StageRecipe(steps=4250, batch=16, learning_rate=2e-3, decay=0.6, ema=0.995)
    text: StageRecipe = StageRecipe(
        steps=600, batch=256, learning_rate=1e-3, warmup=50, weight_decay=0.05, decay=0.6, ema=0.98
    )
    image: StageRecipe = StageRecipe(
        steps=250, batch=128, learning_rate=1e-3, warmup=30, weight_decay=0.05, decay=0.6, ema=0.98
    )
    denoiser: StageRecipe = StageRecipe(steps=8000, batch=64, learning_rate=1.5e-3, warmup=100, decay=0.6, ema=0.996)
    judge_pictures: int = 48_000
    judge: StageRecipe = StageRecipe(
        steps=4000, batch=128, learning_rate=2e-3, warmup=100, decay=0.6, ema=0.99, weight_decay=0.02
    )
