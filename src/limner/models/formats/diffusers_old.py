"""Names of older versions of diffusers, which kept LoRA in attention processors, and of transformers' CLIP."""

from collections.abc import Collection, Iterator

from limner.models.lora_layouts import LayerNames, Layout

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
"""Layer of an attention -> its name in an attention processor."""


def _aliases(layers: Collection[str]) -> Iterator[tuple[str, LayerNames]]:
    for name in layers:
        for alias in (name, *_in_processors(name)):
            yield alias, LayerNames((name,))
            # CLIP has this level in some versions of transformers
            yield f"text_model.{alias}", LayerNames((name,))
            yield alias.removeprefix("text_model."), LayerNames((name,))


def _in_processors(layer: str) -> Iterator[str]:
    for ending, alias in _PROCESSORS.items():
        if layer.endswith(f".{ending}"):
            attention = layer.removesuffix(f".{ending}")
            yield f"{attention}.{alias}"
            yield f"{attention}.processor.{alias}"


plugin = Layout(
    roles={".down.weight": "down", ".up.weight": "up"},
    suffixes=(".lora_linear_layer", ".lora", "_lora"),
    aliases=_aliases,
)
