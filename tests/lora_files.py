"""LoRA files in the layouts of other tools, with random tensors, and their updates computed by hand."""

from __future__ import annotations

import torch
from diffusers import (
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    UNet2DConditionModel,
    ZImageTransformer2DModel,
)
from diffusers.loaders.single_file_utils import (
    convert_flux2_transformer_checkpoint_to_diffusers,
    convert_z_image_transformer_checkpoint_to_diffusers,
)
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

from tiny import RESNET_PLACES, UNET_PLACES

NETWORKS = {
    "sd": {"unet": UNet2DConditionModel, "text_encoder": CLIPTextModel},
    "sdxl": {
        "unet": UNet2DConditionModel,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": CLIPTextModelWithProjection,
    },
    "flux": {"transformer": FluxTransformer2DModel, "text_encoder": CLIPTextModel, "text_encoder_2": T5EncoderModel},
    "flux2": {"transformer": Flux2Transformer2DModel},
    "z_image": {"transformer": ZImageTransformer2DModel},
}


def layers(pipeline, part):
    """Names and weights of a network's linear and convolution layers."""
    modules = pipeline.components[part].named_modules()
    return {name: module.weight for name, module in modules if isinstance(module, (nn.Linear, nn.Conv2d))}


class Writer:
    """Random LoRA tensors with the names of a layout, a rank and an alpha for each layer, and their updates by hand.

    added: part and layer -> alpha / rank * up @ down.
    """

    def __init__(self, layout, alphas=True):
        self.layout, self.alphas = layout, alphas
        self.rng = torch.Generator().manual_seed(0)
        self.tensors, self.added = {}, {}

    def random(self, *shape):
        return 0.2 * torch.randn(*shape, generator=self.rng)

    def delta(self, name, shape):
        """Write a layer; return its update of a weight of this shape."""
        turn = len(self.tensors)
        rank = 1 + turn % 4
        alpha = (0.5, float(rank), 7.0)[turn % 3] if self.alphas else float(rank)
        up, down = self.random(shape[0], rank), self.random(rank, *shape[1:])
        ones = (1,) * (len(shape) - 2)
        down_name, up_name, alpha_name = (name + ending for ending in ENDINGS[self.layout])
        self.tensors |= {down_name: down, up_name: up.reshape(shape[0], rank, *ones)}
        if self.alphas:
            self.tensors[alpha_name] = torch.tensor(alpha)
        return alpha / rank * torch.einsum("or,r...->o...", up, down)

    def add(self, name, part, layer, shape):
        self.added[f"{part}.{layer}.weight"] = self.delta(name, shape)

    def save(self, path, header=None):
        save_file(self.tensors, path, {"format": "pt"} | (header or {}))
        return path


