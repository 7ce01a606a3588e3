"""Every scheduler on every kind of noise schedule: supported steps, final sample and noise levels."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from limner import LimnerError
from limner.engine.generate.schedulers import SCHEDULERS, check_steps, first_step, scheduler_for

WEIGHTS = Path(__file__).parents[2] / "src/limner/starter/weights"
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
PNDM = {**BETAS, "_class_name": "PNDMScheduler", "steps_offset": 1, "set_alpha_to_one": False}
DDIM = {**BETAS, "_class_name": "DDIMScheduler", "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False}
EULER = {**BETAS, "_class_name": "EulerDiscreteScheduler", "steps_offset": 1, "skip_prk_steps": True}
ZERO_SNR = {**DDIM, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "set_alpha_to_one": True}
DPM = {**BETAS, "_class_name": "DPMSolverMultistepScheduler"}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
CONFIGS = {
    "Stable Diffusion 1.5": {**PNDM, "skip_prk_steps": True, "clip_sample": False},
    "PNDM with Runge-Kutta steps": PNDM,
    "DDIM": DDIM,
    "Stable Diffusion 2.1": {**DDIM, "prediction_type": "v_prediction", "skip_prk_steps": True},
    "SDXL": {**EULER, "timestep_spacing": "leading", "interpolation_type": "linear"},
    "SDXL turbo": {**EULER, "_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"},
    "epsilon, linspace": {**EULER, "timestep_spacing": "linspace", "steps_offset": 0},
    "epsilon, leading, no offset": {**DDIM, "steps_offset": 0, "timestep_spacing": "leading"},
    "zero SNR, trailing": {**ZERO_SNR, "timestep_spacing": "trailing"},
    "zero SNR, leading": {**ZERO_SNR, "timestep_spacing": "leading"},
    "zero SNR, linspace": {**ZERO_SNR, "timestep_spacing": "linspace"},
    "Karras": {**DPM, "use_karras_sigmas": True, "timestep_spacing": "leading", "steps_offset": 1},
    "Karras, Euler": {**EULER, "use_karras_sigmas": True, "timestep_spacing": "linspace"},
    "ends at sigma_min": {**DPM, "final_sigmas_type": "sigma_min"},
    "consistency": {**DDIM, "_class_name": "LCMScheduler", "original_inference_steps": 50},
    "flow": {**FLOW, "shift": 1.0},
    "flow, shifted": {**FLOW, "shift": 3.0},
    "flow, shifted by size": {**FLOW, "shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15},
    "flow, Karras": {**FLOW, "use_karras_sigmas": True},
    "flow, terminal shift": {**FLOW, "shift": 3.0, "shift_terminal": 0.1},
}
if (WEIGHTS / "scheduler").is_dir():
    CONFIGS["starter"] = json.loads((WEIGHTS / "scheduler/scheduler_config.json").read_text())
NAMES = (None, *SCHEDULERS)
NOISE = torch.tensor([-1.2, 0.3, 0.9, 1.5]).reshape(1, 1, 2, 2)
FEW = (1, 2, 4, 25)
MANY = {5: "SDXL", 30: "SDXL turbo", 50: "starter", 199: "Stable Diffusion 2.1", 1000: "Stable Diffusion 1.5"}
"""Step counts, and the noise schedule on which those that take long are tried; the slow test tries them on all."""
SLOWEST = {"dpm++2m-karras", "dpm++2m-sde", "heun", "unipc"}
"""Schedulers whose steps take longest: 199 of them are tried in the slow test only, like 1000 of any scheduler."""
OWN_ONLY = {"consistency", "PNDM with Runge-Kutta steps", "DDIM", "Karras"}
"""Noise schedules that are another one's here, so that only the model's own scheduler is new."""
CELLS = [
    (kind, name)
    for kind in CONFIGS
    for name in (NAMES if kind not in OWN_ONLY and not kind.startswith("flow") else (None,))
]


def class_of(config, name):
    return SCHEDULERS[name][0] if name else config["_class_name"]


def refused(config, name, steps):
    """Whether a scheduler has no such number of steps, by its own way to place them."""
    kind = class_of(config, name)
    spacing = config.get("timestep_spacing", "leading" if kind in ("DDIMScheduler", "DDPMScheduler") else "linspace")
    if kind == "PNDMScheduler":
        spacing = config.get("timestep_spacing", "leading")
    if kind == "LCMScheduler":
        return steps > 50
    if kind == "PNDMScheduler" and not name and not config.get("skip_prk_steps"):
        return steps < 4 or steps == 1000
    if steps < 1000:
        return kind.startswith("Flow") and steps == 1 and "shift_terminal" in config
    if kind in ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler"):
        return spacing == "leading" and config.get("steps_offset", 0) > 0
    karras = config.get("use_karras_sigmas") or name == "dpm++2m-karras"
    return kind in ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler") and spacing != "trailing" and not karras


def levels(config):
    """The noise level sigma of each training step, by the papers' formulas."""
    betas = np.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, 1000) ** 2
    bars = np.cumprod(1 - betas)
    if config.get("rescale_betas_zero_snr"):  # Lin et al. 2024, arXiv 2305.08891, algorithm 1
        root = np.sqrt(bars)
        bars = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    return np.sqrt(1 / np.maximum(bars, 2**-24) - 1)  # the last one is finite, as in diffusers


