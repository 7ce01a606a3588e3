"""LoRA files of other tools: merged like by hand, and refused if a tensor would not be used."""

from __future__ import annotations

import itertools
import json
import re
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from limner.core.errors import LimnerError
from limner.core.protocols import WeightedFile
from limner.models import lora, lora_layouts
from limner.models.adapters import open_adapter
from limner.models.lora_update import Update
from lora_files import GRID, NETWORKS, Writer, layers, write


@pytest.fixture(scope="module")
def pipeline(tiny_folder):
    """Family -> what a file is applied to: a pipeline's networks alone."""
    built = {}

    def of(family):
        if family not in built:
            parts = {
                name: kind.from_pretrained(tiny_folder(family), subfolder=name).requires_grad_(False).eval()
                for name, kind in NETWORKS[family].items()
            }
            denoiser = next(iter(parts))
            built[family] = SimpleNamespace(
                components=parts, _lora_loadable_modules=[denoiser], **{denoiser: parts[denoiser]}
            )
        return built[family]

    return of


def facts_of(pipeline):
    return SimpleNamespace(denoiser="unet" if "unet" in pipeline.components else "transformer")


def weights(pipeline):
    """Copies of all parameters of a pipeline's networks."""
    networks = pipeline.components.items()
    return {f"{part}.{name}": p.clone() for part, network in networks for name, p in network.named_parameters()}


def merged(pipeline, *uses):
    """All weights while files are applied; afterwards they are the base's, to the bit."""
    before = weights(pipeline)
    with lora.lora_applied(pipeline, facts_of(pipeline), [WeightedFile(file, strength) for file, strength in uses]):
        during = weights(pipeline)
    assert all(torch.equal(before[name], weight) for name, weight in weights(pipeline).items())
    return during


def assert_merged(found, base, added):
    """The weights are those of the base with the sums that were made by hand, and all others are the base's."""
    assert added and added.keys() <= base.keys()
    for name, weight in base.items():
        if name in added:
            torch.testing.assert_close(found[name], weight + added[name], rtol=1e-5, atol=1e-6, msg=name)
            assert not torch.equal(found[name], weight)
        else:
            assert torch.equal(found[name], weight), name


@pytest.mark.parametrize(("family", "layout"), GRID)
def test_weights_are_those_merged_by_hand(family, layout, pipeline, tmp_path):
    """Each layer with a rank and an alpha of its own."""
    base = pipeline(family)
    writer = write(family, layout, base)
    assert_merged(merged(base, (writer.save(tmp_path / "a.safetensors"), 1.0)), weights(base), writer.added)


@pytest.mark.parametrize(("family", "layout"), [("sd", "processors"), ("sdxl", "peft"), ("flux", "bfl_kohya")])
def test_without_alpha_the_scale_is_1(family, layout, pipeline, tmp_path):
    base = pipeline(family)
    writer = write(family, layout, base, alphas=False)
    assert not any("alpha" in name for name in writer.tensors)
    added = {name: -0.5 * delta for name, delta in writer.added.items()}
    assert_merged(merged(base, (writer.save(tmp_path / "a.safetensors"), -0.5)), weights(base), added)


BLOCK = "down_blocks.1.attentions.0"
LAYERS = (
    ("unet", f"{BLOCK}.transformer_blocks.0.attn1.to_q"),
    ("unet", f"{BLOCK}.proj_in"),
    ("unet", "down_blocks.1.resnets.0.conv1"),
    ("text_encoder", "encoder.layers.0.mlp.fc1"),
)


@pytest.fixture(scope="module")
def sd(pipeline):
    return pipeline("sd")


def kohya(part, layer):
    return ("lora_unet_" if part == "unet" else "lora_te_text_model_") + layer.replace(".", "_")


def few(sd):
    """A linear layer, convolutions of both sizes and one of a text encoder, by kohya's names."""
    writer = Writer("kohya")
    for part, layer in LAYERS:
        writer.add(kohya(part, layer), part, layer, layers(sd, part)[layer].shape)
    return writer


def refusal(pipeline, tensors, path, header=None):
    save_file(tensors, path, {"format": "pt"} | (header or {}))
    before = weights(pipeline)
    with (
        pytest.raises(LimnerError) as caught,
        lora.lora_applied(pipeline, facts_of(pipeline), [WeightedFile(path, 1.0)]),
    ):
        pass
    assert all(torch.equal(before[name], weight) for name, weight in weights(pipeline).items())
    assert str(path) in str(caught.value) and caught.value.remedy
    return str(caught.value)


