"""Samplers by name: the class of diffusers and its options."""

from __future__ import annotations

from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
from diffusers import DDIMScheduler

from limner.core.errors import LimnerError
from limner.engine.generate.schedulers import SCHEDULERS, apply_scheduler, check_scheduler
from limner.plugins.families.flux import plugin as FLUX
from limner.plugins.families.sd import plugin as SD

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
NAMED = {
    "ddim": diffusers.DDIMScheduler,
    "ddpm": diffusers.DDPMScheduler,
    "dpm++2m": diffusers.DPMSolverMultistepScheduler,
    "dpm++2m-karras": diffusers.DPMSolverMultistepScheduler,
    "dpm++2m-sde": diffusers.DPMSolverMultistepScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-a": diffusers.EulerAncestralDiscreteScheduler,
    "heun": diffusers.HeunDiscreteScheduler,
    "pndm": diffusers.PNDMScheduler,
    "unipc": diffusers.UniPCMultistepScheduler,
}


def sampler(name, **config):
    pipeline = SimpleNamespace(scheduler=DDIMScheduler.from_config(CONFIG | config))
    apply_scheduler(pipeline, name, 12)
    return pipeline.scheduler


def test_names_of_samplers_are_classes():
    assert {name: type(sampler(name)) for name in SCHEDULERS} == NAMED
    own = DDIMScheduler.from_config(CONFIG)
    pipeline = SimpleNamespace(scheduler=own)
    apply_scheduler(pipeline, None, 12)
    assert type(pipeline.scheduler) is DDIMScheduler, "the model's own"
    assert {name: pipeline.scheduler.config[name] for name in own.config} == dict(own.config)


def test_the_models_own_noise_schedule_stays():
    for name in SCHEDULERS:
        found = sampler(name, prediction_type="v_prediction").config
        assert (found.beta_start, found.beta_end, found.beta_schedule) == (0.00085, 0.012, "scaled_linear")
        assert found.prediction_type == "v_prediction"


def test_karras_noise_levels_are_those_of_the_paper():
    """Karras et al. 2022 (arXiv 2206.00364, eq. 5) with rho 7, between the levels of the first and the last step."""
    found = sampler("dpm++2m-karras")
    found.set_timesteps(12)
    levels = found.sigmas.numpy()[:-1]
    first, last = levels[0] ** (1 / 7), levels[-1] ** (1 / 7)
    wanted = (first + np.linspace(0, 1, 12) * (last - first)) ** 7
    assert np.allclose(levels, wanted, rtol=1e-4)
    plain = sampler("dpm++2m")
    plain.set_timesteps(12)
    assert not np.allclose(plain.sigmas.numpy()[1:-1], wanted[1:], rtol=0.2)


def test_only_stochastic_samplers_add_noise_in_each_step():
    assert sampler("dpm++2m-sde").config.algorithm_type == "sde-dpmsolver++"
    assert {sampler(name).config.algorithm_type for name in ("dpm++2m", "dpm++2m-karras")} == {"dpmsolver++"}
    assert {sampler(name).config.solver_order for name in SCHEDULERS if name.startswith("dpm++2m")} == {2}
    assert not sampler("dpm++2m-sde").config.use_karras_sigmas


def test_a_model_with_a_sampler_of_its_own_takes_no_other():
    check_scheduler("euler", SD.facts)
    check_scheduler(None, FLUX.facts)
    with pytest.raises(LimnerError, match="'euler' is not supported by this family of models"):
        check_scheduler("euler", FLUX.facts)
    with pytest.raises(LimnerError, match="unknown scheduler 'eulr'; did you mean 'euler'"):
        check_scheduler("eulr")