KOHYA = (".lora_down.weight", ".lora_up.weight", ".alpha")
PEFT = (".lora_A.weight", ".lora_B.weight", ".alpha")
ENDINGS = {
    "kohya": KOHYA,
    "sgm": KOHYA,
    "lycoris": KOHYA,
    "bfl_kohya": KOHYA,
    "onetrainer": KOHYA,
    "peft": PEFT,
    "peft_named": (".lora_A.default.weight", ".lora_B.default.weight", ".alpha"),
    "peft_wrapped": PEFT,
    "ai_toolkit": PEFT,
    "comfy": KOHYA,
    "bfl_peft": PEFT,
    "diffusers": (".lora.down.weight", ".lora.up.weight", ".alpha"),
    "linear_layer": (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", ".alpha"),
    "processors": ("_lora.down.weight", "_lora.up.weight", "_lora.alpha"),
    "xlabs": (".down.weight", ".up.weight", ".alpha"),
}


def kohya_prefix(family, part):
    numbers = {"sd": "lora_te_", "sdxl": "lora_te1_", "flux": "lora_te1_"}
    if part == "text_encoder":
        return numbers[family]
    return "lora_unet_" if part in ("unet", "transformer") else {"sdxl": "lora_te2_", "flux": "lora_te3_"}[family]


def clip_name(layer):
    """CLIP's layers have one more level in files than in transformers' present version."""
    return layer if layer.startswith(("text_model.", "text_projection", "encoder.block.")) else f"text_model.{layer}"


def name_in(layout, family, part, layer):
    """Return the name of a layer without its tensors' endings; None if the layout has no such layer."""
    denoiser = part in ("unet", "transformer")
    layer = layer if denoiser else clip_name(layer)
    match layout:
        case "kohya":
            return kohya_prefix(family, part) + layer.replace(".", "_")
        case "lycoris" | "onetrainer":
            prefix = "lycoris_" if layout == "lycoris" else "lora_transformer_"
            return prefix + layer.replace(".", "_") if denoiser else None
        case "sgm":
            return kohya_prefix(family, part) + (sgm_name(layer) if denoiser else layer).replace(".", "_")
        case "peft" | "diffusers" | "peft_named":
            return f"{part}.{layer}"
        case "peft_wrapped":
            return f"base_model.model.{layer}" if denoiser else None
        case "ai_toolkit":
            return f"diffusion_model.{layer}" if denoiser else None
        case "linear_layer":
            return None if denoiser else f"{part}.{layer}"
        case "processors" if denoiser and ".attn" in layer:
            block, _, inside = layer.rpartition(".to_")
            return f"{part}.{block}.processor.to_{inside.removesuffix('.0')}"
        case "processors" if ".self_attn." in layer:
            block, _, inside = layer.rpartition(".")
            return f"{part}.{block}.to_{inside.removesuffix('_proj')}"
        case _:
            return None


def sgm_name(layer):
    """A UNet's layer in Stability's code."""
    if layer.startswith("add_embedding.linear_"):
        return f"label_emb.0.{2 * int(layer[-1]) - 2}"
    ours = max((place for place in UNET_PLACES if f"{layer}.".startswith(f"{place}.")), key=len)
    first, dot, rest = layer.removeprefix(f"{ours}").removeprefix(".").partition(".")
    inside = f"{RESNET_PLACES[first]}{dot}{rest}" if "resnets" in ours else f"{first}{dot}{rest}"
    return f"{UNET_PLACES[ours]}.{inside}".removesuffix(".")


def _all_layers(layout, family, pipeline, alphas=True):
    """Write all layers of a family that a layout has names for."""
    writer = Writer(layout, alphas)
    for part in pipeline.components:
        for layer, weight in layers(pipeline, part).items():
            if name := name_in(layout, family, part, layer):
                writer.add(name, part, layer, weight.shape)
    return writer


def flux_authors(pipeline, layout, alphas):
    """Write layers of FLUX with the names in its authors' code, which join rows of several layers of diffusers."""
    writer = Writer(layout, alphas)
    shapes = {name: tuple(weight.shape) for name, weight in layers(pipeline, "transformer").items()}

    def put(theirs, *ours, swapped=False):
        sizes = [shapes[name][0] for name in ours]
        name = f"lora_unet_{theirs.replace('.', '_')}" if layout == "bfl_kohya" else f"diffusion_model.{theirs}"
        delta = writer.delta(
            name.replace("diffusion_model.", "") if layout == "xlabs" else name, (sum(sizes), *shapes[ours[0]][1:])
        )
        if swapped:
            shift, scale = delta.chunk(2)
            delta = torch.cat([scale, shift])
        for name, rows in zip(ours, delta.split(sizes), strict=True):
            writer.added[f"transformer.{name}.weight"] = rows

    block = "transformer_blocks.0"
    heads = [f"{block}.attn.to_{letter}" for letter in "qkv"]
    text_heads = [f"{block}.attn.add_{letter}_proj" for letter in "qkv"]
    if layout == "xlabs":
        put("double_blocks.0.processor.qkv_lora1", *heads)
        put("double_blocks.0.processor.qkv_lora2", *text_heads)
        put("double_blocks.0.processor.proj_lora1", f"{block}.attn.to_out.0")
        put("double_blocks.0.processor.proj_lora2", f"{block}.attn.to_add_out")
        for number in range(2):
            single = f"single_transformer_blocks.{number}"
            put(f"single_blocks.{number}.processor.qkv_lora", *(f"{single}.attn.to_{letter}" for letter in "qkv"))
            put(f"single_blocks.{number}.processor.proj_lora", f"{single}.proj_out")
        return writer
    put("img_in", "x_embedder")
    put("txt_in", "context_embedder")
    for theirs, ours in (("time_in", "timestep"), ("guidance_in", "guidance"), ("vector_in", "text")):
        put(f"{theirs}.in_layer", f"time_text_embed.{ours}_embedder.linear_1")
        put(f"{theirs}.out_layer", f"time_text_embed.{ours}_embedder.linear_2")
    for theirs, norm, ff, qkv, out in (
        ("img", "norm1", "ff", heads, "to_out.0"),
        ("txt", "norm1_context", "ff_context", text_heads, "to_add_out"),
    ):
        put(f"double_blocks.0.{theirs}_mod.lin", f"{block}.{norm}.linear")
        put(f"double_blocks.0.{theirs}_attn.qkv", *qkv)
        put(f"double_blocks.0.{theirs}_attn.proj", f"{block}.attn.{out}")
        put(f"double_blocks.0.{theirs}_mlp.0", f"{block}.{ff}.net.0.proj")
        put(f"double_blocks.0.{theirs}_mlp.2", f"{block}.{ff}.net.2")
    for number in range(2):
        single = f"single_transformer_blocks.{number}"
        inner = [f"{single}.attn.to_{letter}" for letter in "qkv"]
        put(f"single_blocks.{number}.linear1", *inner, f"{single}.proj_mlp")
        put(f"single_blocks.{number}.linear2", f"{single}.proj_out")
        put(f"single_blocks.{number}.modulation.lin", f"{single}.norm.linear")
    put("final_layer.linear", "proj_out")
    put("final_layer.adaLN_modulation.1", "norm_out.linear", swapped=True)
    assert writer.added.keys() == {f"transformer.{name}.weight" for name in shapes}
    return writer


FLUX2_AUTHORS = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
    "double_blocks.0.img_attn.qkv": "transformer_blocks.0.attn.to_q",
    "double_blocks.0.txt_attn.qkv": "transformer_blocks.0.attn.add_q_proj",
    "double_blocks.0.img_attn.proj": "transformer_blocks.0.attn.to_out.0",
    "double_blocks.0.txt_attn.proj": "transformer_blocks.0.attn.to_add_out",
    "double_blocks.0.img_mlp.0": "transformer_blocks.0.ff.linear_in",
    "double_blocks.0.img_mlp.2": "transformer_blocks.0.ff.linear_out",
    "double_blocks.0.txt_mlp.0": "transformer_blocks.0.ff_context.linear_in",
    "double_blocks.0.txt_mlp.2": "transformer_blocks.0.ff_context.linear_out",
    "single_blocks.0.linear1": "single_transformer_blocks.0.attn.to_qkv_mlp_proj",
    "single_blocks.0.linear2": "single_transformer_blocks.0.attn.to_out",
    "single_blocks.1.linear1": "single_transformer_blocks.1.attn.to_qkv_mlp_proj",
    "single_blocks.1.linear2": "single_transformer_blocks.1.attn.to_out",
}
Z_IMAGE_AUTHORS = {
    "x_embedder": "all_x_embedder.2-1",
    "final_layer.linear": "all_final_layer.2-1.linear",
    "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
    **{
        f"{block}.attention.{theirs}": f"{block}.attention.{ours}"
        for block in ("layers.0", "layers.1", "noise_refiner.0", "context_refiner.0")
        for theirs, ours in (("qkv", "to_q"), ("out", "to_out.0"))
    },
}


