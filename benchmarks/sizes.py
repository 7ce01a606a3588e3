"""Time and memory of a LoRA step and of generating an image on full-size models with random weights.

    python benchmarks/sizes.py FOLDER --models sd15 sdxl flux --sides 512 1024 --json sizes.json

FOLDER keeps the models in half precision: 2, 7 and 34 GB. Each case runs in a process of its own, so that its peak
memory is its own: on a GPU what torch allocated, on a CPU resident memory. Random weights cost as much as trained
ones; the images are noise.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from figures import machine, print_table, write_json
from limner import AdapterUse, GenerateRequest, Studio, TrainRequest
from limner.core.events import Progress, Stage
from limner.core.requests import AnyRequest
from limner.models.logging import quiet_libraries
from limner.starter.pretrain.tokenizer import build_tokenizer

CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
CLIP_BIG_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}
NOISE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
UNET_XL: dict[str, Any] = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
T5_XXL: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}


def vae(**options: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(**(VAE | options))


def clip(kind: str, tokenizer: Any, shape: dict[str, Any]) -> Any:
    import transformers

    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = transformers.CLIPTextConfig(vocab_size=49408, **shape, **ends)
    return getattr(transformers, kind)(config)


def ddim() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(**NOISE)


def sd15() -> Any:
    """Rombach et al. 2022 (arXiv 2112.10752), as version 1.5."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    tokenizer = build_tokenizer(1, 77)
    return StableDiffusionPipeline(
        vae=vae(sample_size=512),
        text_encoder=clip("CLIPTextModel", tokenizer, CLIP_L),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
        scheduler=ddim(),
        safety_checker=cast(Any, None),
        feature_extractor=cast(Any, None),
        requires_safety_checker=False,
    )


def sdxl() -> Any:
    """Podell et al. 2023 (arXiv 2307.01952), the base model."""
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

    tokenizer = build_tokenizer(1, 77)
    return StableDiffusionXLPipeline(
        vae=vae(sample_size=1024, scaling_factor=0.13025),
        text_encoder=clip("CLIPTextModel", tokenizer, CLIP_L),
        text_encoder_2=clip("CLIPTextModelWithProjection", tokenizer, CLIP_BIG_G),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=UNet2DConditionModel(**UNET_XL),
        scheduler=ddim(),
    )


def flux() -> Any:
    """FLUX.1-dev (Black Forest Labs 2024)."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    t5 = T5Tokenizer(
        vocab=pieces + [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz"], extra_ids=0, model_max_length=512
    )
    tokenizer = build_tokenizer(1, 77)
    return FluxPipeline(
        vae=vae(
            sample_size=1024,
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=clip("CLIPTextModel", tokenizer, CLIP_L),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(T5Config(**T5_XXL)),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(guidance_embeds=True),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


MODELS: dict[str, Callable[[], Any]] = {"sd15": sd15, "sdxl": sdxl, "flux": flux}


def build(name: str, folder: Path, device: str) -> Path:
    """The folder of a model, which is made if it does not exist."""
    place = folder / name
    if not (place / "model_index.json").is_file():
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        with torch.device(device):
            pipeline = MODELS[name]()
        torch.set_default_dtype(torch.float32)
        pipeline.save_pretrained(place)  # which writes model_index.json last
        del pipeline
        gc.collect()
        torch.cuda.empty_cache()
    return place


@dataclass
class Watch:
    """A listener that records the seconds between the steps of a stage and the seconds after its last step."""

    stage: str
    times: list[float] = field(default_factory=list[float])
    on: bool = False

    def __call__(self, event: Any) -> None:
        if isinstance(event, Stage):
            self.on = event.name == self.stage
        if self.on and isinstance(event, Progress) and event.done:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())


def measured(request: AnyRequest, out: str, stage: str, pipe: Any) -> None:
    """Run a request in this process; send seconds per step, seconds afterwards, and peak memory in GiB."""
    watch = Watch(stage)
    Studio().run(request, Path(out), listener=watch)
    steps = watch.times[:-1] if stage == "generating" else watch.times  # the last step is reported twice
    after = time.perf_counter() - steps[-1]
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated() / 2**30
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send({"step": (steps[-1] - steps[0]) / (len(steps) - 1), "after": after, "memory": memory})


def alone(request: AnyRequest, out: Path, stage: str) -> dict[str, float]:
    """`measured` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=measured, args=(request, str(out), stage, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise SystemExit(f"it failed: {request.model_dump_json(exclude_defaults=True)}") from None
    finally:
        process.join()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder for the models")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sides", type=int, nargs="+", default=(512, 1024), help="sides of the images, in pixels")
    parser.add_argument("--steps", type=int, default=4, help="steps of training and of generating")
    parser.add_argument("--batch", type=int, default=1, help="images of a training step")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--quantise", choices=("nf4", "int8"))
    parser.add_argument("--memory", default="high", help="memory preset of generating")
    parser.add_argument("--keep", action="store_true", help="keep activations in training, for speed")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    quiet_libraries()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["LIMNER_HOME"] = f"{scratch}/home"
        os.environ["HF_HUB_OFFLINE"] = "1"
        photographs = Path(scratch, "photographs")
        photographs.mkdir()
        for index in range(3):
            pixels = np.random.default_rng(index).integers(0, 255, (max(chosen.sides), max(chosen.sides), 3))
            Image.fromarray(pixels.astype(np.uint8)).save(photographs / f"{index}.png")
        for name in chosen.models:
            model = str(build(name, chosen.folder, device))
            common = {"model": model, "precision": chosen.precision, "steps": chosen.steps, "quantise": chosen.quantise}
            for side in chosen.sides:
                adapter = Path(scratch, f"{name}-{side}")
                taught = TrainRequest.model_validate({
                    **common,
                    "data": str(photographs),
                    "class_word": "dog",
                    "batch": chosen.batch,
                    "resolution": side,
                    "prior": False,
                    "held_out": 0,
                    "gradient_checkpointing": not chosen.keep,
                    "options": {"rank": chosen.rank},
                })  # fmt: skip
                results[f"{name}, LoRA step at {side}"] = alone(taught, adapter, "training")
                painted = GenerateRequest.model_validate({
                    **common,
                    "prompt": "a photo of sks dog",
                    "width": side,
                    "height": side,
                    "memory": chosen.memory,
                    "adapter": (AdapterUse(path=str(adapter)),),
                })  # fmt: skip
                results[f"{name}, painting at {side}"] = alone(painted, Path(scratch, "out"), "generating")
                print_table(*table(results))
    settings = {key: str(value) for key, value in vars(chosen).items() if key != "json"}
    write_json(chosen.json, {"machine": machine(), "settings": settings, "results": results})


def table(results: dict[str, dict[str, float]]) -> tuple[list[str], list[list[str]]]:
    header = ["", "s a step", "s afterwards", "GiB at most"]
    return header, [[case, *(f"{r[key]:.2f}" for key in ("step", "after", "memory"))] for case, r in results.items()]


if __name__ == "__main__":
    main()
