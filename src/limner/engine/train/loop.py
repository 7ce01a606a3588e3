"""The training loop: losses, backward, clip, step, callbacks. Checkpoints, previews and all else are callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch

from limner.core.errors import Interrupted, LimnerError
from limner.core.protocols import Trainable
from limner.engine.train.batches import generator_for
from limner.engine.train.ema import EMA
from limner.engine.train.lesson import Lesson
from limner.engine.train.processes import ALONE, ProcessGroup


class LoopRequest(Protocol):
    """What the loop and its callbacks read of a request, such as a TrainRequest.

    ema: decay of the weights' moving average, None without one. keep: "best" where callbacks may end a run. digest: by
    which a checkpoint is recognised as this request's.
    """

    @property
    def seed(self) -> int: ...

    @property
    def ema(self) -> float | None: ...

    @property
    def checkpoint_every(self) -> int: ...

    @property
    def keep(self) -> str: ...

    @property
    def keep_checkpoints(self) -> bool: ...

    @property
    def digest(self) -> str: ...


class LoopPlan(Protocol):
    """How long a loop trains, and at which learning rates, such as a TrainPlan."""

    @property
    def steps(self) -> int: ...

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        ...


class Callback(Protocol):
    """Called by the loop of the main process. Subclasses define the methods that they need."""

    def begin(self, loop: Loop, first: int) -> None:
        """Called once, before the step after `first` steps."""

    def after_step(self, step: Step) -> None:
        """Called after every step, in the order of the callbacks."""

    def finished(self) -> bool:
        """Whether training may end now. It is asked at checkpoints of runs that keep the best one."""
        return False

    def end(self) -> None:
        """Called once at the end, also after an error."""


@dataclass(frozen=True)
class Step:
    """A finished training step. done: steps so far. stopping: whether the run ends here because it was asked to."""

    loop: Loop
    done: int
    stopping: bool
    loss: torch.Tensor
    gradient_norm: torch.Tensor

    @property
    def final(self) -> bool:
        return self.done == self.loop.plan.steps

    @property
    def checkpoint_due(self) -> bool:
        return self.loop.checkpoint_due(self.done)

    def figures(self) -> dict[str, float]:
        """Loss, gradient norm and learning rate. Waits for the GPU; raises LimnerError where training diverged."""
        scaler = self.loop.scaler
        rate = self.loop.plan.rate(self.done - 1)
        values = {"loss": self.loss.item(), "gradient_norm": self.gradient_norm.item(), "learning_rate": rate}
        if scaler.is_enabled() and scaler.get_scale() >= 1 and not math.isfinite(values["gradient_norm"]):
            del values["gradient_norm"]  # the scaler skips such a step, and lowers its scale
        if not all(map(math.isfinite, values.values())):
            raise LimnerError(
                f"loss or gradient is not finite at step {self.done}: training diverged",
                "use a lower --learning-rate or --precision fp32",
            )
        return values


@dataclass
class Loop:
    """One training run in progress."""

    request: LoopRequest
    plan: LoopPlan
    lesson: Lesson
    trainable: Trainable
    optimiser: torch.optim.Optimizer
    device: torch.device
    autocast: torch.dtype | None = None
    processes: ProcessGroup = ALONE

    def __post_init__(self) -> None:
        # fp16 gradients underflow unless the loss is scaled up (Micikevicius et al. 2017); else this does nothing
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.autocast is torch.float16)
        self.parameters = [parameter for group in self.trainable.groups().values() for parameter in group]
        self.ema = EMA(self.parameters, self.request.ema) if self.request.ema else None

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """While it is open, the model is as it would be saved: without dropout, and with its average weights if any."""
        self.trainable.train(False)
        try:
            with nullcontext() if self.ema is None else self.ema.applied():
                yield
        finally:
            self.trainable.train(True)

    def checkpoint_due(self, done: int) -> bool:
        """Whether a checkpoint is due after so many steps."""
        return done % self.request.checkpoint_every == 0 or done == self.plan.steps

    def run(self, first: int, callbacks: Sequence[Callback] = (), stop: Callable[[], bool] = lambda: False) -> None:
        """Train from `first` steps done to the end, or until a callback has finished.

        stop: asked after every step; once any process says yes, all raise Interrupted after their callbacks.
        """
        self.trainable.train(True)
        try:
            for callback in callbacks:
                callback.begin(self, first)
            done = first
            while done < self.plan.steps and not self._finished(done, callbacks):
                loss, norm = self._train_step(done)
                done += 1
                stopping = self.processes.agreed(stop(), self.device) and done < self.plan.steps
                step = Step(self, done, stopping, loss, norm)
                for callback in callbacks:
                    callback.after_step(step)
                if stopping:
                    raise Interrupted(f"stopped at step {done} of {self.plan.steps}; a checkpoint was saved")
        finally:
            for callback in callbacks:
                callback.end()

    def _finished(self, done: int, callbacks: Sequence[Callback]) -> bool:
        """Whether a callback of the main process has finished; all processes ask at the same steps."""
        if self.request.keep == "last" or not self.checkpoint_due(done):
            return False
        return self.processes.agreed(any(callback.finished() for callback in callbacks), self.device)

    def _train_step(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Train one step, counted from 0; returns its loss and the norm of its gradient before clipping, scalars."""
        torch.manual_seed(generator_for(self.request.seed, "dropout", step).initial_seed())
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate(step) * group["scale"]
        self.optimiser.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.device)
        for part in self.lesson.losses(step):
            self.scaler.scale(part).backward()
            loss += part.detach()
        self.processes.sum([loss, *(p.grad for p in self.parameters if p.grad is not None)])
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.ema is not None:
            self.ema.update()
        return loss, norm