def test_prediction_is_that_of_weights_merged_by_hand(sd, tmp_path):
    """The UNet's and the text encoder's outputs, as images are made of them."""
    writer = write("sd", "kohya", sd)
    unet, encoder = sd.components["unet"], sd.components["text_encoder"]
    ids, noisy = torch.arange(8)[None], torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def predicted():
        with torch.no_grad():
            states = encoder(ids)[0]
            return states, unet(noisy, 500, encoder_hidden_states=states).sample

    base = predicted()
    with lora.lora_applied(sd, facts_of(sd), [WeightedFile(writer.save(tmp_path / "a.safetensors"), 1.0)]):
        found = predicted()
    parameters = {f"{part}.{name}": p for part, net in sd.components.items() for name, p in net.named_parameters()}
    originals = {name: parameters[name].clone() for name in writer.added}
    for name, delta in writer.added.items():
        parameters[name] += delta
    wanted = predicted()
    for name, weight in originals.items():
        parameters[name].copy_(weight)
    for ours, theirs, before in zip(found, wanted, base, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert (ours - before).abs().mean() > 0.1


def test_files_together_add_up_in_any_order(sd, tmp_path):
    first = few(sd)
    second = Writer("kohya")
    second.random(100)
    for part, layer in LAYERS[:2]:
        second.add(kohya(part, layer), part, layer, layers(sd, part)[layer].shape)
    uses = [(first.save(tmp_path / "a.safetensors"), 0.5), (second.save(tmp_path / "b.safetensors"), 2.0)]
    added = {name: 0.5 * delta + 2 * second.added.get(name, 0) for name, delta in first.added.items()}
    assert_merged(merged(sd, *uses), weights(sd), added)
    assert_merged(merged(sd, *uses[::-1]), weights(sd), added)


def test_weight_0_changes_nothing(sd, tmp_path):
    during = merged(sd, (few(sd).save(tmp_path / "a.safetensors"), 0.0))
    assert all(torch.equal(during[name], weight) for name, weight in weights(sd).items())


def with_norms(sd, writer, by, names):
    """Give every layer of a file DoRA's norms, and return what each weight becomes by hand (LyCORIS, lycoris/modules/
    locon.py: apply_weight_decompose).
    """
    wanted = {}
    for (part, layer), name in zip(LAYERS, names, strict=True):
        weight = layers(sd, part)[layer]
        updated = weight + writer.added[f"{part}.{layer}.weight"]
        axes = [axis for axis in range(weight.ndim) if axis != (0 if by == "output" else 1)]
        norms = (updated**2).sum(axes, keepdim=True).sqrt()
        trained = norms * (1 + writer.random(*norms.shape).abs())
        shape = trained.shape
        if "magnitude" in name:  # PEFT's layout
            shape = (1, len(weight), 1, 1) if weight.ndim == 4 else (len(weight),)
        writer.tensors[name] = trained.reshape(shape)
        wanted[f"{part}.{layer}.weight"] = trained * updated / norms - weight
    return wanted


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("layout", ["lycoris_output", "lycoris_input", "peft"])
def test_dora_is_that_merged_by_hand(layout, strength, sd, tmp_path):
    if layout == "peft":
        writer = Writer("peft")
        names = [f"{part}.{layer}" for part, layer in LAYERS]
        for (part, layer), name in zip(LAYERS, names, strict=True):
            writer.add(name, part, layer, layers(sd, part)[layer].shape)
        names = [f"{name}.lora_magnitude_vector" for name in names]
    else:
        writer = few(sd)
        names = [f"{kohya(*place)}.dora_scale" for place in LAYERS]
    wanted = with_norms(sd, writer, "input" if layout == "lycoris_input" else "output", names)
    during = merged(sd, (writer.save(tmp_path / "a.safetensors"), strength))
    if strength:
        assert_merged(during, weights(sd), {name: strength * delta for name, delta in wanted.items()})
    else:
        assert all(torch.equal(during[name], weight) for name, weight in weights(sd).items())


@pytest.mark.parametrize("by", ["output", "input"])
def test_dora_of_fused_layers(by, pipeline, tmp_path):
    """Norms of rows are split with the rows; norms of the columns of all rows together cannot be."""
    flux = pipeline("flux")
    writer = Writer("bfl_peft")
    name = "diffusion_model.double_blocks.0.img_attn.qkv"
    old = torch.cat([layers(flux, "transformer")[f"transformer_blocks.0.attn.to_{letter}"] for letter in "qkv"])
    updated = old + writer.delta(name, old.shape)
    norms = updated.norm(dim=1 if by == "output" else 0, keepdim=True)
    writer.tensors[f"{name}.dora_scale"] = 2 * norms
    if by == "input":
        line = refusal(flux, writer.tensors, tmp_path / "a.safetensors")
        assert "DoRA's norms by input" in line and f"{name}.dora_scale" in line
        return
    added = {
        f"transformer.transformer_blocks.0.attn.to_{letter}.weight": rows
        for letter, rows in zip("qkv", (2 * updated - old).chunk(3), strict=True)
    }
    assert_merged(merged(flux, (writer.save(tmp_path / "a.safetensors"), 1.0)), weights(flux), added)


def test_dora_of_swapped_halves(pipeline, tmp_path):
    """Shift and scale stand the other way round in the authors' code, and so do the norms of their rows."""
    flux = pipeline("flux")
    writer, name = Writer("bfl_peft"), "diffusion_model.final_layer.adaLN_modulation.1"
    old = torch.cat(layers(flux, "transformer")["norm_out.linear"].chunk(2)[::-1])
    updated = old + writer.delta(name, old.shape)
    gain = 2 + writer.random(len(old), 1)
    writer.tensors[f"{name}.dora_scale"] = gain * updated.norm(dim=1, keepdim=True)
    added = torch.cat((gain * updated - old).chunk(2)[::-1])
    file = writer.save(tmp_path / "a.safetensors")
    assert_merged(merged(flux, (file, 1.0)), weights(flux), {"transformer.norm_out.linear.weight": added})


def test_convolutions_in_tucker_form(sd, tmp_path):
    """LyCORIS' LoCon with a middle convolution: up, middle and down one after the other."""
    layer = "down_blocks.1.resnets.0.conv2"
    out, inner, *size = layers(sd, "unet")[layer].shape
    writer = Writer("kohya")
    up, mid, down = writer.random(out, 3, 1, 1), writer.random(3, 3, *size), writer.random(3, inner, 1, 1)
    name = kohya("unet", layer)
    writer.tensors = {
        f"{name}.lora_up.weight": up,
        f"{name}.lora_mid.weight": mid,
        f"{name}.lora_down.weight": down,
        f"{name}.alpha": torch.tensor(1.5),
    }
    states = torch.randn(1, inner, 5, 5, generator=writer.rng)
    one_by_one = torch.conv2d(torch.conv2d(torch.conv2d(states, down), mid, padding=1), up) / 2
    found = merged(sd, (writer.save(tmp_path / "a.safetensors"), 1.0))[f"unet.{layer}.weight"]
    difference = torch.conv2d(states, found - layers(sd, "unet")[layer], padding=1)
    torch.testing.assert_close(difference, one_by_one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "convolution", "text"])
