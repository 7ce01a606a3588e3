"""What the families state of their models: published settings, sizes in GB, licences, and how each is loaded."""

from __future__ import annotations

import pytest

from limner.plugins import registry

SETTINGS = {  # denoising steps and guidance of the model cards, and steps, batch and rate of LoRA training
    "sd": (30, 7.5, 800, 2, 1e-4),
    "sdxl": (30, 5.0, 500, 1, 1e-4),
    "flux": (28, 3.5, 1000, 1, 1e-4),
    "flux2": (50, 4.0, 1000, 1, 1e-4),
    "z_image": (50, 4.0, 1000, 1, 1e-4),
}
LICENCES = {
    "starter": "apache-2.0",
    "sd15": "creativeml-openrail-m",
    "sd21": "openrail++",
    "realistic-vision": "creativeml-openrail-m",
    "sdxl": "openrail++",
    "flux-dev": "flux-1-dev-non-commercial-license",
    "flux-schnell": "apache-2.0",
    "flux2-klein": "apache-2.0",
    "flux2-klein-base": "apache-2.0",
    "z-image": "apache-2.0",
    "z-image-turbo": "apache-2.0",
}


@pytest.mark.parametrize("name", registry.families.names())
def test_settings_are_those_of_the_models(name):
    defaults = registry.families.get(name).facts.defaults
    keys = ("denoising_steps", "guidance", "steps", "batch", "learning_rate")
    assert tuple(defaults[key] for key in keys) == SETTINGS[name]
    prior = defaults["prior_target"], defaults["prior_dropout"], defaults["class_pictures"]
    assert prior == (("pictures", 0.0, 100) if name in ("sd", "sdxl") else ("model", 0.0, 50))


def test_distilled_models_take_few_steps_and_no_guidance():
    found = {name: dict(alias.defaults) for name, (_, alias) in registry.aliases().items() if alias.defaults}
    starter = found.pop("starter")
    assert found == {
        "flux-schnell": {"denoising_steps": 4, "guidance": 0.0},
        "flux2-klein": {"denoising_steps": 4, "guidance": 1.0},
        "z-image-turbo": {"denoising_steps": 9, "guidance": 0.0},
    }
    assert starter == {
        **{"denoising_steps": 8, "guidance": 3.0, "guidance_rescale": 0.7},
        **{"steps": 600, "batch": 4, "learning_rate": 1e-3, "rank": 16, "targets": "all"},
        **{"class_pictures": 48, "prior_target": "model", "prior_dropout": 0.5},
    }


def test_licences_are_those_of_the_model_cards():
    assert {name: alias.licence for name, (_, alias) in registry.aliases().items()} == LICENCES


def test_single_files_are_loaded_with_a_config_and_a_decoder_that_fits():
    aliases = {name: alias for name, (_, alias) in registry.aliases().items()}
    extra = {name: (alias.config, alias.vae) for name, alias in aliases.items() if alias.config or alias.vae}
    assert extra == {
        "realistic-vision": ("stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/sd-vae-ft-mse"),
        "sdxl": (None, "madebyollin/sdxl-vae-fp16-fix"),
    }
    suggested = {name: family.facts.suggested_vae for name, family in registry.families.all().items()}
    assert {name: vae for name, vae in suggested.items() if vae} == {
        "sd": "stabilityai/sd-vae-ft-mse",
        "sdxl": "madebyollin/sdxl-vae-fp16-fix",
    }


def test_what_each_family_takes():
    facts = {name: family.facts for name, family in registry.families.all().items()}
    unets, flows = ("sd", "sdxl"), ("flux", "flux2", "z_image")
    for name in unets:
        taken = facts[name]
        assert (taken.multiple, taken.long_prompts, taken.paired, taken.samplers) == (8, True, True, True)
        assert taken.loss_options == {"min_snr_gamma", "noise_offset"} and taken.quantised == ("unet",)
    for name in flows:
        taken = facts[name]
        assert (taken.multiple, taken.long_prompts, taken.paired, taken.samplers) == (16, False, False, False)
        assert taken.loss_options == {"timestep_sampling"} and len(taken.quantised) == 2
        assert taken.remedies.keys() >= {"guidance_method", "guidance_interval"}
    assert {name: taken.lora_encoders for name, taken in facts.items() if taken.lora_encoders} == {
        "sd": ("text_encoder",),
        "sdxl": ("text_encoder", "text_encoder_2"),
        "flux": ("text_encoder",),
    }
    assert facts["sd"].controlled == {"cross_attention_dim": 768, "in_channels": 4}
    assert facts["sdxl"].controlled == {"cross_attention_dim": 2048}
    words = {name: [key for key, *_ in taken.embeddings] for name, taken in facts.items() if taken.embeddings}
    assert words == {"sd": [""], "sdxl": ["clip_l", "clip_g"], "flux": ["clip_l", "t5"]}
    samplings = {name: facts[name].defaults["timestep_sampling"] for name in flows}
    assert samplings == {"flux": "shift", "flux2": "logit_normal", "z_image": "logit_normal"}


@pytest.mark.parametrize("name", [name for name in LICENCES if name != "starter"])
def test_a_model_needs_somewhat_more_memory_than_its_files_have(name):
    _, alias = registry.aliases()[name]
    billions = {"sd15": 1.07, "sd21": 1.29, "real": 1.07, "sdxl": 3.5, "flux2": 8.0, "flux": 16.9, "z-": 10.3}
    parameters = next(count for prefix, count in billions.items() if name.startswith(prefix))
    assert 0.9 < alias.gigabytes / (2 * parameters) < 1.15, "two bytes a parameter"
    assert alias.gigabytes < alias.memory < alias.gigabytes + 2
