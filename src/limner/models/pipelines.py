"""Stock pipelines from a folder, a single file or the hub, in the number format that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from limner.core.errors import LimnerError
from limner.core.protocols import Source
from limner.models.hub import hub_errors

_NO_SUCH_FILES = (
    "no such modeling files are available",  # of a pipeline
    "Error no file named",  # of a part in a folder
    "does not appear to have a file named",  # of a part on the hub
)
"""What diffusers says where a model has no files of a variant."""


def load_pipeline(
    kind: Any, source: Source, dtype: torch.dtype, large: Sequence[str], vae: str = "AutoencoderKL", **options: Any
) -> Any:
    """A pipeline of the class `kind`, from safetensors only.

    large: the parts that are quantised where that is asked. vae: the class of its autoencoder.

    For half precision the fp16 files are taken, where there are such: they are half the download, and all that many
    repositories of large models were checked with.
    """
    if source.vae is not None:
        options["vae"] = load_vae(source.vae, dtype, vae)
    if source.quantised is not None:
        options["quantization_config"] = quantisation(source.quantised, large, dtype)
    if Path(source.location).is_file():
        if source.quantised is not None:
            raise LimnerError(
                f"a single file cannot be rounded to {source.quantised} while it loads",
                "leave that out, or use the same model as a diffusers folder",
            )
        if source.vae is None:
            _check_vae(Path(source.location))
        pipeline = kind.from_single_file(source.location, torch_dtype=dtype, config=source.config, **options)
    else:
        pipeline = _half_first(kind, source.location, dtype, **options)
    if source.vae is not None:
        _check_channels(pipeline, source)
    return pipeline


def load_vae(place: str, dtype: torch.dtype, name: str) -> Any:
    """An autoencoder by itself, of the class `name`: a folder, a single file or a Hugging Face id."""
    import diffusers

    kind, what = getattr(diffusers, name), "autoencoder (VAE)"
    with hub_errors(place, what):
        if Path(place).is_file():
            return kind.from_single_file(place, torch_dtype=dtype)
        found = kind.load_config(place).get("_class_name")
        if found != name:
            raise LimnerError(f"{what} {place!r} is {found or 'of no known kind'}, and this model takes {name}")
        return _half_first(kind, place, dtype)


def _check_channels(pipeline: Any, source: Source) -> None:
    """Refuse an autoencoder whose latents are not those that the model was taught on."""
    if (unet := getattr(pipeline, "unet", None)) is not None:
        wanted = unet.config.out_channels
    else:
        wanted = type(pipeline.vae).load_config(source.location, subfolder="vae")["latent_channels"]
    if (found := pipeline.vae.config.latent_channels) != wanted:
        raise LimnerError(
            f"the autoencoder (VAE) {source.vae!r} makes latents of {found} channels, and this model takes {wanted}",
            "give one that was made for it, or leave --vae out",
        )


def _half_first(kind: Any, location: str, dtype: torch.dtype, **options: Any) -> Any:
    options |= {"dtype": dtype, "use_safetensors": True}
    if dtype in (torch.float16, torch.bfloat16):
        try:
            return kind.from_pretrained(location, variant="fp16", **options)
        except (OSError, ValueError) as error:
            if not any(text in str(error) for text in _NO_SUCH_FILES):
                raise
    return kind.from_pretrained(location, **options)


def _check_vae(file: Path) -> None:
    """Refuse a single file that holds no autoencoder, and name the one that suits it."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        names = list(tensors.keys())
    if not any(name.startswith("first_stage_model.") for name in names):
        large = any(name.startswith("conditioner.") for name in names)
        suits = "madebyollin/sdxl-vae-fp16-fix" if large else "stabilityai/sd-vae-ft-mse"
        raise LimnerError(f"{str(file)!r} holds no autoencoder (VAE)", f"give it one: --vae {suits}")


def quantisation(name: str, parts: Sequence[str], dtype: torch.dtype) -> Any:
    """How the named parts are rounded while they load: NF4 (arXiv 2305.14314) or 8-bit integers."""
    import diffusers
    import transformers
    from diffusers import PipelineQuantizationConfig

    def of(library: Any) -> Any:
        if name == "nf4":
            options = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
            return library.BitsAndBytesConfig(load_in_4bit=True, **options)
        from torchao.quantization import Int8WeightOnlyConfig

        return library.TorchAoConfig(Int8WeightOnlyConfig())

    libraries = {part: transformers if part.startswith("text") else diffusers for part in parts}
    return PipelineQuantizationConfig(quant_mapping={part: of(library) for part, library in libraries.items()})


def is_quantised(part: Any) -> bool:
    """Whether a network's weights were rounded when it was loaded."""
    return getattr(part, "hf_quantizer", None) is not None


def freeze_and_move(parts: dict[str, Any], device: torch.device) -> None:
    """Freeze the networks among a pipeline's parts and move them to the device."""
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
            if not is_quantised(part) or part.hf_quantizer.quantization_config.quant_method == "torchao":  # type: ignore
                part.to(device)  # bitsandbytes put its own there as it loaded
