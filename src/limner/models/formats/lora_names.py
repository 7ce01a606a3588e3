"""Names of tensors in LoRA files: which layer of a model each belongs to, and what it is to that layer.

Layouts: PEFT and diffusers, diffusers' older attention processors, kohya and LyCORIS, and the names that FLUX, FLUX.2,
Z-Image and SDXL have in their authors' own code, as ComfyUI, ai-toolkit and kohya write them. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

DENOISER = "denoiser"

ROLES = {
    ".lora_down.weight": "down",
    ".lora_A.weight": "down",
    ".down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_B.weight": "up",
    ".up.weight": "up",
    ".lora_mid.weight": "mid",
    ".alpha": "alpha",
    ".dora_scale": "dora_scale",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector": "magnitude",
}
"""Endings of names, with the tensor's role. Only "magnitude" and "dora_scale" differ in layout, not in meaning."""

OTHER_METHODS = {
    ".hada_": "LoHa",
    ".lokr_": "LoKr",
    ".on_input": "(IA)3",
    ".ia3_": "(IA)3",
    ".oft_": "OFT",
    ".boft_": "BOFT",
    ".diff": "full weights",
    ".w_norm": "norm layers",
    ".b_norm": "norm layers",
}
"""Beginnings of the last parts of names, with what writes them: methods other than LoRA, which are not applied."""

PREFIXES = {
    "lora_unet_": DENOISER,
    "lora_transformer_": DENOISER,
    "lycoris_": DENOISER,
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "text_encoder_2",
    "text_encoders.clip_l.transformer.": "text_encoder",
    "text_encoders.clip_g.transformer.": "text_encoder_2",
    "text_encoders.t5xxl.transformer.": "text_encoder_2",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
    "unet.": DENOISER,
    "transformer.": DENOISER,
    "diffusion_model.": DENOISER,
    "model.diffusion_model.": DENOISER,
}
"""Beginnings of names, with the part of the pipeline; a name that has none of them is the denoiser's."""

_PEFT_TENSORS = ("lora_A", "lora_B", "lora_magnitude_vector")

_Q_K_V = ("to_q", "to_k", "to_v")
_ADDED_Q_K_V = ("add_q_proj", "add_k_proj", "add_v_proj")


