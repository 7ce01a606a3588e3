"""Scores of checkpoints: each is scored on prompts that are not trained on, and the best one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.core.events import Emit, Notice
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import MetricUse, TrainRequest
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.engine.scoring.encoders import open_encoder
from limner.engine.scoring.scorers import Scorers
from limner.engine.train.checkpoint import load_weights, save_weights
from limner.engine.train.loop import Loop
from limner.engine.train.preview_sampler import PreviewSampler, write_labelled
from limner.models.features import cosines
from limner.store.files import atomic_file, atomic_folder, make_folder

PROMPTS = (
    "a photo of {} on the beach",
    "a photo of {} in the snow",
    "a photo of {} in the city",
    "a photo of {} in the forest at night",
    "a photo of {} in the living room",
    "a watercolour painting of {}",
)
"""Places and a style that are rare among a subject's training images."""
METRICS = ("subject_fidelity", "prompt_fidelity")
PATIENCE, BALANCE = 3, 0.5
FILE, IMAGES, BEST = "standings.json", "standings", "best"
"""Names in a run's folder: the scores, the scored images, the best checkpoint's weights."""


def open_scorers(request: TrainRequest, workspace: Workspace) -> Scorers | None:
    """The metrics that score checkpoints; None where the last one is kept. LimnerError for a missing encoder."""
    if request.keep == "last":
        return None
    return Scorers([MetricUse(name=name) for name in METRICS], request.encoder, workspace.called)


def _read_scores(path: Path) -> CheckpointScores | None:
    """The scores of a run that was interrupted; None if there are none or they are damaged."""
    try:
        return CheckpointScores.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class CheckpointScorer:
    """Scores the checkpoints of one run. The scores are in the run's folder, so that a resumed run goes on with them.

    base: samples prompts of the class by the base model. subject: samples the same prompts of the subject. images:
    training images of the subject.
    """

    def __init__(
        self,
        request: TrainRequest,
        scorers: Scorers,
        base: PreviewSampler,
        subject: PreviewSampler,
        images: Sequence[Path],
        workspace: Workspace,
    ) -> None:
        self.request, self.scorers, self.subject, self.images = request, scorers, subject, tuple(images)
        self.folder, self.home = workspace.folder, workspace.home
        self.patience = request.patience or PATIENCE
        self.plain = base.prompts
        saved = _read_scores(self.folder / FILE) if workspace.resume else None
        self.scores = saved or self._score_base(base)
        if saved is None:
            self._save()

    def _score_base(self, base: PreviewSampler) -> CheckpointScores:
        """The base model's scores, and the ends of the scales: how alike the training images are to each other, and
        the base model's images to prompts of others.
        """
        images = self._sample(base, 0)
        scores = self._score(0, images)
        image_encoder = open_encoder(str(self.scorers.ready[METRICS[0]][1]))
        prompt_encoder = open_encoder(str(self.scorers.ready[METRICS[1]][1]))
        others = [prompt.replace(SUBJECT, self.request.class_word) for prompt in PROMPTS]
        texts = list(dict.fromkeys([*self.plain, *others]))
        with torch.inference_mode():
            alike = cosines(*[image_encoder.images(self.images)] * 2)
            across = cosines(prompt_encoder.images(images), prompt_encoder.texts(texts))
        own = np.array([[text == prompt for text in texts] for prompt in self.plain])
        count = len(self.images)
        return CheckpointScores(
            prompts=tuple(self.subject.prompts),
            encoder=prompt_encoder.name,
            weight=BALANCE if self.request.balance is None else self.request.balance,
            training_similarity=float(alike[~np.eye(count, dtype=bool)].mean()) if count > 1 else 1.0,
            unrelated_similarity=float(across[~own].mean()),
            base=scores,
        )

    def describe(self, emit: Emit) -> None:
        """Emit how checkpoints are scored, and a warning where the encoder cannot distinguish the prompts."""
        scores = self.scores
        text = f"every checkpoint is scored on {len(scores.prompts)} prompts by the encoder of {scores.encoder}"
        emit(Notice(text=text))
        if scores.blind:
            text = f"the encoder of {scores.encoder} hardly distinguishes images of these prompts"
            emit(Notice(text=f"{text}; name a better one by --encoder, or use --balance 1", level="warning"))

    def has(self, step: int) -> bool:
        """Whether a step has been scored."""
        return any(scores.step == step for scores in self.scores.after)

    def drop_after(self, step: int) -> None:
        """Drop the scores of later steps, and all of them if the best was one: its weights replaced those of others."""
        later = bool(self.scores.after) and self.scores.best.step > step
        self.scores = self.scores.to(-1 if later else step)

    @property
    def finished(self) -> bool:
        """Whether the last checkpoints, as many as `patience`, were no better than the best."""
        return self.scores.checkpoints_since_best >= self.patience

    def score(self, step: int, loop: Loop) -> dict[str, float]:
        """Score the model as it is after a step, save its weights if it is the best so far; returns its figures."""
        with loop.evaluating():
            new = self._score(step, self._sample(self.subject, step))
            scores = self.scores.plus(new)
            if scores.best is new:
                with atomic_folder(self.folder / BEST) as partial:
                    save_weights(loop.trainable, partial)
        self.scores = scores
        self._save()
        values = (fmean(new.subject), fmean(new.prompt), scores.balance(new))
        return dict(zip((*METRICS, "balance"), values, strict=True))

    def restore_best(self, loop: Loop) -> None:
        """Give the model the weights of the best step."""
        load_weights(self.folder / BEST, loop.trainable)
        loop.ema = None  # what was saved is the average already

    def image(self, step: int, number: int) -> Path:
        """The path of a prompt's image after a step."""
        return self.folder / IMAGES / f"{step:08d}" / f"{number:02d}.png"

    def _sample(self, sampler: PreviewSampler, step: int) -> list[Path]:
        paths = [self.image(step, number) for number in range(len(sampler.prompts))]
        make_folder(paths[0].parent)
        for path, pixels in zip(paths, sampler.sample(), strict=True):
            write_labelled(pixels, path, self.home)
        return paths

    def _score(self, step: int, images: Sequence[Path]) -> StepScores:
        items = tuple(ScoredImage(path, prompt, prompt) for path, prompt in zip(images, self.plain, strict=True))
        found = self.scorers.score(ImageSet(items, references=self.images))
        return StepScores(step=step, subject=found[METRICS[0]].values, prompt=found[METRICS[1]].values)

    def _save(self) -> None:
        make_folder(self.folder)
        with atomic_file(self.folder / FILE) as partial:
            partial.write_text(self.scores.model_dump_json(indent=1) + "\n", encoding="utf-8")
