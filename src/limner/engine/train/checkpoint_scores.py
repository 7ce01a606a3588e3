"""Which checkpoint? Each is scored on prompts that it never learnt from, and the best of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from limner.core.checkpoint_scores import Standing, Standings
from limner.core.events import Emit, Notice
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import MetricUse, TrainRequest
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.engine.scoring.encoders import open_encoder
from limner.engine.scoring.scorers import Scorers
from limner.engine.train.checkpoint import load_learnt, save_learnt
from limner.engine.train.loop import Loop
from limner.engine.train.preview_sampler import Glimpses
from limner.engine.train.previews import write_marked
from limner.models.similarity import cosines
from limner.store.files import atomic_file, atomic_folder, make_folder

PROMPTS = (
    "a photo of {} on the beach",
    "a photo of {} in the snow",
    "a photo of {} in the city",
    "a photo of {} in the forest at night",
    "a photo of {} in the living room",
    "a watercolour painting of {}",
)
"""Places and a manner that photographs of a subject seldom show all of."""
SCORES = ("subject_fidelity", "prompt_fidelity")
FILE, BEST, PATIENCE, BALANCE = "standings.json", "best", 3, 0.5


def scorers_of(request: TrainRequest, workspace: Workspace) -> Scorers | None:
    """What scores checkpoints, where the best is asked for; LimnerError for an encoder that is not to be had."""
    if request.keep == "last":
        return None
    return Scorers([MetricUse(name=name) for name in SCORES], request.encoder, workspace.called)


class Contest:
    """The standings of one training run, kept in its folder, so that an interrupted run goes on with them.

    scorers: as `scorers_of` gives them. plain: paints the class alone, by the base model. taught: paints the subject.
    photographs: of the subject.
    """

    def __init__(
        self,
        request: TrainRequest,
        scorers: Scorers,
        plain: Glimpses,
        taught: Glimpses,
        photographs: Sequence[Path],
        workspace: Workspace,
    ) -> None:
        self.request, self.taught, self.photographs, self.workspace = request, taught, tuple(photographs), workspace
        self.folder = workspace.folder
        self.patience = request.patience or PATIENCE
        self.scorers = scorers
        self.plain = plain.prompts
        kept = self.folder / FILE
        if workspace.resume and kept.is_file():
            self.standings = Standings.model_validate_json(kept.read_text(encoding="utf-8"))
        else:
            self.standings = self._begun(plain)
            self._keep()

    def _begun(self, plain: Glimpses) -> Standings:
        pictures = self._painted(plain, 0)
        base = self._scored(0, pictures)
        encoder = open_encoder(str(self.scorers.ready["subject_fidelity"][1]))
        reader = open_encoder(str(self.scorers.ready["prompt_fidelity"][1]))
        others = [prompt.replace(SUBJECT, self.request.class_word) for prompt in PROMPTS]
        texts = list(dict.fromkeys([*self.plain, *others]))
        with torch.inference_mode():
            alike = cosines(*[encoder.images(self.photographs)] * 2)
            across = cosines(reader.images(pictures), reader.texts(texts))
        own = np.array([[text == prompt for text in texts] for prompt in self.plain])
        count = len(self.photographs)
        return Standings(
            prompts=tuple(self.taught.prompts),
            encoder=reader.name,
            weight=BALANCE if self.request.balance is None else self.request.balance,
            alike=float(alike[~np.eye(count, dtype=bool)].mean()) if count > 1 else 1.0,
            strange=float(across[~own].mean()),
            base=base,
        )

    def tell(self, emit: Emit) -> None:
        """Say how checkpoints are scored, and warn of an encoder that does not see what prompts ask for."""
        told = self.standings
        emit(
            Notice(text=f"every checkpoint paints {len(told.prompts)} prompts, scored by the encoder of {told.encoder}")
        )
        if told.blind:
            emit(
                Notice(
                    text=f"the encoder of {told.encoder} hardly tells pictures of these prompts apart; "
                    "name a better one by --encoder, or rely on --balance 1",
                    level="warning",
                )
            )

    def knows(self, step: int) -> bool:
        return any(standing.step == step for standing in self.standings.after)

    def forget_after(self, step: int) -> None:
        """Drop what was found out after a step."""
        self.standings = self.standings.to(step)

    @property
    def over(self) -> bool:
        """Whether so many checkpoints came after the best that a better one is not to be expected."""
        return self.standings.waited >= self.patience

    def judge(self, step: int, loop: Loop) -> dict[str, float]:
        """Paint and score by the model as it stands after a step, keep it if it is the best, and return its figures."""
        with loop.shown():
            standing = self._scored(step, self._painted(self.taught, step))
            found = self.standings.plus(standing)
            if found.best is standing:
                with atomic_folder(self.folder / BEST) as partial:
                    save_learnt(loop.trainable, partial)
        self.standings = found
        self._keep()
        values = (fmean(standing.subject), fmean(standing.prompt), found.balance(standing))
        return dict(zip((*SCORES, "balance"), values, strict=True))

    def put_best(self, loop: Loop) -> None:
        """Give the model back what it had learnt at the best step."""
        load_learnt(self.folder / BEST, loop.trainable)
        loop.average = None  # what was kept is the average already

    def picture(self, step: int, number: int) -> Path:
        """Where the picture of a prompt is, as it was painted after a step."""
        return self.folder / "standings" / f"{step:08d}" / f"{number:02d}.png"

    def _painted(self, glimpses: Glimpses, step: int) -> list[Path]:
        pictures = [self.picture(step, number) for number in range(len(glimpses.prompts))]
        make_folder(pictures[0].parent)
        for path, pixels in zip(pictures, glimpses.paint(), strict=True):
            write_marked(pixels, path, self.workspace.home)
        return pictures

    def _scored(self, step: int, pictures: Sequence[Path]) -> Standing:
        items = tuple(ScoredImage(path, prompt, prompt) for path, prompt in zip(pictures, self.plain, strict=True))
        scores = self.scorers.score(ImageSet(items, references=self.photographs))
        return Standing(step=step, subject=scores[SCORES[0]].values, prompt=scores[SCORES[1]].values)

    def _keep(self) -> None:
        make_folder(self.folder)
        with atomic_file(self.folder / FILE) as partial:
            partial.write_text(self.standings.model_dump_json(indent=1) + "\n", encoding="utf-8")
