"""Loading stock diffusers pipelines from a folder, a single file or the hub, and placing their networks on a device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from limner.core.errors import LimnerError
from limner.core.protocols import Facts, ModelSource, is_text_encoder
from limner.models.hub import hub_errors
from limner.models.tensor_files import open_tensors

_NO_SUCH_FILES = (
    "no such modeling files are available",  # of a pipeline
    "Error no file named",  # of a part in a folder
    "does not appear to have a file named",  # of a part on the hub
)
"""Messages of diffusers for a model that has no files of a variant."""


def load_pipeline(kind: Any, source: ModelSource, dtype: torch.dtype, facts: Facts, **options: Any) -> Any:
    """Load a pipeline of the class `kind`, from safetensors only. facts: the family's.

    In half precision, the fp16 files are preferred: they are half the download, and the only ones that many
    repositories of large models were tested with.
    """
    if not Path(source.location).is_file():
        kind.load_config(source.location)  # a model that is not there is named before its autoencoder is
    if source.vae is not None:
        options["vae"] = load_vae(source.vae, dtype, facts.vae)
    if source.quantised is not None:
        options["quantization_config"] = quantisation(source.quantised, facts, dtype)
    if Path(source.location).is_file():
        if source.quantised is not None:
            raise LimnerError(
                f"a single file cannot be quantised to {source.quantised} while it loads",
                "leave --quantise out, or use the same model as a diffusers folder",
            )
        if source.vae is None:
            _check_has_vae(Path(source.location), facts)
        pipeline = kind.from_single_file(source.location, torch_dtype=dtype, config=source.config, **options)
    else:
        pipeline = _load_half_first(kind, source.location, dtype, **options)
    if source.vae is not None:
        _check_channels(pipeline, source)
    return pipeline


def load_vae(place: str, dtype: torch.dtype, name: str) -> Any:
    """Load an autoencoder of the class `name` from a folder, a single file or a Hugging Face id."""
    import diffusers

    kind, what = getattr(diffusers, name), "autoencoder (VAE)"
    with hub_errors(place, what):
        if Path(place).is_file():
            return kind.from_single_file(place, torch_dtype=dtype)
        found = kind.load_config(place).get("_class_name")
        if found != name:
            raise LimnerError(f"{what} {place!r} is {found or 'of an unknown class'}; this model needs {name}")
        return _load_half_first(kind, place, dtype)


def _check_channels(pipeline: Any, source: ModelSource) -> None:
    """Refuse an autoencoder whose latents have another number of channels than the model's."""
    if (unet := getattr(pipeline, "unet", None)) is not None:
        wanted = unet.config.out_channels
    else:
        wanted = type(pipeline.vae).load_config(source.location, subfolder="vae")["latent_channels"]
    if (found := pipeline.vae.config.latent_channels) != wanted:
        raise LimnerError(
            f"the autoencoder (VAE) {source.vae!r} makes latents of {found} channels; this model needs {wanted}",
            "use one that was made for this model, or leave --vae out",
        )


def _load_half_first(kind: Any, location: str, dtype: torch.dtype, **options: Any) -> Any:
    with WithoutRandomWeights():
        return _load_variant(kind, location, dtype, options | {"dtype": dtype, "use_safetensors": True})


class WithoutRandomWeights(TorchFunctionMode):
    """A context in which tensors of the meta device, which have no values, are not filled with random numbers.

    torch would import sympy to compute their shapes. Weights are read from files later.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        filled = kwargs.get("tensor") if getattr(func, "__module__", "") == "torch.nn.init" else None
        if filled is not None and filled.is_meta:
            return filled
        if func is torch.randn and torch.device(kwargs.get("device") or "cpu").type == "meta":
            func = torch.empty
        return func(*args, **kwargs)


def _load_variant(kind: Any, location: str, dtype: torch.dtype, options: Mapping[str, Any]) -> Any:
    if dtype in (torch.float16, torch.bfloat16):
        try:
            return kind.from_pretrained(location, variant="fp16", **options)
        except (OSError, ValueError) as error:
            if not any(text in str(error) for text in _NO_SUCH_FILES):
                raise
    return kind.from_pretrained(location, **options)


def _check_has_vae(file: Path, facts: Facts) -> None:
    """Refuse a single file without an autoencoder, and suggest the family's."""
    with open_tensors(file, repr(str(file)), "download or copy it again") as tensors:
        names = list(tensors.keys())
    if not any(name.startswith("first_stage_model.") for name in names):
        raise LimnerError(
            f"{str(file)!r} contains no autoencoder (VAE)", f"add one: --vae {facts.suggested_vae or 'PATH'}"
        )


def quantisation(name: str, facts: Facts, dtype: torch.dtype) -> Any:
    """Return diffusers' configuration that quantises the family's large parts: NF4 (arXiv 2305.14314) or int8."""
    import diffusers
    import transformers
    from diffusers import PipelineQuantizationConfig

    def config(library: Any) -> Any:
        if name == "nf4":
            options = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
            return library.BitsAndBytesConfig(load_in_4bit=True, **options)
        from torchao.quantization import Int8WeightOnlyConfig

        return library.TorchAoConfig(Int8WeightOnlyConfig())

    libraries = {part: transformers if is_text_encoder(part) else diffusers for part in facts.quantised}
    return PipelineQuantizationConfig(quant_mapping={part: config(library) for part, library in libraries.items()})


def is_quantised(part: Any) -> bool:
    """Whether a network's weights were quantised when it was loaded."""
    return getattr(part, "hf_quantizer", None) is not None


def freeze_and_move(parts: dict[str, Any], device: torch.device) -> None:
    """Freeze the networks among a pipeline's parts, and move them to the device."""
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
            if not is_quantised(part) or part.hf_quantizer.quantization_config.quant_method == "torchao":  # type: ignore
                part.to(device)  # bitsandbytes places its own networks while it loads them


def place_unet(parts: dict[str, Any], device: torch.device) -> None:
    """Freeze and move the networks of a UNet pipeline, with the fastest memory layout and attention for the device.

    On a CPU, plain matrix products are faster than the fused attention kernel at head widths of 32 and less, and
    channels-last makes convolutions in fp32 twice as fast.
    """
    from diffusers.models.attention_processor import AttnProcessor

    freeze_and_move(parts, device)
    for part in parts.values():
        if device.type == "cpu" and "block_out_channels" in getattr(part, "config", {}):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    unet = parts["unet"]
    if device.type == "cpu" and max(unet.config.block_out_channels) <= 320:
        unet.set_attn_processor(AttnProcessor())


def native_side(parts: dict[str, Any]) -> int:
    """Return the side in pixels that a UNet was trained on; the shorter one if its images are not square."""
    latent = parts["unet"].config.sample_size
    side = latent if isinstance(latent, int) else min(latent)
    return side * 2 ** (len(parts["vae"].config.block_out_channels) - 1)
