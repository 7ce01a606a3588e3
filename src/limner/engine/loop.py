"""The training loop: next batch, loss, backward, step, tell. All else listens."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from ..core.errors import LimnerError
from ..core.protocols import Components, Family, Teacher, Trainable
from ..core.requests import TrainRequest
from .examples import Examples
from .plan import Plan

TELL_EVERY = 10


def generator_for(seed: int, purpose: str, step: int) -> torch.Generator:
    """Randomness as a function of seed, purpose and step, so that a resumed run draws what another draws."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def order(count: int, batch: int, step: int, seed: int) -> list[int]:
    """Indices of a step's pictures: passes over all of them, each pass in an order of its own."""
    chosen = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, count)
        chosen.append(int(torch.randperm(count, generator=generator_for(seed, "epoch", epoch))[place]))
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
    teaches_text: bool = False

    def __post_init__(self) -> None:
        # fp16 gradients underflow unless the loss is scaled up (Micikevicius et al. 2017); else this does nothing
        self.scaler = torch.amp.GradScaler(self.components.device.type, enabled=self.autocast is torch.float16)

    def _amp(self):
        kind = self.components.device.type
        return torch.autocast(kind, self.autocast) if self.autocast is not None else nullcontext()

    def _draw(
        self, examples: Examples, step: int, purpose: str, dropout: float = 0.0
    ) -> tuple[torch.Tensor, list[int]]:
        """Latents of a step's pictures and which captions tell them, a share of these dropped."""
        indices = order(len(examples), self.plan.batch, step, self.request.seed)
        views = torch.randint(
            examples.latents.shape[1], (len(indices),), generator=generator_for(self.request.seed, purpose, step)
        )
        untold = None
        if dropout:
            chance = torch.rand(len(indices), generator=generator_for(self.request.seed, f"{purpose}, told", step))
            untold = (chance < dropout).tolist()
        return examples.pick(indices, views.tolist()), examples.rows_for(indices, untold)

    def _text(self, examples: Examples, rows: list[int]) -> dict[str, torch.Tensor]:
        """Captions as they were encoded, or where the text encoders learn, as they encode them now."""
        if not self.teaches_text:
            return examples.text_of(rows)
        known = sorted(set(rows))
        text = self.family.encode_text(self.components, [examples.captions[row] for row in known])
        return {name: value[[known.index(row) for row in rows]] for name, value in text.items()}

    def loss(self, step: int) -> torch.Tensor:
        """Mean loss of a batch of the subject plus the weighted mean loss of as many class pictures."""
        rng = generator_for(self.request.seed, "noise", step)
        with self._amp():
            latents, rows = self._draw(self.subject, step, "views")
            count, text, teacher = len(latents), self._text(self.subject, rows), None
            if self.prior is not None:
                prior, rows = self._draw(self.prior, step, "class views", self.plan.prior_dropout)
                latents, more = torch.cat([latents, prior]), self._text(self.prior, rows)
                text = {name: torch.cat([value, more[name]]) for name, value in text.items()}
                if self.plan.prior_target == "model":
                    teacher = Teacher(self.prior.text_of(rows), self.trainable.untaught)
            values = self.family.loss(self.components, latents, text, rng, self.request.min_snr_gamma, teacher)
        loss = values[:count].mean()
        return loss if self.prior is None else loss + self.request.prior_weight * values[count:].mean()

    @torch.no_grad()
    def watch(self) -> float:
        """Loss on the held-out pictures, always at the same noise, to be compared over steps."""
        assert self.watched is not None
        total = 0.0
        rounds = 4
        for index in range(rounds):
            rng = generator_for(self.request.seed, "watch", index)
            every = list(range(len(self.watched)))
            latents = self.watched.pick(every, [0] * len(every))
            with self._amp():
                text = self._text(self.watched, self.watched.rows_for(every))
                total += self.family.loss(self.components, latents, text, rng, self.request.min_snr_gamma).mean().item()
        return total / rounds

    def run(self, first: int, after_step: Callable[[int, Callable[[], dict[str, float]]], None]) -> None:
        """Train from step `first` to the end; `after_step` gets the steps done and a function that reads figures."""
        parameters, scaled = self.trainable.parameters(), self.scaler.is_enabled()
        for step in range(first, self.plan.steps):
            for group in self.optimiser.param_groups:
                group["lr"] = self.plan.rate(step)
            loss = self.loss(step)
            self.optimiser.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimiser)
            norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            self.scaler.step(self.optimiser)
            self.scaler.update()

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

            after_step(step + 1, figures)
