"""What every way to learn must do, on every family: attached it changes nothing, detached it leaves nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from limner.core.protocols import Method, Teacher
from limner.engine.adapters import WEIGHTS, adapters_on, open_adapter
from limner.engine.painting import paint


def rng(seed=5):
    return torch.Generator().manual_seed(seed)


def bits(components):
    return {
        f"{part}.{name}": tensor.clone()
        for part, module in components.parts.items()
        if isinstance(module, torch.nn.Module)
        for name, tensor in module.state_dict().items()
    }


def same_bits(before, after):
    return before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def residue(components):
    """Names of modules and attributes that PEFT left behind."""
    found = [n for n, m in components.denoiser.named_modules() if type(m).__module__.startswith("peft")]
    return found + [n for n in ("peft_config",) if hasattr(components.denoiser, n)]


def learn(family, components, trainable, latents, text, steps=4):
    """A few big steps, so that what is learnt shows in a picture."""
    optimiser = torch.optim.AdamW(trainable.parameters(), lr=3e-2)
    for step in range(steps):
        optimiser.zero_grad()
        family.loss(components, latents, text, rng(step)).mean().backward()
        optimiser.step()


def picture(pipeline, seed=3):
    options = {"steps": 3, "guidance": 5.0, "height": 64, "width": 64, "batch": 1}
    return next(paint(pipeline, {"prompt": "a photo of sks dog"}, [seed], **options)).astype(int)


def silent(event):
    return None


@pytest.fixture
def adapter(family, method, folder, latents, text, tmp_path):
    """A function that trains an adapter and writes it to a folder."""

    def make(name="rex", seed=1):
        components = family.load(str(folder), torch.float32, torch.device("cpu"))
        trainable = method.attach(components, family.facts, method.Options(), seed)
        learn(family, components, trainable, latents, text)
        path = tmp_path / name / WEIGHTS
        path.parent.mkdir()
        method.save(trainable, path, {"made": "for a test"})
        return path.parent

    return make


def test_satisfies_the_protocol(method):
    assert isinstance(method, Method)
    assert method.Options() is not None
    with pytest.raises(ValueError, match="no_such_option"):
        method.Options.model_validate({"no_such_option": 1})


def test_attached_it_changes_nothing_at_first(family, method, components, latents, text):
    with torch.no_grad():
        base = family.loss(components, latents, text, rng())
        trainable = method.attach(components, family.facts, method.Options(), 1)
        fresh = family.loss(components, latents, text, rng())
    assert torch.equal(base, fresh)
    assert trainable.parameters() and all(p.requires_grad for p in trainable.parameters())
    assert {id(t) for t in trainable.state().values()} == {id(p) for p in trainable.parameters()}


def test_untaught_the_model_is_as_it_was(family, method, components, latents, text):
    with torch.no_grad():
        base = family.loss(components, latents, text, rng())
    trainable = method.attach(components, family.facts, method.Options(), 1)
    learn(family, components, trainable, latents, text, steps=2)
    with torch.no_grad():
        taught = family.loss(components, latents, text, rng())
        with trainable.untaught():
            assert torch.equal(family.loss(components, latents, text, rng()), base)
        assert torch.equal(family.loss(components, latents, text, rng()), taught) and not torch.equal(taught, base)
        teacher = Teacher({name: value[1:] for name, value in text.items()}, trainable.untaught)
        compared = family.loss(components, latents, text, rng(), None, teacher)
    assert torch.equal(compared[:1], taught[:1]), "the first sample has no teacher"
    assert (compared[1:] > 0).all() and (compared[1:] != taught[1:]).all()
    assert all(parameter.requires_grad for parameter in trainable.parameters())


def test_attaching_follows_the_seed(family, method, folder):
    def drawn(seed):
        components = family.load(str(folder), torch.float32, torch.device("cpu"))
        before = torch.get_rng_state()
        state = method.attach(components, family.facts, method.Options(), seed).state()
        assert torch.equal(before, torch.get_rng_state()), "attaching must not touch the global generator"
        return torch.cat([tensor.detach().flatten() for tensor in state.values()])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_detached_it_leaves_nothing(family, method, components, latents, text):
    before = bits(components)
    trainable = method.attach(components, family.facts, method.Options(), 1)
    learn(family, components, trainable, latents, text, steps=2)
    trainable.detach()
    assert same_bits(before, bits(components))
    assert residue(components) == []
    again = method.attach(components, family.facts, method.Options(), 1)
    again.detach()
    assert same_bits(before, bits(components))


def test_only_the_learnt_tensors_move(family, method, components, latents, text):
    trainable = method.attach(components, family.facts, method.Options(), 1)
    learnt = {id(p) for p in trainable.parameters()}
    others = {n: p.detach().clone() for n, p in components.denoiser.named_parameters() if id(p) not in learnt}
    start = {n: t.detach().clone() for n, t in trainable.state().items()}
    learn(family, components, trainable, latents, text, steps=2)
    for name, parameter in components.denoiser.named_parameters():
        if name in others:
            assert torch.equal(parameter, others[name]), name
    assert all(not torch.equal(tensor, start[name]) for name, tensor in trainable.state().items())


def test_stock_diffusers_paints_the_same(family, components, folder, model, adapter):
    path = adapter()
    pipeline = family.pipeline(components, "text2image")
    base = picture(pipeline)
    opened = open_adapter(str(path))
    with adapters_on(pipeline, [opened], [1]):
        ours = picture(pipeline)
    assert opened.header["made"] == "for a test"
    stock = DiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    stock.load_lora_weights(str(path))
    assert np.abs(picture(stock) - ours).max() <= 1
    assert np.abs(base - ours).max() > 10, "the adapter is too weak to tell anything"


def test_adapters_leave_the_base_as_it_was(family, components, model, adapter):
    pipeline = family.pipeline(components, "text2image")
    before, base = bits(components), picture(pipeline)
    path = adapter()
    for _ in range(2):
        with adapters_on(pipeline, [open_adapter(str(path))], [0.7]):
            assert not same_bits(before, bits(components))
        assert same_bits(before, bits(components))
        assert residue(components) == []
    assert np.array_equal(base, picture(pipeline))


def test_the_base_comes_back_after_an_error(family, components, model, adapter):
    pipeline = family.pipeline(components, "text2image")
    before = bits(components)
    with pytest.raises(KeyError), adapters_on(pipeline, [open_adapter(str(adapter()))], [1]):
        raise KeyError
    assert same_bits(before, bits(components)) and residue(components) == []


def test_weight_zero_changes_nothing(family, components, model, adapter):
    pipeline = family.pipeline(components, "text2image")
    base = picture(pipeline)
    with adapters_on(pipeline, [open_adapter(str(adapter()))], [0]):
        assert np.array_equal(base, picture(pipeline))


def test_weight_is_a_strength(family, components, model, adapter):
    pipeline = family.pipeline(components, "text2image")
    opened = open_adapter(str(adapter()))
    base, half, whole = picture(pipeline), None, None
    with adapters_on(pipeline, [opened], [0.5]):
        half = picture(pipeline)
    with adapters_on(pipeline, [opened], [1]):
        whole = picture(pipeline)
    assert not np.array_equal(half, base) and not np.array_equal(half, whole)


def test_two_adapters_together(family, components, folder, model, adapter):
    one, two = adapter("one", 1), adapter("two", 2)
    pipeline = family.pipeline(components, "text2image")
    opened = [open_adapter(str(path)) for path in (one, two)]
    with adapters_on(pipeline, opened, [0.8, 0.4]):
        ours = picture(pipeline)
    assert [item.name for item in opened] == ["one", "two"]
    stock = DiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    stock.load_lora_weights(str(one), adapter_name="one")
    stock.load_lora_weights(str(two), adapter_name="two")
    stock.set_adapters(["one", "two"], [0.8, 0.4])
    assert np.abs(picture(stock) - ours).max() <= 1