def converted_authors(pipeline, layout, names, convert):
    """Layers by their authors' names, as diffusers' reader of whole checkpoints splits, renames and swaps their rows.

    names: for each the first layer in diffusers, whose shape it has, three times as many rows where it ends in qkv.
    """
    writer, theirs = Writer(layout), {}
    shapes = {name: tuple(weight.shape) for name, weight in layers(pipeline, "transformer").items()}
    for name, first in names.items():
        rows, *rest = shapes[first]
        shape = (3 * rows if name.endswith("qkv") else rows, *rest)
        prefixed = f"diffusion_model.{name}" if layout != "bfl_kohya" else f"lora_unet_{name.replace('.', '_')}"
        theirs[f"{name}.weight"] = writer.delta(prefixed, shape)
    writer.added = {f"transformer.{name}": delta for name, delta in convert(theirs).items()}
    return writer


GRID = [
    *(
        ("sd", layout)
        for layout in (
            "kohya",
            "peft",
            "peft_named",
            "peft_wrapped",
            "diffusers",
            "linear_layer",
            "processors",
            "lycoris",
        )
    ),
    *(("sdxl", layout) for layout in ("kohya", "sgm", "peft", "diffusers", "linear_layer", "processors")),
    *(
        ("flux", layout)
        for layout in (
            "kohya",
            "onetrainer",
            "peft",
            "peft_wrapped",
            "ai_toolkit",
            "bfl_kohya",
            "bfl_peft",
            "comfy",
            "xlabs",
        )
    ),
    *(("flux2", layout) for layout in ("kohya", "lycoris", "peft", "ai_toolkit", "bfl_kohya", "bfl_peft", "comfy")),
    *(("z_image", layout) for layout in ("kohya", "lycoris", "peft", "ai_toolkit", "bfl_kohya", "bfl_peft", "comfy")),
]


def write(family, layout, pipeline, alphas=True):
    if layout not in ("bfl_kohya", "bfl_peft", "comfy", "xlabs"):
        return _all_layers(layout, family, pipeline, alphas)
    match family:
        case "flux":
            return flux_authors(pipeline, layout, alphas)
        case "flux2":
            convert = convert_flux2_transformer_checkpoint_to_diffusers
            return converted_authors(pipeline, layout, FLUX2_AUTHORS, convert)
        case _:
            convert = convert_z_image_transformer_checkpoint_to_diffusers
            return converted_authors(pipeline, layout, Z_IMAGE_AUTHORS, convert)