def _of(block: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{block}.{name}" for name in names)


_DOUBLE, _SINGLE = "transformer_blocks.#", "single_transformer_blocks.#"
AUTHORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # FLUX and FLUX.2 (github.com/black-forest-labs/flux, src/flux/model.py)
    ("img_in", ("x_embedder",)),
    ("txt_in", ("context_embedder",)),
    ("time_in.in_layer", ("time_text_embed.timestep_embedder.linear_1",)),
    ("time_in.out_layer", ("time_text_embed.timestep_embedder.linear_2",)),
    ("guidance_in.in_layer", ("time_text_embed.guidance_embedder.linear_1",)),
    ("guidance_in.out_layer", ("time_text_embed.guidance_embedder.linear_2",)),
    ("vector_in.in_layer", ("time_text_embed.text_embedder.linear_1",)),
    ("vector_in.out_layer", ("time_text_embed.text_embedder.linear_2",)),
    ("time_in.in_layer", ("time_guidance_embed.timestep_embedder.linear_1",)),
    ("time_in.out_layer", ("time_guidance_embed.timestep_embedder.linear_2",)),
    ("guidance_in.in_layer", ("time_guidance_embed.guidance_embedder.linear_1",)),
    ("guidance_in.out_layer", ("time_guidance_embed.guidance_embedder.linear_2",)),
    ("double_stream_modulation_img.lin", ("double_stream_modulation_img.linear",)),
    ("double_stream_modulation_txt.lin", ("double_stream_modulation_txt.linear",)),
    ("single_stream_modulation.lin", ("single_stream_modulation.linear",)),
    ("final_layer.linear", ("proj_out",)),
    ("final_layer.adaLN_modulation.1", ("norm_out.linear",)),
    ("double_blocks.#.img_mod.lin", (f"{_DOUBLE}.norm1.linear",)),
    ("double_blocks.#.txt_mod.lin", (f"{_DOUBLE}.norm1_context.linear",)),
    ("double_blocks.#.img_attn.qkv", _of(f"{_DOUBLE}.attn", _Q_K_V)),
    ("double_blocks.#.txt_attn.qkv", _of(f"{_DOUBLE}.attn", _ADDED_Q_K_V)),
    ("double_blocks.#.img_attn.proj", (f"{_DOUBLE}.attn.to_out.0",)),
    ("double_blocks.#.txt_attn.proj", (f"{_DOUBLE}.attn.to_add_out",)),
    ("double_blocks.#.img_mlp.0", (f"{_DOUBLE}.ff.net.0.proj",)),
    ("double_blocks.#.img_mlp.2", (f"{_DOUBLE}.ff.net.2",)),
    ("double_blocks.#.txt_mlp.0", (f"{_DOUBLE}.ff_context.net.0.proj",)),
    ("double_blocks.#.txt_mlp.2", (f"{_DOUBLE}.ff_context.net.2",)),
    ("double_blocks.#.img_mlp.0", (f"{_DOUBLE}.ff.linear_in",)),
    ("double_blocks.#.img_mlp.2", (f"{_DOUBLE}.ff.linear_out",)),
    ("double_blocks.#.txt_mlp.0", (f"{_DOUBLE}.ff_context.linear_in",)),
    ("double_blocks.#.txt_mlp.2", (f"{_DOUBLE}.ff_context.linear_out",)),
    ("single_blocks.#.modulation.lin", (f"{_SINGLE}.norm.linear",)),
    ("single_blocks.#.linear1", (*_of(f"{_SINGLE}.attn", _Q_K_V), f"{_SINGLE}.proj_mlp")),
    ("single_blocks.#.linear2", (f"{_SINGLE}.proj_out",)),
    ("single_blocks.#.linear1", (f"{_SINGLE}.attn.to_qkv_mlp_proj",)),
    ("single_blocks.#.linear2", (f"{_SINGLE}.attn.to_out",)),
    # FLUX by XLabs (github.com/XLabs-AI/x-flux)
    ("double_blocks.#.processor.qkv_lora1", _of(f"{_DOUBLE}.attn", _Q_K_V)),
    ("double_blocks.#.processor.qkv_lora2", _of(f"{_DOUBLE}.attn", _ADDED_Q_K_V)),
    ("double_blocks.#.processor.proj_lora1", (f"{_DOUBLE}.attn.to_out.0",)),
    ("double_blocks.#.processor.proj_lora2", (f"{_DOUBLE}.attn.to_add_out",)),
    ("single_blocks.#.processor.qkv", _of(f"{_SINGLE}.attn", _Q_K_V)),
    ("single_blocks.#.processor.proj", (f"{_SINGLE}.proj_out",)),
    # Z-Image (github.com/Tongyi-MAI/Z-Image)
    ("x_embedder", ("all_x_embedder.2-1",)),
    ("final_layer.linear", ("all_final_layer.2-1.linear",)),
    ("final_layer.adaLN_modulation.1", ("all_final_layer.2-1.adaLN_modulation.1",)),
    *(
        pair
        for blocks in ("layers", "noise_refiner", "context_refiner")
        for pair in (
            (f"{blocks}.#.attention.qkv", _of(f"{blocks}.#.attention", _Q_K_V)),
            (f"{blocks}.#.attention.out", (f"{blocks}.#.attention.to_out.0",)),
            (f"{blocks}.#.attention.to_out", (f"{blocks}.#.attention.to_out.0",)),
        )
    ),
)
"""A layer in the authors' code, and the layers that diffusers has for it, whose rows follow each other in the former.

"#" stands for the block's number. A line counts for a model that has all of its layers.
"""

SWAPPED = {"final_layer.adaLN_modulation.1": "norm_out.linear"}
"""Layers that give shift and scale in the authors' code, and scale and shift in diffusers."""

_UNET_AUTHORS = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_INSIDE_AUTHORS = {
    "resnets": {
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    },
    "downsamplers": {"conv": "op"},
}
_PROCESSORS = {
    "to_q": "to_q",
    "to_k": "to_k",
    "to_v": "to_v",
    "to_out.0": "to_out",
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "out_proj": "to_out",
}
"""What diffusers' older attention processors call the layers of an attention."""


@dataclass(frozen=True)
class Place:
    """The layers that a name stands for. swapped: whether the halves of the rows stand the other way round."""

    layers: tuple[str, ...]
    swapped: bool = False


def split(name: str) -> tuple[str, str] | None:
    """A tensor's name without its ending, and its role; None where the ending is none of LoRA's."""
    parts = name.split(".")
    if len(parts) > 3 and parts[-3] in _PEFT_TENSORS:
        del parts[-2]  # the adapter's own name
    name = ".".join(parts)
    for ending, role in ROLES.items():
        if name.endswith(ending):
            return _without_marker(name.removesuffix(ending)), role
    return None


def _without_marker(stem: str) -> str:
    for marker in (".lora_linear_layer", ".lora", "_lora"):
        if stem.endswith(marker):
            return stem.removesuffix(marker)
    return stem


def method_of(name: str) -> str | None:
    """The method other than LoRA that writes tensors of this name."""
    last = f".{name.rpartition('.')[2]}"
    return next((method for beginning, method in OTHER_METHODS.items() if last.startswith(beginning)), None)