class Run:
    """A scheduler driven with the ideal model of data that are normal numbers."""

    def __init__(self, config, name):
        self.config, self.scheduler = config, scheduler_for(config, name)
        self.flow = class_of(config, name).startswith("Flow")
        self.kind = "flow" if self.flow else config.get("prediction_type", "epsilon")
        self.levels = None if self.flow else levels(config)
        self.seeded = "generator" in inspect.signature(self.scheduler.step).parameters

    def ends(self, steps, strength=1.0, mean=0.5, spread=0.0, noise=NOISE):
        """Return the first sample as the model gets it, and the last one.

        Of data without spread, every sampler ends at the mean. Of data with mean 0 and spread 1, what is half noise
        is distributed like the data, so that nothing changes.
        """
        scheduler = self.scheduler
        scheduler.set_timesteps(steps, **({"mu": 1.0} if self.config.get("use_dynamic_shifting") else {}))
        first = first_step(steps, strength) * scheduler.order
        times = scheduler.timesteps[first:]
        named = {"generator": torch.Generator().manual_seed(0)} if self.seeded else {}
        if first:
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(first)
            clean = torch.full_like(noise, mean)
            noised = scheduler.scale_noise if self.flow else scheduler.add_noise
            sample = noised(clean, times[:1], noise) if self.flow else noised(clean, noise, times[:1])
        else:
            sample = noise * getattr(scheduler, "init_noise_sigma", 1.0)
        start = None
        for time in times:
            given = sample if self.flow else scheduler.scale_model_input(sample, time)
            start = given if start is None else start
            sample = scheduler.step(self.predicted(given, float(time), mean, spread), time, sample, **named).prev_sample
        return start, sample

    def predicted(self, given, time, mean, spread):
        """What the ideal model predicts: the mean of the noise, velocity or flow of all data that may be behind."""
        if self.flow:
            noisy, clear = time / 1000, 1 - time / 1000
        else:
            low = min(int(time), 999)
            sigma = self.levels[low] + (time - low) * (self.levels[min(low + 1, 999)] - self.levels[low])
            clear = 1 / math.sqrt(1 + sigma**2)
            noisy = sigma * clear
        data = mean + spread**2 * clear * (given - clear * mean) / (spread**2 * clear**2 + noisy**2)
        noise = (given - clear * data) / noisy
        return {"flow": noise - data, "epsilon": noise, "v_prediction": clear * noise - noisy * data}[self.kind]


