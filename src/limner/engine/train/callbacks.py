"""The training loop as it is watched: figures, previews, checkpoints, and the wish to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Emit, Notice, Progress, Stage
from limner.core.execution import body_of
from limner.core.workspace import Workspace
from limner.engine.train.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from limner.engine.train.checkpoint_scores import Contest
from limner.engine.train.loop import TELL_EVERY, Loop
from limner.engine.train.model_card import told_best
from limner.engine.train.previews import Previews
from limner.engine.train.trackers import Metrics


def run_helping(loop: Loop, workspace: Workspace) -> None:
    """Train as one of several processes of which another watches."""
    kept = checkpoints(workspace.folder) if workspace.resume else []
    first = load_checkpoint(kept[-1], loop, workspace.execution) if kept else 0
    loop.processes.wait()

    def after_step(done: int, figures: Callable[[], dict[str, float]]) -> bool:
        stopping = loop.processes.agreed(workspace.stop(), loop.components.device)
        if stopping and done < loop.plan.steps:
            raise Interrupted(f"stopped at step {done}")
        return enough(loop, done, None)

    if not enough(loop, first, None):
        loop.run(first, after_step)


def enough(loop: Loop, done: int, contest: Contest | None) -> bool:
    """Whether no better checkpoint is to be expected; all processes ask at the same steps, and the main one knows."""
    if loop.request.keep == "last" or not loop.kept_at(done):
        return False
    return loop.processes.agreed(contest is not None and contest.over, loop.components.device)


def run_watched(
    loop: Loop, workspace: Workspace, previews: Previews | None, contest: Contest | None, emit: Emit
) -> float:
    """Train with checkpoints, previews and metrics; returns the last loss told."""
    execution, plan, folder = workspace.execution, loop.plan, workspace.folder
    first = 0
    if workspace.resume and (kept := checkpoints(folder)):
        first = load_checkpoint(kept[-1], loop, execution)
        emit(Notice(text=f"going on from step {first}"))
    loop.processes.wait()
    settings = body_of(loop.request, execution).model_dump(mode="json")
    metrics = Metrics(folder, first, execution.track, settings)
    emit(Stage(name="training", total=plan.steps))
    emit(Progress(done=first))
    began, last, pictures = time.monotonic(), float("nan"), plan.batch * (2 if loop.prior is not None else 1)

    def judge(done: int) -> None:
        assert contest is not None
        values = contest.judge(done, loop)
        metrics.add(done, values)
        emit(Progress(done=done, figures=values))

    def after_step(done: int, figures: Callable[[], dict[str, float]]) -> bool:
        nonlocal last
        final, watching = done == plan.steps, loop.kept_at(done)
        stopping = loop.processes.agreed(workspace.stop(), loop.components.device) and not final
        if done % TELL_EVERY == 0 or watching or stopping or done == first + 1:
            values = figures()
            last = values["loss"]
            values["images_per_second"] = (done - first) * pictures / (time.monotonic() - began)
            if loop.watched is not None and watching:
                with loop.shown():
                    values["held_out_loss"] = loop.watch()
            metrics.add(done, values)
            emit(Progress(done=done, figures=values))
        else:
            emit(Progress(done=done))
        if watching or stopping:
            save_checkpoint(folder, done, loop)
        if contest is not None and watching:
            judge(done)
        if previews is not None and (done % execution.preview_every == 0 or final):
            try:
                with loop.shown():
                    previews.paint(done, folder, emit)
            except LimnerError as error:
                emit(Notice(text=f"no preview of step {done}: {error}", level="warning"))
        if stopping:
            raise Interrupted(f"stopped at step {done} of {plan.steps}; a checkpoint is kept")
        return enough(loop, done, contest)

    try:
        if contest is not None:
            contest.forget_after(first)
            if first and loop.kept_at(first) and not contest.knows(first):
                judge(first)  # it was killed between keeping the checkpoint and scoring it
        if not enough(loop, first, contest):
            loop.run(first, after_step)
    finally:
        metrics.close()
    if contest is not None:
        early = f"no better checkpoint came in {contest.patience}, so training stopped; " if contest.over else ""
        emit(Notice(text=f"{early}kept {told_best(contest.standings)}"))
    return last if math.isfinite(last) else metrics.last("loss")