def is_whole_update(name: str) -> bool:
    """Whether a layer's update is zero wherever the tensor of this name is."""
    return name.endswith((".lora_up.weight", ".lora_B.weight", ".up.weight", ".diff", ".diff_b"))


def is_adapter(names: Collection[str]) -> bool:
    """Whether these are the names of an adapter of layers: LoRA's, or one of the methods that are refused by name."""
    return any("." in name and (split(name) or method_of(name)) for name in names)


def part_of(stem: str) -> tuple[str, str]:
    """The part of the pipeline that a name is of, and the rest of the name."""
    stem = stem.removeprefix("base_model.model.")
    for prefix, part in PREFIXES.items():
        if stem.startswith(prefix):
            return part, stem.removeprefix(prefix)
    return DENOISER, stem


def canonical(name: str) -> str:
    """A layer's name as kohya writes it; all layouts are compared in this form."""
    return name.replace(".", "_")


@lru_cache(16)
def places(layers: tuple[str, ...]) -> Mapping[str, Place]:
    """Every name that files have for these layers of one network, in the canonical form."""
    known = {canonical(name): Place((name,)) for name in layers}
    for theirs, place in _aliases(layers):
        known.setdefault(canonical(theirs), place)
    return known


def _aliases(layers: Collection[str]) -> Iterator[tuple[str, Place]]:
    yield from _authors_transformer(layers)
    yield from _authors_unet(layers)
    for name in layers:
        for theirs in (name, *_in_processors(name)):
            yield theirs, Place((name,))
            # CLIP has this level in some versions of transformers
            yield f"text_model.{theirs}", Place((name,))
            yield theirs.removeprefix("text_model."), Place((name,))


def _in_processors(layer: str) -> Iterator[str]:
    """Names of an attention's layer when diffusers kept LoRA in attention processors."""
    for ending, theirs in _PROCESSORS.items():
        if layer.endswith(f".{ending}"):
            attention = layer.removesuffix(f".{ending}")
            yield f"{attention}.{theirs}"
            yield f"{attention}.processor.{theirs}"


def _authors_transformer(layers: Collection[str]) -> Iterator[tuple[str, Place]]:
    present = set(layers)
    numbers = {number for name in layers for number in re.findall(r"\.(\d{1,4})\.", name)}
    for theirs, ours in AUTHORS:
        for number in numbers if "#" in theirs else ("",):
            names = tuple(name.replace("#", number) for name in ours)
            if present.issuperset(names):
                yield theirs.replace("#", number), Place(names, SWAPPED.get(theirs) == names[0])
    for name in layers:
        if name.startswith("transformer_blocks."):
            yield name.removeprefix("tran"), Place((name,))  # some FLUX.2 files lack these letters


def _authors_unet(layers: Collection[str]) -> Iterator[tuple[str, Place]]:
    """Names in the code of Stable Diffusion's authors, which kohya keeps for SDXL."""
    resnets = {int(found[1]) for name in layers if (found := re.match(r"down_blocks\.0\.resnets\.(\d{1,4})\.", name))}
    if not resnets:
        return
    depth = max(resnets) + 1
    attentive = {found[1] for name in layers if (found := re.match(r"up_blocks\.(\d{1,4})\.attentions\.", name))}
    for name in layers:
        if name in _UNET_AUTHORS:
            yield _UNET_AUTHORS[name], Place((name,))
            continue
        block, _, rest = name.partition(".")
        number, _, rest = rest.partition(".") if block != "mid_block" else ("0", "", rest)
        kind, index, inside = ([*rest.split(".", 2), "", ""])[:3]
        inside = _INSIDE_AUTHORS.get(kind, {}).get(inside, inside)
        if not (number.isdecimal() and index.isdecimal()):
            continue
        yield from (
            (f"{theirs}.{inside}", Place((name,)))
            for theirs in _authors_block(block, int(number), kind, int(index), depth, number in attentive)
        )


def _authors_block(block: str, number: int, kind: str, index: int, depth: int, attentive: bool) -> Iterator[str]:
    """depth: resnets in a block on the way down; there is one more in each on the way up."""
    inner = {"resnets": 0, "attentions": 1}.get(kind)
    match block, kind:
        case "down_blocks", "downsamplers":
            yield f"input_blocks.{(number + 1) * (depth + 1)}.0"
        case "down_blocks", _ if inner is not None:
            yield f"input_blocks.{1 + number * (depth + 1) + index}.{inner}"
        case "mid_block", _ if inner is not None:
            yield f"middle_block.{2 * index + inner}"
        case "up_blocks", "upsamplers":
            yield f"output_blocks.{number * (depth + 1) + depth}.{1 + attentive}"
        case "up_blocks", _ if inner is not None:
            yield f"output_blocks.{number * (depth + 1) + index}.{inner}"
        case _:
            return
