"""The training loop: next batch, loss, backward, step, tell. All else listens."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch

from limner.core.errors import LimnerError
from limner.core.protocols import Batch, Components, Family, NoiseDraw, Teacher, Trainable
from limner.core.requests import TrainRequest
from limner.engine.train.ema import Average
from limner.engine.train.examples import Examples
from limner.engine.train.plan import Plan
from limner.engine.train.processes import ALONE, Processes
from limner.engine.train.sampling_weights import drawn

TELL_EVERY = 10


def generator_for(seed: int, purpose: str, step: int) -> torch.Generator:
    """Randomness as a function of seed, purpose and step, so that a resumed run draws what another draws."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def order(count: int, batch: int, step: int, seed: int, weights: Sequence[float] | None = None) -> list[int]:
    """Indices of a step's pictures: passes over all of them, each pass in an order of its own; with weights, passes in
    which some come more than once and others not at all.
    """
    chosen = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, count)
        index = int(torch.randperm(count, generator=generator_for(seed, "epoch", epoch))[place])
        if weights is not None:
            start = float(torch.rand((), generator=generator_for(seed, "weights", 0)))
            index = drawn(weights, epoch, start)[index]
        chosen.append(index)
    return chosen


@dataclass
class Loop:
    """One training run in progress. `subject`, `prior` and `watched` are encoded; the last two may be absent."""

    request: TrainRequest
    plan: Plan
    family: Family
    components: Components
    trainable: Trainable
    optimiser: torch.optim.Optimizer
    subject: Examples
    prior: Examples | None
    watched: Examples | None
    autocast: torch.dtype | None
    trains_text: bool = False
    processes: Processes = ALONE

    def __post_init__(self) -> None:
        # fp16 gradients underflow unless the loss is scaled up (Micikevicius et al. 2017); else this does nothing
        self.scaler = torch.amp.GradScaler(self.components.device.type, enabled=self.autocast is torch.float16)
        self.parameters = [parameter for group in self.trainable.groups().values() for parameter in group]
        self.average = Average(self.parameters, self.request.ema) if self.request.ema else None

    def _amp(self):
        kind = self.components.device.type
        return torch.autocast(kind, self.autocast) if self.autocast is not None else nullcontext()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While it is open, the model is as it would be saved: without dropout, and by its moving average if any."""
        self.trainable.train(False)
        try:
            with nullcontext() if self.average is None else self.average.shown():
                yield
        finally:
            self.trainable.train(True)

    def _draw(self, examples: Examples, step: int, purpose: str, dropout: float) -> list[tuple[int, int, int]]:
        """A step's pictures: which, in which view, and which caption tells it, a share of these dropped."""
        indices = order(len(examples), self.plan.batch, step, self.request.seed, examples.weights)
        views = torch.randint(
            examples.latents.shape[1], (len(indices),), generator=generator_for(self.request.seed, purpose, step)
        )
        untold = None
        if dropout:
            chance = torch.rand(len(indices), generator=generator_for(self.request.seed, f"{purpose}, told", step))
            untold = (chance < dropout).tolist()
        return list(zip(indices, views.tolist(), examples.rows_for(indices, untold), strict=True))

    def _batch(self, examples: Examples, drawn: Sequence[tuple[int, int, int]]) -> Batch:
        indices, views, rows = (list(column) for column in zip(*drawn, strict=True))
        return examples.batch(indices, views, self._text(examples, rows))

    def _text(self, examples: Examples, rows: list[int]) -> dict[str, torch.Tensor]:
        """Captions as they were encoded, or where the text encoders learn, as they encode them now."""
        if not self.trains_text:
            return examples.text_of(rows)
        known = sorted(set(rows))
        text = self.family.encode_text(self.components, [examples.captions[row] for row in known])
        return {name: value[[known.index(row) for row in rows]] for name, value in text.items()}

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step in the parts of its batch that are this process's; the sum of all is the whole batch's.

        That is the mean loss of a batch of the subject plus the weighted mean loss of as many class pictures. All noise
        is drawn at once, so that it does not depend on the cut.
        """
        size, parts = self.plan.batch, self.request.accumulation * self.processes.count
        subject = self._draw(self.subject, step, "views", self.request.caption_dropout)
        prior = self._draw(self.prior, step, "class views", self.plan.prior_dropout) if self.prior is not None else []
        shape = torch.Size((len(subject) + len(prior), *self.subject.latents.shape[2:]))
        rng = generator_for(self.request.seed, "noise", step)
        draw = self.family.objective(self.components).draw(shape, rng, self.plan.objective)
        for index in range(self.processes.index, parts, self.processes.count):
            part = slice(index * size // parts, (index + 1) * size // parts)
            yield self._loss(subject[part], prior[part], _rows(draw, part, size)) / parts

    def _loss(
        self, subject: Sequence[tuple[int, int, int]], prior: Sequence[tuple[int, int, int]], draw: NoiseDraw
    ) -> torch.Tensor:
        with self._amp():
            batch, teacher = self._batch(self.subject, subject), None
            if self.prior is not None:
                batch = joined(batch, self._batch(self.prior, prior))
                if self.plan.prior_target == "model":
                    text = self.prior.text_of([row for _, _, row in prior])
                    teacher = Teacher(text, self.trainable.base_model)
            objective = self.family.objective(self.components)
            values = objective.loss(batch, draw, self.plan.objective, teacher)
        loss = values[: len(subject)].mean()
        return loss if self.prior is None else loss + self.request.prior_weight * values[len(subject) :].mean()

    @torch.no_grad()
    def watch(self) -> float:
        """Loss on the held-out pictures, always at the same noise, to be compared over steps."""
        assert self.watched is not None
        total = 0.0
        rounds = 4
        for index in range(rounds):
            every = list(range(len(self.watched)))
            rng = generator_for(self.request.seed, "watch", index)
            with self._amp():
                batch = self._batch(
                    self.watched, [(i, 0, row) for i, row in zip(every, self.watched.told, strict=True)]
                )
                objective = self.family.objective(self.components)
                draw = objective.draw(batch.latents.shape, rng, self.plan.objective)
                total += objective.loss(batch, draw, self.plan.objective).mean().item()
        return total / rounds

    def kept_at(self, step: int) -> bool:
        """Whether a checkpoint is due after a step."""
        return step % self.request.checkpoint_every == 0 or step == self.plan.steps

    def run(self, first: int, after_step: Callable[[int, Callable[[], dict[str, float]]], bool]) -> None:
        """Train from step `first` to the end; `after_step` gets the steps done and a function that reads figures, and
        tells whether that was enough.
        """
        scaled = self.scaler.is_enabled()
        self.trainable.train(True)
        for step in range(first, self.plan.steps):
            torch.manual_seed(generator_for(self.request.seed, "dropout", step).initial_seed())
            for group in self.optimiser.param_groups:
                group["lr"] = self.plan.rate(step) * group["scale"]
            self.optimiser.zero_grad(set_to_none=True)
            loss = torch.zeros((), device=self.components.device)
            for part in self.losses(step):
                self.scaler.scale(part).backward()
                loss += part.detach()
            self.processes.summed([loss, *(p.grad for p in self.parameters if p.grad is not None)])
            self.scaler.unscale_(self.optimiser)
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.scaler.step(self.optimiser)
            self.scaler.update()
            if self.average is not None:
                self.average.follow()

            def figures(loss: torch.Tensor = loss, norm: torch.Tensor = norm, step: int = step) -> dict[str, float]:
                values = {"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate": self.plan.rate(step)}
                if scaled and self.scaler.get_scale() >= 1 and not math.isfinite(values["gradient_norm"]):
                    del values["gradient_norm"]  # the scaler skips such a step, and lowers its scale
                if not all(map(math.isfinite, values.values())):
                    raise LimnerError(
                        f"loss or gradient is no finite number at step {step + 1}: training diverged",
                        "use a lower --learning-rate or --precision fp32",
                    )
                return values

            if after_step(step + 1, figures):
                break


def joined(one: Batch, other: Batch) -> Batch:
    """One batch after another; where only one has masks, the other's pictures count everywhere."""
    text = {name: torch.cat([value, other.text[name]]) for name, value in one.text.items()}
    frames = None if one.frames is None or other.frames is None else torch.cat([one.frames, other.frames])
    masks = None
    if one.mask is not None or other.mask is not None:
        masks = torch.cat([_mask(one), _mask(other)])
    return Batch(torch.cat([one.latents, other.latents]), text, frames, masks)


def _mask(batch: Batch) -> torch.Tensor:
    count, _, height, width = batch.latents.shape
    return batch.latents.new_ones(count, 1, height, width) if batch.mask is None else batch.mask


def _rows(draw: NoiseDraw, part: slice, size: int) -> NoiseDraw:
    """What was drawn for a part of the subject's pictures, and for the same part of the class's behind them."""
    behind = slice(size + part.start, size + part.stop)
    return NoiseDraw(*(torch.cat([value[part], value[behind]]) for value in (draw.noise, draw.timesteps)))
