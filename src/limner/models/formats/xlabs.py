"""Layer names of FLUX in XLabs' code (github.com/XLabs-AI/x-flux)."""

from functools import partial

from limner.models.lora_layouts import ADDED_Q_K_V, Q_K_V, Layout, numbered_aliases, rows_of

_DOUBLE, _SINGLE = "transformer_blocks.#", "single_transformer_blocks.#"
_TABLE = (
    ("double_blocks.#.processor.qkv_lora1", rows_of(f"{_DOUBLE}.attn", Q_K_V)),
    ("double_blocks.#.processor.qkv_lora2", rows_of(f"{_DOUBLE}.attn", ADDED_Q_K_V)),
    ("double_blocks.#.processor.proj_lora1", (f"{_DOUBLE}.attn.to_out.0",)),
    ("double_blocks.#.processor.proj_lora2", (f"{_DOUBLE}.attn.to_add_out",)),
    ("single_blocks.#.processor.qkv", rows_of(f"{_SINGLE}.attn", Q_K_V)),
    ("single_blocks.#.processor.proj", (f"{_SINGLE}.proj_out",)),
)

plugin = Layout(aliases=partial(numbered_aliases, _TABLE, swapped={}))