@pytest.mark.parametrize("norms", [None, "output", "input"])
def test_a_separate_update_equals_a_merged_one(kind, norms, sd, tmp_path, monkeypatch):
    """Separate updates, which are for quantised weights, on weights that are not quantised."""
    writer = few(sd)
    if norms:
        with_norms(sd, writer, norms, [f"{kohya(*place)}.dora_scale" for place in LAYERS])
    part, name = LAYERS[{"linear": 0, "convolution": 2, "text": 3}[kind]]
    layer = sd.components[part].get_submodule(name)
    size = (layer.in_channels, 6, 6) if kind == "convolution" else (6, layer.in_features)
    states = writer.random(2, *size)
    use = WeightedFile(writer.save(tmp_path / "a.safetensors"), 0.7)
    base = layer(states)
    with lora.lora_applied(sd, facts_of(sd), [use, use]):
        into = layer(states)
    monkeypatch.setattr(lora, "is_quantised", lambda network: True)
    before = weights(sd)
    with lora.lora_applied(sd, facts_of(sd), [use, use]):
        beside = layer(states)
        assert all(torch.equal(before[name], weight) for name, weight in weights(sd).items())
    torch.testing.assert_close(beside, into, rtol=1e-4, atol=1e-5)
    assert (into - base).abs().mean() > 0.01 and torch.equal(layer(states), base)


