"""Default sampling settings of each named model: those of its authors."""

from __future__ import annotations

import pytest

from limner.models.loading import resolve

STEPS_AND_GUIDANCE = {
    "starter": (8, 3.0, 0.7),
    "sd15": (30, 7.5, 0.0),
    "sd21": (30, 7.5, 0.0),
    "realistic-vision": (30, 7.5, 0.0),
    "sdxl": (30, 5.0, 0.0),
    "flux-dev": (28, 3.5, 0.0),
    "flux-schnell": (4, 0.0, 0.0),
    "flux2-klein": (4, 1.0, 0.0),
    "flux2-klein-base": (50, 4.0, 0.0),
}


@pytest.mark.parametrize("name", STEPS_AND_GUIDANCE)
def test_steps_guidance_and_rescaling(name):
    defaults = resolve(name).sampling
    assert (defaults["steps"], defaults["guidance"], defaults["guidance_rescale"]) == STEPS_AND_GUIDANCE[name]


@pytest.mark.parametrize(
    ("name", "learning"),
    [
        ("starter", (600, 4, 1e-3, 16, "all")),
        ("sd15", (800, 2, 1e-4, 16, "attention")),
        ("sdxl", (500, 1, 1e-4, 16, "attention")),
        ("flux-dev", (1000, 1, 1e-4, 16, "attention")),
        ("z-image", (1000, 1, 1e-4, 16, "attention")),
    ],
)
def test_training_facts(name, learning):
    defaults = resolve(name).defaults
    assert tuple(defaults[field] for field in ("steps", "batch", "learning_rate", "rank", "targets")) == learning
