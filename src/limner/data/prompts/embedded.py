"""Prompt and settings in the texts of an image, as A1111, InvokeAI, ComfyUI and Limner write them.

Formats: A1111 `parameters` (also written by Forge, SD.Next and Limner); `invokeai_metadata`; ComfyUI's `prompt`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

_PAIR = re.compile(r'(\w[\w \-/]{0,60}):\s{0,8}("(?:[^\\"]++|\\.){1,200}+"|[^,]{0,2000}+)(?:,|$)')
_ADAPTER = re.compile(r"<(?:lora|lyco):([^<>:]{1,200})[^<>]{0,64}>")
_NEGATIVE = "Negative prompt:"
_A1111 = {"Steps": "steps", "Sampler": "sampler", "CFG scale": "guidance", "Seed": "seed", "Model": "model"}
_INVOKE = {
    "positive_prompt": "prompt",
    "negative_prompt": "negative",
    "steps": "steps",
    "scheduler": "sampler",
    "cfg_scale": "guidance",
    "seed": "seed",
    "width": "width",
    "height": "height",
}
_COMFY = {"steps": "steps", "cfg": "guidance", "sampler_name": "sampler", "seed": "seed"}
LONGEST = 2**20
"""The longest text that is read, in characters."""
LONGEST_SETTINGS = 20_000
"""The longest line of A1111's settings that is read, in characters."""


def settings_in(texts: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a `PromptRecord` that the texts of an image hold; empty where there is no prompt."""
    readers = {"parameters": _a1111, "invokeai_metadata": _invoke, "prompt": _comfy}
    for name, read in readers.items():
        text = texts.get(name, "")
        if text and len(text) <= LONGEST and (found := read(text)).get("prompt"):
            return found
    return {}


def _a1111(text: str) -> dict[str, Any]:
    before, _, last = text.strip().rpartition("\n")
    pairs = [(each[1], each[2].strip()) for each in _PAIR.finditer(last)] if len(last) <= LONGEST_SETTINGS else []
    if len(pairs) < 3:
        before, pairs = text, []
    prompt, _, negative = before.partition(_NEGATIVE)
    found: dict[str, Any] = {"prompt": _ADAPTER.sub("", prompt).strip(), "negative": negative.strip()}
    if adapter := _ADAPTER.search(prompt):
        found["adapter"] = adapter[1]
    values = {name: _unquoted(value) for name, value in pairs}
    found |= {field: values[name] for name, field in _A1111.items() if values.get(name)}
    if size := re.fullmatch(r"(\d{1,5})x(\d{1,5})", values.get("Size", "")):
        found |= {"width": size[1], "height": size[2]}
    return found


def _unquoted(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value
    except ValueError:
        return value


def _invoke(text: str) -> dict[str, Any]:
    values = _mapping(text)
    found = {field: values[name] for name, field in _INVOKE.items() if _plain(values.get(name))}
    if isinstance(model := values.get("model"), dict):
        found["model"] = cast("dict[str, Any]", model).get("name", "")
    return found


def _comfy(text: str) -> dict[str, Any]:
    """The settings of the first sampler of a graph that is connected with a text, and its texts."""
    nodes = {key: node for key, node in _mapping(text).items() if isinstance(node, dict)}
    for node in nodes.values():
        inputs = node.get("inputs")
        if "Sampler" not in str(node.get("class_type")) or not isinstance(inputs, dict):
            continue
        found: dict[str, Any] = {field: inputs[name] for name, field in _COMFY.items() if _plain(inputs.get(name))}
        for name, field in (("positive", "prompt"), ("negative", "negative")):
            found[field] = _connected_text(nodes, inputs.get(name))
        found["prompt"] = found["prompt"] or _connected_text(nodes, inputs.get("guider"))
        if not found["prompt"]:
            continue
        if "seed" not in found and _plain(inputs.get("noise_seed")):
            found["seed"] = inputs["noise_seed"]
        size = _inputs_of(nodes, inputs.get("latent_image"))
        found |= {side: size[side] for side in ("width", "height") if _plain(size.get(side))}
        loaders = [node.get("inputs") for node in nodes.values() if "CheckpointLoader" in str(node.get("class_type"))]
        if loaders and isinstance(loaders[0], dict) and isinstance(name := loaders[0].get("ckpt_name"), str):
            found["model"] = name
        return found
    return {}


def _connected_text(nodes: Mapping[str, Any], link: Any, depth: int = 8) -> str:
    """The text of the node at the end of a link, through nodes that pass conditioning on."""
    inputs = _inputs_of(nodes, link)
    for name in ("text", "text_g"):
        if isinstance(text := inputs.get(name), str):
            return text
    for name in ("conditioning", "text", "conditioning_1", "positive"):
        if depth and isinstance(inputs.get(name), list) and (text := _connected_text(nodes, inputs[name], depth - 1)):
            return text
    return ""


def _inputs_of(nodes: Mapping[str, Any], link: Any) -> dict[str, Any]:
    node = nodes.get(str(link[0])) if isinstance(link, list) and link else None
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and value != ""
