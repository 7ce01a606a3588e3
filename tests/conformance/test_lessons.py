"""The lessons that learn from feedback, for every family: losses and gradients as computed from stock parts."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

import stock
from limner.engine.generate.sampling import sample_images
from limner.engine.train.batches import generator_for, order
from limner.engine.train.denoising import Denoising
from limner.engine.train.examples import Examples
from limner.engine.train.feedback_images import FeedbackImages, InitialNoise
from limner.engine.train.kept_class import KeptClass
from limner.engine.train.kto import KtoLesson, RatedSet
from limner.engine.train.liked import RatedLesson
from limner.engine.train.pairs import PairErrors, PairSet
from limner.engine.train.preference import PreferenceLesson, RewardSettings
from limner.engine.train.reference import Reference
from limner.models.conditioning import conditioning
from limner.models.devices import DTYPES
from limner.models.full_weights import FullWeights
from limner.plugins import registry

PROMPTS = ["a photo of sks dog on the beach", "a cat"]
CAPTIONS = (0, 1, 0, 1)
FRAME = torch.tensor([64, 64, 0, 0, 64, 64])
SEED, STEP = 42, 3
SETTINGS = RewardSettings(beta=20.0, margin=100.0, anchor=0.3 / 20)
WHOLE = torch.tensor([[0.0, 1.0], [0.0, 1.0]])


def moved(network, seed=1):
    """Change all weights a little, alike for networks of one architecture; returns the network."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(network.named_parameters()):
            parameter += 0.02 * torch.randn(parameter.shape, generator=rng) * parameter.std(unbiased=False)
    return network


class Case:
    """A family's tiny model that is trained, from a reference model, on four encoded images; and the stock model."""

    def __init__(self, family, components, batch, policy, original):
        self.family, self.components = family, components
        self.policy, self.original = policy, original
        self.images = batch.latents
        with torch.no_grad():
            text = dict(family.encode_text(components, PROMPTS))
        count = len(self.images)
        examples = Examples(self.images[:, None], tuple(PROMPTS), text, CAPTIONS, FRAME.expand(count, 6))
        self.feedback = FeedbackImages(examples, {}, (None,) * count)
        self.trainable = FullWeights(components, [components.denoiser_name])
        self.denoising = Denoising(family, components)
        self.reference = Reference(self.trainable)
        moved(components.denoiser)
        moved(policy.components[components.denoiser_name]).requires_grad_(True)

    def draw(self, count, purpose="noise", views=False):
        rng = generator_for(SEED, purpose, STEP)
        if views:
            torch.randint(1, (count,), generator=rng)
        objective = self.family.objective(self.components)
        return objective.draw(torch.Size((count, *self.images.shape[1:])), rng)

    def errors(self, pipeline, places, noise, timesteps):
        """The errors of some images by a stock pipeline."""
        prompts = [PROMPTS[CAPTIONS[place]] for place in places]
        return stock.losses(pipeline, self.images[places], noise, timesteps, prompts, FRAME.expand(len(places), 6))

    def check(self, lesson, wanted, share=1e-5):
        """Compare the loss and the gradients of a lesson's step with those of the stock model.

        share: of the largest gradient, by which one may differ.
        """
        loss = sum(lesson.losses(STEP))
        loss.backward()
        wanted.backward()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
        denoiser = self.policy.components[self.components.denoiser_name]
        theirs = {name: p.grad for name, p in denoiser.named_parameters() if p.grad is not None}
        ours = {name: p.grad for name, p in self.components.denoiser.named_parameters() if p.grad is not None}
        assert ours.keys() == theirs.keys() and ours
        largest = max(gradient.abs().max() for gradient in theirs.values())
        assert largest > 1e-4
        for name, gradient in theirs.items():
            assert torch.allclose(ours[name], gradient, rtol=1e-4, atol=share * largest.item()), name


@pytest.fixture
def case(family, components, batch, stock_pipeline, family_name):
    return Case(family, components, batch, stock_pipeline(family_name), stock_pipeline(family_name))


class NoLesson:
    """A lesson without a loss."""

    images = 0

    def losses(self, step):
        return iter(())

    def held_out_loss(self):
        return None


def pairs_of(case, weights=(1.0, 0.5), levels=WHOLE):
    return PairSet(case.feedback, (0, 1), (2, 3), torch.tensor(weights), levels)


def preference_lesson(case, settings=SETTINGS, **fields):
    compared = PairErrors(case.denoising, case.reference, SEED)
    return PreferenceLesson(compared, [pairs_of(case, **fields)], (), settings, 2)


def check_preference(case):
    """Equation 14 of arXiv 2311.12908 as diffusers' research script has it, with weights and an anchor."""
    rows, draw = order(2, 2, STEP, SEED), case.draw(2)
    places = [*rows, *[row + 2 for row in rows]]
    noise, timesteps = torch.cat([draw.noise] * 2), torch.cat([draw.timesteps] * 2)
    better, worse = case.errors(case.policy, places, noise, timesteps).chunk(2)
    with torch.no_grad():
        reference_better, reference_worse = case.errors(case.original, places, noise, timesteps).chunk(2)
    inside = (reference_better - reference_worse) - (better - worse)
    assert inside.abs().max() > 1e-4
    values = -torch.log(1 / (1 + torch.exp(-20 * inside))) + 0.3 * better
    case.check(preference_lesson(case), (torch.tensor([1.0, 0.5])[rows] * values).sum() / 2)


def test_the_preference_loss_is_that_of_stock_parts(case):
    check_preference(case)


