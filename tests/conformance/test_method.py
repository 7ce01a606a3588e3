"""Requirements of every training method, on every family: attached it changes nothing, detached it leaves nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file

from limner.core.errors import LimnerError
from limner.core.protocols import ZERO_TARGET, Method, ModelSource, SubjectWords, Teacher
from limner.engine.generate.sampling import sample_images
from limner.models import loading
from limner.models.adapters import adapters_applied, facts_of, open_adapter
from limner.models.conditioning import conditioning
from limner.models.options import EMBEDDINGS_FILE, LORA_FILE
from limner.plugins import registry

SUBJECT = SubjectWords("sks", "dog")


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


def words(components):
    """All tokens of all tokenizers."""
    return {
        word for name, part in components.parts.items() if name.startswith("tokenizer") for word in part.get_vocab()
    }


def residue(components):
    """Names of modules and attributes that PEFT left behind."""
    found = [n for n, m in components.denoiser.named_modules() if type(m).__module__.startswith("peft")]
    return found + [n for n in ("peft_config",) if hasattr(components.denoiser, n)]


def loss_of(family, components, batch, seed=5, teacher=None):
    objective = family.objective(components)
    return objective.loss(batch, objective.draw(batch.latents.shape, rng(seed)), teacher=teacher)


def with_prompt(family, components, batch, prompt="a photo of sks dog"):
    """Return the batch with a prompt encoded by the text encoders as they are now."""
    return replace(batch, text=family.encode_text(components, [prompt] * len(batch)))


def train_steps(family, components, trainable, batch, steps=4):
    """Train a few large steps, so that the effect shows in an image."""
    parameters = [p for group in trainable.groups().values() for p in group]
    optimiser = torch.optim.AdamW(parameters, lr=3e-2)
    for step in range(steps):
        optimiser.zero_grad()
        loss_of(family, components, with_prompt(family, components, batch), step).mean().backward()
        optimiser.step()


def image(family, components, pipeline=None, seed=3):
    pipeline = pipeline or family.pipeline(components)
    prompt = conditioning(family, components, ["a photo of sks dog"])
    images = sample_images(pipeline, prompt, [seed], {"steps": 3, "guidance": 5.0}, (64, 64), batch=1)
    return next(images).astype(int)


def stock_image(pipeline, seed=3):
    pipeline.set_progress_bar_config(disable=True)
    longest = {"max_sequence_length": 32} if type(pipeline).__name__ == "FluxPipeline" else {}
    pixels = pipeline(
        prompt="a photo of sks dog",
        **longest,
        num_inference_steps=3,
        guidance_scale=5.0,
        height=64,
        width=64,
        generator=rng(seed),
        output_type="np",
    ).images[0]
    return (pixels * 255).round().astype(int)


@pytest.fixture
def attach(family, method):
    """A function that attaches the method to components."""
    return lambda components, seed=1: method.attach(components, family.facts, method.Options(), SUBJECT, seed)


@pytest.fixture
def result(family, method, family_name, loaded, batch, attach, made_once):
    """A folder that was trained and written, once for each family and method."""
    name = name_of(method)

    def fill(folder):
        components = loaded(family_name)
        trainable = attach(components)
        train_steps(family, components, trainable, batch)
        header = {"limner": json.dumps({"method": name, "made": "for a test"})}
        method.save(trainable, folder, header, lambda: family.pipeline(loaded(family_name)))

    return made_once(f"trained/{family_name}-{name}/rex", fill)


@pytest.fixture
def adapter(result):
    """The result of a method that makes adapters."""
    return result


def name_of(method):
    return next(name for name, known in registry.methods.all().items() if known is method)


def test_satisfies_the_protocol(method):
    assert isinstance(method, Method)
    assert method.Options() is not None
    with pytest.raises(ValueError, match="no_such_option"):
        method.Options.model_validate({"no_such_option": 1})


def test_attached_it_changes_nothing_at_first(family, components, batch, attach):
    with torch.no_grad():
        base = loss_of(family, components, with_prompt(family, components, batch, "a cat"))
        trainable = attach(components)
        fresh = loss_of(family, components, with_prompt(family, components, batch, "a cat"))
    assert torch.equal(base, fresh)
    parameters = [p for group in trainable.groups().values() for p in group]
    assert parameters and all(p.requires_grad for p in parameters)
    assert {id(t) for t in trainable.state().values()} == {id(p) for p in parameters}


def test_the_base_model_is_unchanged(family, components, batch, attach):
    with torch.no_grad():
        base = loss_of(family, components, batch)
    trainable = attach(components)
    train_steps(family, components, trainable, batch, steps=2)
    with torch.no_grad():
        trained = loss_of(family, components, batch)
        with trainable.base_model():
            assert torch.equal(loss_of(family, components, batch), base)
        assert torch.equal(loss_of(family, components, batch), trained)
        teacher = Teacher({name: value[1:] for name, value in batch.text.items()}, trainable.base_model)
        compared = loss_of(family, components, batch, teacher=teacher)
    assert torch.equal(compared[:1], trained[:1]), "the first sample has no teacher"
    assert (compared[1:] != trained[1:]).all()
    assert all(p.requires_grad for group in trainable.groups().values() for p in group)


def test_a_zero_target(family, components, batch):
    """The loss is the mean square of the prediction, whatever should have been predicted."""
    with torch.no_grad():
        before = loss_of(family, components, batch, teacher=ZERO_TARGET)
        hook = components.denoiser.register_forward_hook(lambda module, inputs, output: doubled(output))
        after = loss_of(family, components, batch, teacher=ZERO_TARGET)
        hook.remove()
    assert before.shape == (len(batch),) and (before > 0).all()
    assert torch.allclose(after, 4 * before)


def doubled(output):
    """Return a denoiser's output times two, in any wrapper."""
    if isinstance(output, torch.Tensor):
        return 2 * output
    if isinstance(output, (list, tuple)):
        return type(output)(map(doubled, output))
    return type(output)(**{name: doubled(value) for name, value in output.items()})