def check_cell(config, name, counts, checked=None):
    """Every number of steps is refused in one line where there is none such, and otherwise ends at the data.

    checked: those of which it is asked that they are not refused, None for all.
    """
    run = Run(config, name)
    for steps in counts:
        if refused(config, name, steps):
            with pytest.raises(
                LimnerError, match=rf"does not support {steps} steps? on this model's noise schedule"
            ) as error:
                check_steps(config, name, steps)
            assert "\n" not in str(error.value)
            continue
        if checked is None or steps in checked:
            check_steps(config, name, steps, {1.0, 0.6})
        for strength in (1.0, 0.6) if steps in (10, 25, 100) else (1.0,):
            _, end = run.ends(steps, strength)
            assert end.isfinite().all(), (steps, strength)
            if steps > 1 and run.scheduler.__class__.__name__ != "PNDMScheduler":
                assert (end - 0.5).abs().max() < 0.11, (steps, strength, end)
            elif steps >= 25:  # PNDM counts in whole steps of 1000 / n
                assert (end - 0.5).abs().max() < 0.25, (steps, strength, end)


@pytest.mark.parametrize(("kind", "name"), CELLS)
def test_steps_are_refused_or_end_at_the_data(kind, name):
    many = [steps for steps, chosen in MANY.items() if chosen == kind and not (steps > 50 and name in SLOWEST)]
    many = [steps for steps in many if steps < 1000 or refused(CONFIGS[kind], name, steps)]
    check_cell(CONFIGS[kind], name, (*FEW, *many), checked=(1, 2, 4, 25))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CELLS)
def test_many_steps_are_refused_or_end_at_the_data(kind, name):
    """Each cell takes all counts to 20 and every twentieth beyond, from another one on: together all of them to 200."""
    start = 21 + CELLS.index((kind, name)) % 20
    check_cell(CONFIGS[kind], name, (*range(1, 21), *range(start, 200, 20), 200, 1000), checked=(1, 2, 3, 5, 20, 200))


SOLVERS = [name for name in SCHEDULERS if name not in ("ddpm", "euler-a", "dpm++2m-sde")]
"""Schedulers that add no noise."""


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("kind", ["Stable Diffusion 1.5", "Stable Diffusion 2.1", "SDXL", "starter"])
def test_data_that_are_like_noise_stay_as_they_are(kind, name):
    """Neither clipped, nor read at another noise level than the model was trained with."""
    if kind not in CONFIGS:
        pytest.skip("the starter's weights were not built")
    start, end = Run(CONFIGS[kind], name).ends(25, mean=0.0, spread=1.0)
    assert (end - start).abs().max() < 0.12, (start, end)


@pytest.mark.parametrize("name", sorted({*SCHEDULERS} - {*SOLVERS}))
@pytest.mark.parametrize("kind", ["Stable Diffusion 1.5", "SDXL", "starter"])
def test_noise_that_is_added_is_as_large_as_what_was_removed(kind, name):
    if kind not in CONFIGS:
        pytest.skip("the starter's weights were not built")
    noise = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    _, end = Run(CONFIGS[kind], name).ends(50, mean=0.0, spread=1.0, noise=noise)
    assert end.std().item() == pytest.approx(1, abs=0.1) and abs(end.mean().item()) < 0.1