@pytest.mark.parametrize("family_name", ["sd"], indirect=True)
def test_the_preference_loss_of_a_model_that_predicts_the_velocity(family, loaded, stock_pipeline, batch, family_name):
    components, policy, original = loaded("sd"), stock_pipeline("sd"), stock_pipeline("sd")
    scheduler = DDIMScheduler.from_config(components.scheduler.config, prediction_type="v_prediction")
    components.parts["scheduler"] = policy.scheduler = original.scheduler = scheduler
    check_preference(Case(family, components, batch, policy, original))


def test_the_loss_that_keeps_the_class_is_that_of_stock_parts(case):
    """The mean squared difference of two predictions, which a loss whose target is the other prediction has."""
    examples = case.feedback.examples
    kept = KeptClass(NoLesson(), case.denoising, case.reference, [examples], 3.0, 2, SEED)
    rows, draw = order(4, 2, STEP, SEED), case.draw(2, "class noise", views=True)
    prompts = [PROMPTS[CAPTIONS[row]] for row in rows]
    given = case.images[rows], draw.noise, draw.timesteps, prompts, FRAME.expand(2, 6)
    with torch.no_grad():
        target = stock.predictions(case.original, *given)
    errors = (stock.predictions(case.policy, *given) - target).square().flatten(1).mean(1)
    case.check(kept, 3 * errors.mean(), share=1e-4)  # a small difference of large numbers has fewer digits


def test_the_loss_on_rated_images_is_that_of_stock_parts(case):
    """Diffusion-KTO (arXiv 2404.04465): the sigmoid utility of the reward above the batch's mean."""
    signs, weights = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([1.0, 0.5, 2.0])
    rated = RatedSet(case.feedback, (3, 1, 0), signs, weights, WHOLE[:1].expand(3, 2))
    lesson = KtoLesson(case.denoising, case.reference, [rated], (), SETTINGS, 3, SEED)
    rows, draw = order(3, 3, STEP, SEED), case.draw(3)
    places = [rated.rated[row] for row in rows]
    errors = case.errors(case.policy, places, draw.noise, draw.timesteps)
    with torch.no_grad():
        reference = case.errors(case.original, places, draw.noise, draw.timesteps)
    total = 0.0
    baseline = max(0.0, (20 * (reference - errors)).mean().item())
    for error, before, row in zip(errors, reference, rows, strict=True):
        reward = 20 * (before - error) - baseline
        utility = 1 / (1 + torch.exp(-signs[row] * reward))
        anchor = 0.3 * error if signs[row] > 0 else 0.0
        total = total + weights[row] * (1 - utility + anchor)
    case.check(lesson, total / 3)


def test_the_loss_on_liked_images_and_photographs_is_that_of_stock_parts(case):
    examples = case.feedback.examples
    lesson = RatedLesson(case.denoising, [examples], [examples], (), 2, SEED, 0.25)
    rows, total = order(4, 2, STEP, SEED), 0.0
    for purpose, weight in (("liked", 1.0), ("photographs", 0.25)):
        draw = case.draw(2, f"{purpose} noise", views=True)
        total = total + weight * case.errors(case.policy, rows, draw.noise, draw.timesteps).mean()
    case.check(lesson, total)


@pytest.mark.parametrize(
    ("settings", "weights"),
    [(RewardSettings(0.0, 3.0, 0.0), (1.0, 0.5)), (SETTINGS, (0.0, 0.0)), (RewardSettings(20.0, -100.0, 0.0), (1, 1))],
    ids=["beta 0", "weight 0", "margin reached"],
)
def test_neutral_settings_have_no_gradient(case, settings, weights):
    (loss,) = preference_lesson(case, settings, weights=weights).losses(STEP)
    loss.backward()
    gradients = [p.grad for p in case.components.denoiser.parameters() if p.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)


def test_the_reference_is_the_model_from_before_and_leaves_no_trace(case):
    draw = case.draw(2)
    before = {name: tensor.clone() for name, tensor in case.trainable.state().items()}
    pairs = pairs_of(case)
    errors, reference = PairErrors(case.denoising, case.reference, SEED).of(pairs, [0, 1], draw)
    assert errors.requires_grad and not reference.requires_grad and not torch.equal(errors, reference)
    with torch.no_grad():
        wanted = case.errors(case.original, [0, 1], draw.noise, draw.timesteps)
    assert torch.allclose(reference[0], wanted, rtol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in case.trainable.state().items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_initial_noise_is_what_the_pipeline_begins_with(family, components, batch, precision):
    """The denoiser sees the same numbers in the first step of generation and where the noise is drawn again."""
    seen, dtype = [], DTYPES[precision]
    for part in components.parts.values():
        if isinstance(part, torch.nn.Module):
            part.to(dtype)

    def note(module, positional, named):
        first = positional[0] if positional else named["hidden_states"]
        seen.append(torch.cat([part.flatten() for part in first]))

    handle = components.denoiser.register_forward_pre_hook(note, with_kwargs=True)
    sampling = {"steps": 1, "guidance": 0.0}
    encoded = conditioning(family, components, PROMPTS[:1])
    list(sample_images(family.pipeline(components), encoded, [7], sampling, (64, 64), batch=1))
    drawn = InitialNoise(7, DTYPES[family.facts.noise_precision or precision]).draw(batch.latents.shape[1:])[None]
    text = {name: value[:1].to(dtype) if value.is_floating_point() else value[:1] for name, value in batch.text.items()}
    with torch.no_grad():
        family.objective(components).predict(drawn.to(dtype), torch.tensor([999]), text, FRAME[None])
    handle.remove()
    assert torch.equal(seen[0], seen[1])


def test_beta_suits_what_the_model_predicts(family, components):
    objective = family.objective(components)
    assert objective.timesteps == 1000
    assert objective.beta == (pytest.approx(250 / 3) if hasattr(objective, "patch") else 250)
    assert set(registry.families.names()) >= {"sd", "sdxl", "flux"}