def test_what_was_saved_is_restored(family, method, components, batch, attach, adapter, tmp_path):
    """A fresh trainable with the saved tensors predicts what was saved, and saves the same again."""
    opened = open_adapter(str(adapter))
    with adapters_applied(family.pipeline(components), family.facts, [opened], [1]), torch.no_grad():
        trained = loss_of(family, components, with_prompt(family, components, batch))
    trainable = attach(components, seed=9)
    method.restore(trainable, opened.file)
    with torch.no_grad():
        assert torch.allclose(loss_of(family, components, with_prompt(family, components, batch)), trained, atol=1e-4)
    method.save(trainable, tmp_path, opened.header, lambda: None)
    saved, again = load_file(opened.file), load_file(tmp_path / opened.file.name)
    assert saved.keys() == again.keys() and all(torch.equal(saved[name], again[name]) for name in saved)
    trainable.detach()


def test_what_does_not_fit_is_not_restored(method, components, attach, adapter, tmp_path):
    opened = open_adapter(str(adapter))
    tensors = load_file(opened.file)
    name = min(tensors)
    for wrong in ({**tensors, name: tensors[name][..., :3].clone()}, {"other": tensors[name]}):
        save_file(wrong, tmp_path / opened.file.name, opened.header)
        for file in adapter.glob("*.safetensors"):
            if file.name != opened.file.name:
                (tmp_path / file.name).write_bytes(file.read_bytes())
        trainable = attach(components)
        before = {name: tensor.detach().clone() for name, tensor in trainable.state().items()}
        with pytest.raises(LimnerError, match="does not fit"):
            method.restore(trainable, tmp_path / opened.file.name)
        moved = [name for name, tensor in trainable.state().items() if not torch.equal(tensor, before[name])]
        assert moved == [] or all(n.startswith("word.") for n in moved)
        trainable.detach()


def test_attaching_follows_the_seed(loaded, family_name, method, attach):
    def drawn(seed):
        components = loaded(family_name)
        before = torch.get_rng_state()
        state = attach(components, seed).state()
        assert torch.equal(before, torch.get_rng_state()), "attaching must not touch the global generator"
        return torch.cat([tensor.detach().flatten() for tensor in state.values()])

    first = drawn(1)
    assert torch.equal(first, drawn(1))
    random = name_of(method) in ("lora", "pivotal")  # a word of one vector starts as its class, a whole model unchanged
    assert torch.equal(first, drawn(2)) != random


def test_detached_it_leaves_nothing(family, components, batch, attach):
    before = bits(components)
    trainable = attach(components)
    train_steps(family, components, trainable, batch, steps=2)
    trainable.detach()
    assert same_bits(before, bits(components))
    assert residue(components) == []
    assert "sks_1" not in words(components)
    again = attach(components)
    again.detach()
    assert same_bits(before, bits(components))