def test_a_separate_update_has_the_strides_of_its_convolution():
    rng = torch.Generator().manual_seed(0)
    layer = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=1).requires_grad_(False)
    states, up, down = (torch.randn(*shape, generator=rng) for shape in ((1, 3, 9, 7), (4, 2), (2, 3, 3, 3)))
    update = Update(up, down, 0.5)
    found = update.separate(layer).added(layer, states, layer(states))
    wanted = torch.conv2d(states, update.delta(layer.weight), None, stride=2, padding=1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def peft_header(**options):
    config = {"r": 2, "lora_alpha": 2, "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}} | options
    return {"lora_adapter_metadata": json.dumps({f"unet.{name}": value for name, value in config.items()})}


QUERY, KEY = f"{BLOCK}.transformer_blocks.0.attn1.to_q", f"{BLOCK}.transformer_blocks.0.attn1.to_k"


@pytest.mark.parametrize(
    ("options", "scales"),
    [
        ({"lora_alpha": 8}, (4, 4)),
        ({"lora_alpha": 8, "use_rslora": True}, (8 / 2**0.5, 8 / 2**0.5)),
        ({"alpha_pattern": {"to_k": 5}}, (1, 2.5)),
        ({"alpha_pattern": {f"^{QUERY}$": 6.0}}, (3, 1)),
        ({"alpha_pattern": {"attn1.to_q": 4, "to_q": 8}}, (2, 1)),
        ({"r": 16, "rank_pattern": {"to_q": 2, KEY: 2}}, (1, 1)),
    ],
)
def test_scales_of_the_header(options, scales, sd, tmp_path):
    writer = Writer("peft", alphas=False)
    added = {}
    for layer, scale in zip((QUERY, KEY), scales, strict=True):
        out, inner = layers(sd, "unet")[layer].shape
        up, down = writer.random(out, 2), writer.random(2, inner)
        writer.tensors |= {f"unet.{layer}.lora_A.weight": down, f"unet.{layer}.lora_B.weight": up}
        added[f"unet.{layer}.weight"] = scale * up @ down
    file = writer.save(tmp_path / "a.safetensors", peft_header(**options))
    assert_merged(merged(sd, (file, 1.0)), weights(sd), added)


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({"alpha_pattern": {"mid_block.to_k": 5}}, r"layers that are not in the file \(mid_block.to_k\)"),
        ({"rank_pattern": {"to_.*": 2}}, "layers that are not in the file"),
        ({"r": 4}, "a rank that is not that of the tensors, 2"),
        ({"lora_alpha": "8"}, "no valid number as 'lora_alpha'"),
        ({"lora_alpha": 10**400}, "no valid number as 'lora_alpha'"),
        ({"lora_alpha": float("nan")}, "no valid number as 'lora_alpha'"),
        ({"alpha_pattern": [4]}, "no table as 'alpha_pattern'"),
        ({"use_dora": True}, "'magnitude' for unet."),
    ],
)
def test_headers_that_cannot_be_meant_are_refused(options, result, sd, tmp_path):
    out, inner = layers(sd, "unet")[QUERY].shape
    pair = {f"unet.{QUERY}.lora_A.weight": torch.ones(2, inner), f"unet.{QUERY}.lora_B.weight": torch.ones(out, 2)}
    assert re.search(result, refusal(sd, pair, tmp_path / "a.safetensors", peft_header(**options)))


EXTRA = (
    "{}.diff",
    "{}.diff_b",
    "{}.bias",
    "{}.lora_B.bias",
    "{}.scale",
    "{}.alpha2",
    "{}.lora_embedding_A",
    "{}.hada_w1_a",
    "{}.lokr_w1",
    "{}.on_input",
    "{}.oft_blocks",
    "{}.w_norm",
    "{}.lora_C.weight",
    "{}_9.lora_up.weight",
    "{}_9.alpha",
    "x.{}.lora_down.weight",
    "x.{}.alpha",
    "lora_te9_{}.dora_scale",
    "text_encoder_3.{}.lora_A.weight",
    "bundle_emb.sks.string_to_param.*",
    "norm_out.lora_B.weight",
    "emb_params",
    "alpha",
    ".alpha",
    "",
)
"""Names of tensors that a file may hold besides; "{}" is a layer that it has."""


