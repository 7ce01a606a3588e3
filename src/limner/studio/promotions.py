"""The cycle of a team: adapters of an industry are improved from its ratings, compared blindly, and used or not."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.feedback import GeneratedImage
from limner.core.improve import RECORD, ImprovementRecord
from limner.core.promotions import BlindChoice, ImprovementPlan, Promotion, PromotionStatus
from limner.core.requests import AdapterUse, Contestant, ImproveRequest
from limner.core.runs import Run, Status
from limner.stats.intervals import wilson
from limner.store.feedback import rating_summary
from limner.store.images import ImageIndex, Viewer
from limner.store.promotions import PromotionStore
from limner.store.queue import Queue
from limner.store.runs import Store
from limner.studio.files import StudioFiles
from limner.studio.runs import QUEUE

PRIORITY = -10
"""Below that of all runs that people wait for."""


@dataclass(frozen=True)
class BlindPair:
    """Two images of one held-out prompt and seed: by the old adapter and by the new one."""

    prompt: str
    old: GeneratedImage
    new: GeneratedImage


class StudioPromotions(PromotionStore):
    """Starts improvements, follows them, and decides whether an improved adapter joins those of its industry."""

    def __init__(self, store: Store, files: StudioFiles, enqueue: Callable[..., Run]) -> None:
        super().__init__(store)
        self._store, self._files, self._enqueue = store, files, enqueue

    def start(
        self, industry: str, image: bool, adapters: Sequence[AdapterUse], plan: ImprovementPlan, granted: Sequence[str]
    ) -> Promotion | None:
        """Queue an improvement of the industry's most rated adapter; None where too few ratings are new.

        granted: references that the run may use besides those of its account.
        """
        tag = industry.strip().casefold()
        standings = {each.name: each for each in rating_summary(self._store, Viewer(stored=True), "adapter", tag)}
        rated = [(standings[each.path].ratings, each) for each in adapters if each.path in standings]
        total = sum(ratings for ratings, _ in rated)
        if total - self.last_ratings(tag, image) < plan.after or self._open(tag, image):
            return None
        _, original = max(rated, key=lambda each: each[0])
        target = Contestant(adapter=(AdapterUse(path=original.path),))
        request = ImproveRequest(target=target, industry=tag, lesson=plan.lesson)
        run = self._enqueue(request, priority=PRIORITY, tags={"industry": tag}, granted=granted)
        needed = plan.votes if plan.by == "votes" else 0
        added = self.add(tag, image, original, run.id, total, needed)
        if added is None:
            Queue(self._store, QUEUE).cancel(run.id)
            return None
        return self.get(added)

    def follow(self) -> None:
        """Move on the promotions whose runs have ended."""
        for promotion in self.list((PromotionStatus.TRAINING,)):
            if promotion.run is None:
                self._fail(promotion, "its run was erased")
                continue
            run = self._store.get(promotion.run)
            if run.status is Status.DONE:
                self._trained(promotion, run)
            elif run.status.ended:
                self._fail(promotion, run.error or f"its run was {run.status}")

    def pairs(self, promotion: Promotion) -> builtins.list[BlindPair]:
        """The pairs of images that people vote on; none once the run was erased."""
        record = self._record(promotion.run)
        if record is None or promotion.run is None:
            return []
        made = ImageIndex(self._store).some(Viewer(), ImageIndex(self._store).of_run(Viewer(), promotion.run))
        by_version = {
            (image.details.get("version"), image.request.prompt, image.fact("seed")): image
            for image in made
            if image.request.prompt in record.prompts
        }
        return [
            BlindPair(prompt, by_version["old", prompt, seed], image)
            for (version, prompt, seed), image in sorted(by_version.items(), key=lambda each: str(each[0]))
            if version == "new" and ("old", prompt, seed) in by_version
        ]

    def cast(self, id: int, account: str, pair: int, choice: BlindChoice) -> Promotion:
        """Record a vote; the one that completes the needed number decides."""
        if not 0 <= pair < len(self.pairs(self.get(id))):
            raise LimnerError(f"there is no pair {pair}", "vote on a pair that the page shows")
        promotion = self.vote(id, account, pair, choice)
        count = promotion.new + promotion.old
        if count >= promotion.needed:
            share, low, high = wilson(promotion.new, count)
            text = f"{promotion.new} of {count} votes for the new one ({share:.0%}, 95% {low:.0%} to {high:.0%})"
            won = low > 0.5
            status = PromotionStatus.PROMOTED if won else PromotionStatus.DECLINED
            self.change(id, (PromotionStatus.VOTING,), status, [text if won else f"{text}: that may be chance"])
        return self.get(id)

    def adapters(self, industry: str | None, image: bool, adapters: Sequence[AdapterUse]) -> tuple[AdapterUse, ...]:
        """The adapters of an industry, with those that were promoted."""
        if industry is None or not adapters:
            return tuple(adapters)
        tag = industry.strip().casefold()
        promoted = [
            each.candidate
            for each in self.list((PromotionStatus.PROMOTED,))
            if each.candidate is not None and (each.industry, each.image) == (tag, image)
        ]
        return (*adapters, *reversed(promoted))

    def used(self) -> str:
        """The promoted and waiting adapters as JSON, for what keeps files that are named."""
        states = (PromotionStatus.PROMOTED, PromotionStatus.VOTING, PromotionStatus.RESTORED)
        return json.dumps([each.candidate.path for each in self.list(states) if each.candidate is not None])

    def restore(self, id: int, account: str) -> Promotion:
        """Use only the old adapters again; the new one stays and can be promoted again."""
        self._switch(id, PromotionStatus.PROMOTED, PromotionStatus.RESTORED, f"taken back by {account or 'a person'}")
        return self.get(id)

    def promote(self, id: int, account: str) -> Promotion:
        """Use an improved adapter, whatever votes and metrics say."""
        before = (PromotionStatus.RESTORED, PromotionStatus.DECLINED, PromotionStatus.VOTING)
        if not self.change(id, before, PromotionStatus.PROMOTED, [f"promoted by {account or 'a person'}"]):
            raise LimnerError(f"improvement {id} is {self.get(id).status}", "promote one that is trained and not used")
        return self.get(id)

    def _switch(self, id: int, before: PromotionStatus, after: PromotionStatus, why: str) -> None:
        if not self.change(id, (before,), after, [why]):
            raise LimnerError(f"improvement {id} is {self.get(id).status}, not {before}", "reload the list")

    def _open(self, industry: str, image: bool) -> bool:
        going = self.list([each for each in PromotionStatus if each.open])
        return any((each.industry, each.image) == (industry, image) for each in going)

    def _fail(self, promotion: Promotion, why: str) -> None:
        self.change(promotion.id, (PromotionStatus.TRAINING,), PromotionStatus.FAILED, [why])

    def _trained(self, promotion: Promotion, run: Run) -> None:
        """Let people vote on a trained adapter, or decide by its record."""
        record = self._record(run.id)
        if record is None:
            return self._fail(promotion, "its result is not there")
        candidate = promotion.original.model_copy(update={"path": self._adapter(run.id)})
        status = PromotionStatus.VOTING
        if not promotion.needed or not self.pairs(promotion):
            status = PromotionStatus.PROMOTED if record.decision.replaces else PromotionStatus.DECLINED
        self.change(promotion.id, (PromotionStatus.TRAINING,), status, record.decision.reasons, candidate)

    def _adapter(self, run: str) -> str:
        """The reference of the adapter that a run made."""
        return next(str(each.details["reference"]) for each in self._store.artifacts(run, ArtifactKind.ADAPTER))

    def _record(self, run: str | None) -> ImprovementRecord | None:
        """The record of an improvement; None where it is gone."""
        try:
            folder = self._files.local_path(self._adapter(run or ""))
            return ImprovementRecord.model_validate_json((folder / RECORD).read_bytes())
        except (StopIteration, OSError, LimnerError, ValueError):
            return None