def test_only_the_trained_tensors_change(family, components, batch, attach):
    trainable = attach(components)
    parameters = {id(tensor) for tensor in trainable.state().values()}
    others = {
        (part, name): (tensor, tensor.detach().clone())
        for part, module in components.parts.items()
        if isinstance(module, torch.nn.Module)
        for name, tensor in module.named_parameters()
        if id(tensor) not in parameters
    }
    start = {n: t.detach().clone() for n, t in trainable.state().items()}
    train_steps(family, components, trainable, batch, steps=2)
    for name, (tensor, before) in others.items():
        assert torch.equal(tensor, before), name
    moved = [not torch.equal(tensor, start[name]) for name, tensor in trainable.state().items()]
    assert sum(moved) > 0.9 * len(moved)


def test_stock_diffusers_generates_the_same_image(family, method, components, folder, result, monkeypatch):
    """By the lines in the model card."""
    path = result
    assert facts_of(path / method.file)["made"] == "for a test"
    base = image(family, components)
    if method.makes == "adapter":
        pipeline = family.pipeline(components)
        with adapters_applied(pipeline, family.facts, [open_adapter(str(path))], [1]):
            ours = image(family, components, pipeline)
    else:
        ours = image(
            family, loading.resolve(str(path)).family.load(ModelSource(str(path)), torch.float32, torch.device("cpu"))
        )
    monkeypatch.chdir(path.parent)
    known = {"DiffusionPipeline": DiffusionPipeline}
    exec(method.usage(path.name, f"DiffusionPipeline.from_pretrained({str(folder)!r})", family.facts, SUBJECT), known)
    assert np.abs(stock_image(known["pipeline"]) - ours).max() <= 1
    assert np.abs(base - ours).max() > 10, "the effect of training is too weak for this test"


def test_adapters_leave_the_base_as_it_was(family, components, adapter):
    pipeline = family.pipeline(components)
    before, base = bits(components), image(family, components, pipeline)
    path = adapter
    for _ in range(2):
        with adapters_applied(pipeline, family.facts, [open_adapter(str(path))], [0.7]):
            assert not same_bits(before, bits(components))
        assert same_bits(before, bits(components))
        assert residue(components) == []
    assert np.array_equal(base, image(family, components, pipeline))


def test_the_base_comes_back_after_an_error(family, components, adapter):
    pipeline = family.pipeline(components)
    before = bits(components)
    with pytest.raises(KeyError), adapters_applied(pipeline, family.facts, [open_adapter(str(adapter))], [1]):
        raise KeyError
    assert same_bits(before, bits(components)) and residue(components) == []


def test_weight_zero_changes_nothing(family, components, adapter):
    pipeline = family.pipeline(components)
    base = image(family, components, pipeline)
    with adapters_applied(pipeline, family.facts, [open_adapter(str(adapter))], [0]):
        assert np.array_equal(base, image(family, components, pipeline))


def test_weight_is_a_strength(family, components, adapter):
    """At half of it every weight is half-way to where it is at the whole. A word's vectors are whole: its weight acts
    on the prompt's states.
    """
    pipeline = family.pipeline(components)
    opened, base = open_adapter(str(adapter)), bits(components)
    at = {}
    for weight in (0.5, 1):
        with adapters_applied(pipeline, family.facts, [opened], [weight]):
            at[weight] = bits(components)
    moved = 0
    for name, whole in at[1].items():
        if not whole.is_floating_point() or name.endswith(".own.weight"):
            continue
        start = base.get(name, base.get(name.replace(".base.weight", ".weight"), torch.zeros_like(whole)))
        assert torch.allclose(at[0.5][name], (start + whole) / 2, atol=1e-5), name
        moved += not torch.equal(start, whole)
    assert moved or any(name.endswith(".own.weight") for name in at[1])


def test_small_weights_are_near_the_base(family, components, adapter):
    """Without a jump at 0: a thousandth of the weight moves the image by about as little."""
    pipeline, opened = family.pipeline(components), open_adapter(str(adapter))
    base = image(family, components, pipeline)
    at = {}
    for weight in (0.001, 1):
        with adapters_applied(pipeline, family.facts, [opened], [weight]):
            at[weight] = image(family, components, pipeline)
    assert 10 * np.abs(at[0.001] - base).mean() < np.abs(at[1] - base).mean()


def test_the_files_of_other_tools_are_known_by_their_tensors(adapter, method, tmp_path):
    """What we save, without our header."""
    for file in adapter.glob("*.safetensors"):
        bare = tmp_path / "bare" / file.name
        bare.parent.mkdir(exist_ok=True)
        save_file(load_file(file), bare)
        assert open_adapter(str(bare)).method == {LORA_FILE: "lora", EMBEDDINGS_FILE: "textual_inversion"}[file.name]