def refused(pipeline, tensors, path):
    """The line by which a file is refused when it is read."""
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(LimnerError) as caught:
        lora._load(pipeline, facts_of(pipeline).denoiser, path)
    return str(caught.value)


@pytest.mark.parametrize("extra", EXTRA)
def test_every_other_tensor_is_named(extra, sd, tmp_path):
    good = few(sd).tensors
    for part, layer in LAYERS:
        name = extra.format(kohya(part, layer))
        line = refused(sd, good | {name: torch.ones(2, 2)}, tmp_path / "a.safetensors")
        assert f"({name})" in line and (f"1 of its {len(good) + 1} tensors" in line or "supported: 1 tensor" in line)


@pytest.mark.parametrize(("family", "layout"), GRID)
def test_every_tensor_is_used_or_named(family, layout, pipeline, tmp_path):
    """In every layout: what else a good file holds is refused by name, and so is one half without the other."""
    base, file = pipeline(family), tmp_path / "a.safetensors"
    whole = write(family, layout, base).tensors
    good = {name: whole[name] for name in [*list(whole)[:3], *list(whole)[-3:]]}
    turn = GRID.index((family, layout))
    first, last = (lora_layouts.split(name)[0] for name in (min(good), max(good)))
    for extra in (EXTRA[turn % len(EXTRA)], EXTRA[(turn + len(EXTRA) // 2) % len(EXTRA)], f"{last}s.alpha"):
        name = extra.format(first)
        assert name in refused(base, good | {name: torch.ones(2, 2)}, file)
    for name in good:
        role = lora_layouts.split(name)[1]
        if role != "alpha":
            rest = {other: tensor for other, tensor in good.items() if other != name}
            assert f"lacks 1 tensor ('{role}' for" in refused(base, rest, file)
    line = refused(base, good | {name: torch.full_like(good[name], float("nan"))}, file)
    assert f"NaN or infinity) in 1 tensor ({name})" in line


def test_every_wrong_shape_is_refused(sd, tmp_path):
    good = few(sd).tensors | {f"{kohya(*LAYERS[0])}.dora_scale": torch.ones(32, 1)}
    for name, tensor in good.items():
        wrong = [tensor[None], torch.cat([tensor.flatten(), torch.ones(1)])]
        if tensor.ndim:
            wrong += [torch.cat([tensor, tensor]), torch.cat([tensor, tensor], 1), tensor[:0]]
            wrong += [tensor.to(torch.int32)]
        for shape in wrong if tensor.ndim else wrong[1:]:
            line = refused(sd, good | {name: shape.contiguous()}, tmp_path / "a.safetensors")
            assert "and must be" in line, name


def test_numbers_that_are_not_finite_are_named(sd, tmp_path):
    good = few(sd).tensors
    bad = itertools.product((float("inf"), float("-inf"), float("nan")), (torch.float32, torch.float16, torch.bfloat16))
    for (name, tensor), (value, dtype) in zip(good.items(), itertools.cycle(bad), strict=False):
        one = tensor.to(dtype, copy=True)
        one.view(-1)[-1] = value
        line = refused(sd, good | {name: one}, tmp_path / "a.safetensors")
        assert f"NaN or infinity) in 1 tensor ({name})" in line


@pytest.mark.parametrize(
    ("endings", "method"),
    [
        (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "alpha"), "LoHa"),
        (("lokr_w1", "lokr_w2_a", "lokr_w2_b", "alpha"), "LoKr"),
        (("weight", "on_input"), "(IA)3"),
        (("oft_blocks", "alpha"), "OFT"),
        (("diff", "diff_b"), "full weights"),
    ],
)
def test_other_methods_are_refused_by_their_names(endings, method, sd, tmp_path):
    file = tmp_path / "a.safetensors"
    line = refusal(sd, {f"{kohya(*LAYERS[0])}.{ending}": torch.ones(2, 2) for ending in endings}, file)
    assert f"contains {method}, which is not supported" in line
    assert open_adapter(str(file)).method == "lora"


def test_zeros_for_a_layer_that_the_model_lacks_change_nothing(sd, tmp_path):
    writer = few(sd)
    writer.delta("lora_te_text_model_embeddings_position_embedding", (8, 8))
    up = "lora_te_text_model_embeddings_position_embedding.lora_up.weight"
    assert "does not fit" in refusal(sd, writer.tensors, tmp_path / "a.safetensors")
    writer.tensors |= {up: torch.zeros_like(writer.tensors[up]), f"{kohya(*LAYERS[0])}.diff_b": torch.zeros(32)}
    assert_merged(merged(sd, (writer.save(tmp_path / "b.safetensors"), 1.0)), weights(sd), writer.added)


def test_a_layer_may_be_named_once(pipeline, tmp_path):
    flux = pipeline("flux")
    writer = Writer("bfl_peft")
    shape = layers(flux, "transformer")["transformer_blocks.0.attn.to_q"].shape
    writer.delta("diffusion_model.double_blocks.0.img_attn.qkv", (3 * shape[0], shape[1]))
    writer.delta("transformer.transformer_blocks.0.attn.to_k", shape)
    line = refusal(flux, writer.tensors, tmp_path / "a.safetensors")
    assert "changes the layer 'transformer_blocks.0.attn.to_k' twice" in line


def test_files_that_hold_nothing_are_refused(sd, tmp_path):
    assert "contains no tensors" in refusal(sd, {}, tmp_path / "a.safetensors")


STABILITY = {
    "input_blocks.0.0": "conv_in",
    "input_blocks.2.0.in_layers.2": "down_blocks.0.resnets.1.conv1",
    "input_blocks.3.0.op": "down_blocks.0.downsamplers.0.conv",
    "input_blocks.4.0.skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
    "input_blocks.5.1.transformer_blocks.1.attn2.to_out.0": (
        "down_blocks.1.attentions.1.transformer_blocks.1.attn2.to_out.0"
    ),
    "input_blocks.6.0.op": "down_blocks.1.downsamplers.0.conv",
    "input_blocks.8.1.proj_in": "down_blocks.2.attentions.1.proj_in",
    "middle_block.0.emb_layers.1": "mid_block.resnets.0.time_emb_proj",
    "middle_block.1.transformer_blocks.9.ff.net.0.proj": "mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj",
    "middle_block.2.out_layers.3": "mid_block.resnets.1.conv2",
    "output_blocks.0.1.proj_out": "up_blocks.0.attentions.0.proj_out",
    "output_blocks.2.0.in_layers.2": "up_blocks.0.resnets.2.conv1",
    "output_blocks.2.2.conv": "up_blocks.0.upsamplers.0.conv",
    "output_blocks.3.1.transformer_blocks.0.ff.net.2": "up_blocks.1.attentions.0.transformer_blocks.0.ff.net.2",
    "output_blocks.5.2.conv": "up_blocks.1.upsamplers.0.conv",
    "output_blocks.6.0.out_layers.3": "up_blocks.2.resnets.0.conv2",
    "output_blocks.8.0.skip_connection": "up_blocks.2.resnets.2.conv_shortcut",
    "out.2": "conv_out",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
}
"""Layers of SDXL at its real size: their names in Stability's code and in diffusers."""


def test_names_of_sdxl_at_its_real_size():
    known = lora_layouts.places(tuple(STABILITY.values()))
    for theirs, ours in STABILITY.items():
        assert known[theirs.replace(".", "_")].layers == (ours,), theirs


@pytest.mark.parametrize(
    ("encoder", "part"), [("clip_l", "text_encoder"), ("clip_g", "text_encoder_2"), ("t5xxl", "text_encoder_2")]
)
def test_text_encoders_by_comfyuis_names(encoder, part):
    name = "text_model.encoder.layers.0.self_attn.q_proj"
    assert lora_layouts.part_of(f"text_encoders.{encoder}.transformer.{name}") == (part, name)


def test_a_word_with_lora_in_its_name_is_a_word(tmp_path):
    for word in ("<flora>", "lora", "lora_A"):
        save_file({word: torch.ones(2, 192)}, tmp_path / "a.safetensors")
        assert open_adapter(str(tmp_path / "a.safetensors")).method == "textual_inversion"
        (tmp_path / "a.safetensors").unlink()
