"""Layer names of FLUX and FLUX.2 in their authors' code (github.com/black-forest-labs/flux, src/flux/model.py)."""

from collections.abc import Collection, Iterator

from limner.models.lora_layouts import ADDED_Q_K_V, Q_K_V, LayerNames, Layout, numbered_aliases, rows_of

_DOUBLE, _SINGLE = "transformer_blocks.#", "single_transformer_blocks.#"
_TABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
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
    ("double_blocks.#.img_attn.qkv", rows_of(f"{_DOUBLE}.attn", Q_K_V)),
    ("double_blocks.#.txt_attn.qkv", rows_of(f"{_DOUBLE}.attn", ADDED_Q_K_V)),
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
    ("single_blocks.#.linear1", (*rows_of(f"{_SINGLE}.attn", Q_K_V), f"{_SINGLE}.proj_mlp")),
    ("single_blocks.#.linear2", (f"{_SINGLE}.proj_out",)),
    ("single_blocks.#.linear1", (f"{_SINGLE}.attn.to_qkv_mlp_proj",)),
    ("single_blocks.#.linear2", (f"{_SINGLE}.attn.to_out",)),
)
_SWAPPED = {"final_layer.adaLN_modulation.1": "norm_out.linear"}
"""Layers that hold shift and scale in the authors' code, and scale and shift in diffusers."""


def _aliases(layers: Collection[str]) -> Iterator[tuple[str, LayerNames]]:
    yield from numbered_aliases(_TABLE, layers, _SWAPPED)
    for name in layers:
        if name.startswith("transformer_blocks."):
            yield name.removeprefix("tran"), LayerNames((name,))  # some FLUX.2 files lack these letters


plugin = Layout(aliases=_aliases)
