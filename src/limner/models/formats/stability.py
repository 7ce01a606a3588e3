"""Layer names of UNets in Stability's code, which kohya uses for SDXL."""

import re
from collections.abc import Collection, Iterator

from limner.models.lora_layouts import LayerNames, Layout

_OUTSIDE_BLOCKS = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_INSIDE_BLOCKS = {
    "resnets": {
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    },
    "downsamplers": {"conv": "op"},
}


def _aliases(layers: Collection[str]) -> Iterator[tuple[str, LayerNames]]:
    resnets = {int(found[1]) for name in layers if (found := re.match(r"down_blocks\.0\.resnets\.(\d{1,4})\.", name))}
    if not resnets:
        return
    depth = max(resnets) + 1
    attentive = {found[1] for name in layers if (found := re.match(r"up_blocks\.(\d{1,4})\.attentions\.", name))}
    for name in layers:
        if name in _OUTSIDE_BLOCKS:
            yield _OUTSIDE_BLOCKS[name], LayerNames((name,))
            continue
        block, _, rest = name.partition(".")
        number, _, rest = rest.partition(".") if block != "mid_block" else ("0", "", rest)
        kind, index, inside = ([*rest.split(".", 2), "", ""])[:3]
        inside = _INSIDE_BLOCKS.get(kind, {}).get(inside, inside)
        if not (number.isdecimal() and index.isdecimal()):
            continue
        yield from (
            (f"{alias}.{inside}", LayerNames((name,)))
            for alias in _block(block, int(number), kind, int(index), depth, number in attentive)
        )


def _block(block: str, number: int, kind: str, index: int, depth: int, attentive: bool) -> Iterator[str]:
    """Return a block's name in Stability's code.

    depth: number of resnets in each block on the way down; blocks on the way up have one more.
    """
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


plugin = Layout(aliases=_aliases)