def karras(low, high, count):
    """Karras et al. 2022, arXiv 2206.00364, equation 5, with rho 7."""
    steps = [step / (count - 1) for step in range(count)]
    return [(high ** (1 / 7) + step * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for step in steps]


@pytest.mark.parametrize("kind", ["Stable Diffusion 1.5", "SDXL", "starter"])
@pytest.mark.parametrize("steps", [5, 25])
def test_karras_noise_levels(kind, steps):
    if kind not in CONFIGS:
        pytest.skip("the starter's weights were not built")
    scheduler = scheduler_for(CONFIGS[kind], "dpm++2m-karras")
    scheduler.set_timesteps(steps)
    known = levels(CONFIGS[kind])
    assert scheduler.sigmas.tolist() == pytest.approx([*karras(known[0], known[-1], steps), 0.0], rel=1e-3)
    plain = scheduler_for(CONFIGS[kind], "dpm++2m")
    plain.set_timesteps(steps)
    assert plain.sigmas.tolist() != pytest.approx(scheduler.sigmas.tolist(), rel=1e-2)


@pytest.mark.parametrize("steps", [4, 30])
@pytest.mark.parametrize("name", ["ddim", "ddpm", "euler", "euler-a"])
@pytest.mark.parametrize(
    ("spacing", "times"),
    [
        ("leading", lambda n: [1000 // n * step + 1 for step in range(n)][::-1]),
        ("trailing", lambda n: [round(1000 - 1000 / n * step) - 1 for step in range(n)]),
        ("linspace", lambda n: [999 - 999 / (n - 1) * step for step in range(n)]),
    ],
)
def test_timesteps_have_the_models_spacing(spacing, times, name, steps):
    """Lin et al. 2024, arXiv 2305.08891, table 2; with an offset of 1 where it leads."""
    scheduler = scheduler_for({**DDIM, "timestep_spacing": spacing}, name)
    scheduler.set_timesteps(steps)
    whole = 0.51 if name in ("ddim", "ddpm") else 1e-3
    assert scheduler.timesteps.tolist() == pytest.approx(times(steps), abs=whole)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_models_own_scheduler_stays_as_diffusers_has_it(kind):
    config = CONFIGS[kind]
    ours = scheduler_for(config, None)
    theirs = getattr(diffusers, config["_class_name"]).from_config(config)
    assert dict(ours.config) == dict(theirs.config) and type(ours) is type(theirs)
    for scheduler in (ours, theirs):
        scheduler.set_timesteps(7, **({"mu": 1.0} if config.get("use_dynamic_shifting") else {}))
    assert torch.equal(ours.timesteps, theirs.timesteps)


def test_a_scheduler_begins_at_its_first_step_where_timesteps_repeat():
    """A tenth of Karras' noise levels, between 1000 and 4096 in a zero SNR schedule, are one timestep."""
    scheduler = scheduler_for(CONFIGS["zero SNR, trailing"], "dpm++2m-karras")
    scheduler.set_timesteps(25)
    times = scheduler.timesteps
    assert times[0] == times[1] == 999
    assert scheduler.index_for_timestep(times[0]) == 0
    later = next(index for index in range(2, 25) if times[index] == times[index - 1] != times[0])
    assert scheduler.index_for_timestep(times[later]) == later, "elsewhere it is the second, for passes over images"


def test_what_cannot_be_taken_names_a_number_that_can():
    with pytest.raises(LimnerError) as error:
        check_steps(CONFIGS["Stable Diffusion 1.5"], "ddim", 1000)
    assert str(error.value).endswith("; use 999 --steps, or another --scheduler"), str(error.value)
    with pytest.raises(LimnerError, match=r"the model's own scheduler \(PNDMScheduler\) .*; use 4 --steps"):
        check_steps(CONFIGS["PNDM with Runge-Kutta steps"], None, 2)
    with pytest.raises(LimnerError, match="use another --scheduler, or other --steps"):
        check_steps(CONFIGS["consistency"], None, 200)
    check_steps(None, "ddim", 1000)  # not known yet


@pytest.mark.parametrize(
    ("steps", "strength", "first"), [(10, 1.0, 0), (10, 0.6, 4), (5, 0.7, 2), (30, 0.99, 1), (4, 0.1, 4)]
)
def test_a_pass_over_an_image_starts_like_in_diffusers(steps, strength, first):
    """Of five steps at 0.7 three and not four are made (StableDiffusionImg2ImgPipeline.get_timesteps)."""
    assert first_step(steps, strength) == first
