"""Layer names of Z-Image in its authors' code (github.com/Tongyi-MAI/Z-Image)."""

from functools import partial

from limner.models.lora_layouts import Q_K_V, Layout, numbered_aliases, rows_of

_TABLE = (
    ("x_embedder", ("all_x_embedder.2-1",)),
    ("final_layer.linear", ("all_final_layer.2-1.linear",)),
    ("final_layer.adaLN_modulation.1", ("all_final_layer.2-1.adaLN_modulation.1",)),
    *(
        pair
        for blocks in ("layers", "noise_refiner", "context_refiner")
        for pair in (
            (f"{blocks}.#.attention.qkv", rows_of(f"{blocks}.#.attention", Q_K_V)),
            (f"{blocks}.#.attention.out", (f"{blocks}.#.attention.to_out.0",)),
            (f"{blocks}.#.attention.to_out", (f"{blocks}.#.attention.to_out.0",)),
        )
    ),
)

plugin = Layout(aliases=partial(numbered_aliases, _TABLE, swapped={}))
