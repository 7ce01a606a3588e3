"""The cycle of a team: adapters of an industry are improved from its ratings, compared blindly, and used or not."""

from __future__ import annotations

import builtins
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.events import ArtifactKind
from limner.core.improve import RECORD, ImprovementRecord
from limner.core.promotions import BlindChoice, BlindSide, ImprovementPlan, Promotion, PromotionStatus
from limner.core.requests import AdapterUse, Contestant, ImproveRequest, TrainRequest
from limner.core.runs import Run, Status
from limner.store.accounts import shared_secret
from limner.store.blobs import REFERENCE
from limner.store.feedback import rating_summary
from limner.store.images import Viewer
from limner.store.promotions import PromotionStore
from limner.store.runs import Store
from limner.studio.adapter_files import training_of
from limner.studio.files import StudioFiles

PRIORITY = -10
"""Below that of all runs that people wait for."""
STARTING = timedelta(minutes=5)
"""How long the process that starts an improvement may take to queue its run."""
LONGEST_RECORD = 16 * 2**20
SECRET = "blind comparisons"
TRAINING, VOTING, PROMOTED, DECLINED, RESTORED, FAILED = PromotionStatus


@dataclass(frozen=True)
class BlindPair:
    """Two images of one held-out prompt and seed. number: which stays, whatever is erased. old, new: references."""

    number: int
    prompt: str
    old: str
    new: str


@dataclass(frozen=True)
class ShownPair:
    """A pair as one account sees it. left, right: references of the images. vote: of the account; None without one."""

    number: int
    prompt: str
    left: str
    right: str
    vote: BlindSide | str | None


class StudioPromotions(PromotionStore):
    """Starts improvements, follows them, and decides whether an improved adapter joins those of its industry."""

    def __init__(self, store: Store, files: StudioFiles, enqueue: Callable[..., Run]) -> None:
        super().__init__(store)
        self._store, self._files, self._enqueue = store, files, enqueue

    def start(
        self, industry: str, image: bool, adapters: Sequence[AdapterUse], plan: ImprovementPlan, model: str
    ) -> Promotion | None:
        """Queue an improvement of the industry's most rated adapter; None where too few ratings are new.

        adapters: those that the profile names. model: which the industry's images are generated with.
        """
        tag = industry.strip().casefold()
        standings = {each.name: each for each in rating_summary(self._store, Viewer(stored=True), "adapter", tag)}
        used = self.adapters(tag, image, adapters)
        rated = [(standings[each.path].ratings, each) for each in used if each.path in standings]
        total = sum(ratings for ratings, _ in rated)
        if abs(total - self.last_ratings(tag, image)) < plan.after or total == 0:
            return None
        _, original = max(rated, key=lambda each: each[0])
        added = self.add(tag, image, original, total, plan.votes if plan.by == "votes" else 0)
        if added is None:
            return None
        try:
            run = self._enqueue(
                ImproveRequest(
                    target=Contestant(adapter=(AdapterUse(path=original.path),)),
                    model=model,
                    industry=tag,
                    lesson=plan.lesson,
                    references=self.photos(training_of(self._files, original.path)),
                ),
                priority=PRIORITY,
                tags={"industry": tag},
            )
        except LimnerError as error:
            self.change(added, (TRAINING,), FAILED, [f"it could not be queued: {error}"])
            if isinstance(error, Unavailable):
                raise
        else:
            self.assign(added, run.id)
        return self.get(added)

    def photos(self, training: TrainRequest | None, caller: Caller | None = None) -> str | None:
        """The reference of the photos of a training; None where they are not stored here.

        caller: who must be allowed to use them.
        """
        found = None if training is None else REFERENCE.fullmatch(training.data)
        if training is None or found is None or found[2] not in self._files:
            return None
        return training.data if caller is None or self._files.may_use(caller, training.data) else None

    def follow(self) -> None:
        """Move on the promotions whose runs have ended, and those whose images or adapter were erased."""
        for promotion in self.list((TRAINING,)):
            run = None if promotion.run is None else self._store.get(promotion.run)
            if run is None:
                if datetime.now(UTC) - promotion.created > STARTING:
                    self.change(promotion.id, (TRAINING,), FAILED, ["its run was erased"])
            elif run.status is Status.DONE:
                self._trained(promotion, run)
            elif run.status.ended:
                self.change(promotion.id, (TRAINING,), FAILED, [run.error or f"its run was {run.status}"])
        for promotion in self.list((VOTING,)):
            if not self.available(promotion) or not self.pairs(promotion):
                self.change(promotion.id, (VOTING,), FAILED, ["its images were erased before votes decided"])

    def pairs(self, promotion: Promotion) -> builtins.list[BlindPair]:
        """The pairs of images that people vote on; none once the run was erased."""
        record = self.record(promotion)
        if record is None or promotion.run is None:
            return []
        made: dict[tuple[str, int], dict[str, str]] = {}
        for each in self._store.artifacts(promotion.run, kind=ArtifactKind.IMAGE):
            prompt, seed, reference = (each.details.get(name) for name in ("prompt", "seed", "reference"))
            if isinstance(prompt, str) and isinstance(seed, int) and isinstance(reference, str):
                made.setdefault((prompt, seed), {})[str(each.details.get("version"))] = reference
        request = self._store.get(promotion.run).request
        assert isinstance(request, ImproveRequest)
        seeds = range(request.seed, request.seed + request.count)
        wanted = [(prompt, seed) for prompt in record.prompts for seed in seeds]
        return [
            BlindPair(number, key[0], made[key]["old"], made[key]["new"])
            for number, key in enumerate(wanted)
            if {"old", "new"} <= made.get(key, {}).keys()
        ]

    def shown_pairs(self, promotion: Promotion, caller: Caller) -> builtins.list[ShownPair]:
        """The pairs that a caller may vote on, in an order and with sides of its own, which a secret decides.

        An admin sees all. Any other account sees those of its own prompts, since prompts of others are theirs.
        """
        pairs = self.pairs(promotion)
        if caller.scope is not None:
            own = self.own_prompts(caller.account, {each.prompt for each in pairs})
            pairs = [each for each in pairs if each.prompt in own]
        votes = self.voted(promotion.id, caller.account) if pairs else {}
        mixed = {each.number: self._mixed(promotion, caller.account, each.number) for each in pairs}
        return [
            ShownPair(
                each.number,
                each.prompt,
                *((each.new, each.old) if _new_is_left(mixed[each.number]) else (each.old, each.new)),
                _side_of(votes.get(each.number), mixed[each.number]),
            )
            for each in sorted(pairs, key=lambda each: mixed[each.number])
        ]

    def cast(self, id: int, caller: Caller, pair: int, choice: str) -> Promotion:
        """Record a vote for the image on the left or on the right, or a tie; the vote that completes the needed number
        decides.
        """
        promotion = self.get(id)
        if promotion.status is VOTING and pair not in {each.number for each in self.shown_pairs(promotion, caller)}:
            raise LimnerError(f"there is no pair {pair}", "vote on a pair that the page shows")
        new_is_left = _new_is_left(self._mixed(promotion, caller.account, pair))
        meant: BlindChoice = "tie" if choice == "tie" else "new" if (choice == "left") == new_is_left else "old"
        promotion = self.vote(id, caller.account, pair, meant)
        if promotion.votes >= promotion.needed:
            from limner.stats.intervals import wilson

            share, low, high = wilson(promotion.new or 0, promotion.votes)
            won, votes = low > 0.5, f"{promotion.new} of {promotion.votes} votes"
            text = f"{votes} for the new one ({share:.0%}, 95% interval {low:.0%} to {high:.0%})"
            why = f"{text}: more than chance" if won else f"{text}: that may be chance, so the old one stays"
            self.change(id, (VOTING,), PROMOTED if won else DECLINED, [why])
        return self.get(id)

    def adapters(self, industry: str | None, image: bool, adapters: Sequence[AdapterUse]) -> tuple[AdapterUse, ...]:
        """The adapters of an industry, with those that were promoted. adapters: those that the profile names."""
        if industry is None or not adapters:
            return tuple(adapters)
        tag = industry.strip().casefold()
        promoted = [
            each.candidate
            for each in self.list((PROMOTED,))
            if each.candidate is not None and (each.industry, each.image) == (tag, image) and self.available(each)
        ]
        return (*adapters, *reversed(promoted))

    def used(self) -> str:
        """The promoted and waiting adapters as JSON, for what keeps files that are named."""
        states = (PROMOTED, VOTING, RESTORED)
        return json.dumps([each.candidate.path for each in self.list(states) if each.candidate is not None])

    def promoted(self) -> frozenset[str]:
        """The references of all promoted adapters, which every account may use."""
        return frozenset(each.candidate.path for each in self.list((PROMOTED,)) if each.candidate is not None)

    def available(self, promotion: Promotion) -> bool:
        """Whether the files of its improved adapter are stored."""
        found = None if promotion.candidate is None else REFERENCE.fullmatch(promotion.candidate.path)
        return found is not None and found[2] in self._files

    def restore(self, id: int, account: str) -> Promotion:
        """Use only the old adapters; the new one stays and can be promoted later. Ends a vote that is open."""
        by = account or "a person"
        if not self.change(id, (PROMOTED,), RESTORED, [f"taken back by {by}"], account) and not self.change(
            id, (VOTING,), DECLINED, [f"the vote was ended by {by}"], account
        ):
            raise LimnerError(f"improvement {id} is {self.get(id).status}", "take back one that is in use")
        return self.get(id)

    def promote(self, id: int, account: str) -> Promotion:
        """Use an improved adapter, whatever votes and metrics say."""
        if not self.available(self.get(id)):
            raise LimnerError(f"the files of improvement {id} are not stored", "improve the adapter again")
        why = f"promoted by {account or 'a person'}"
        if not self.change(id, (RESTORED, DECLINED, VOTING), PROMOTED, [why], account):
            raise LimnerError(f"improvement {id} is {self.get(id).status}", "promote one that is trained and not used")
        return self.get(id)

    def record(self, promotion: Promotion) -> ImprovementRecord | None:
        """The record of an improvement; None where it is gone, or not there yet."""
        reference = "" if promotion.candidate is None else promotion.candidate.path
        return self.record_of(reference) or self.record_of(self._adapter(promotion.run))

    def record_of(self, adapter: str) -> ImprovementRecord | None:
        """The record in the folder of an improved adapter; None where there is none."""
        found = REFERENCE.fullmatch(adapter)
        if found is None:
            return None
        try:
            file = self._files.manifest(found[2])[RECORD]
            if self._files.size(file) > LONGEST_RECORD:
                return None
            return ImprovementRecord.model_validate_json(self._files.read(file, 0, LONGEST_RECORD))
        except Unavailable:
            raise
        except (LookupError, LimnerError, ValueError):
            return None

    def _trained(self, promotion: Promotion, run: Run) -> None:
        """Let people vote on a trained adapter, or decide by its record."""
        path = self._adapter(run.id)
        record = self.record_of(path)
        if record is None:
            self.change(promotion.id, (TRAINING,), FAILED, ["its run left no record"])
            return
        candidate, why = promotion.original.model_copy(update={"path": path}), list(record.decision.reasons)
        if promotion.needed and self.pairs(promotion):
            status = VOTING
        else:
            status = PROMOTED if record.decision.replaces else DECLINED
            why += ["there are no images to vote on, so the measures decided"] if promotion.needed else []
        self.change(promotion.id, (TRAINING,), status, why, candidate=candidate)

    def _adapter(self, run: str | None) -> str:
        """The reference of the adapter that a run made; "" without one."""
        made = [] if run is None else self._store.artifacts(run, kind=ArtifactKind.ADAPTER)
        return next((str(each.details.get("reference", "")) for each in made), "")

    def _mixed(self, promotion: Promotion, account: str, pair: int) -> bytes:
        """A number that the service alone can compute, for the place and the sides of a pair."""
        secret = shared_secret(self._store, SECRET)
        return hmac.digest(secret, f"{promotion.id} {pair} {account}".encode(), "sha256")


def _new_is_left(mixed: bytes) -> bool:
    return mixed[-1] % 2 == 0


def _side_of(vote: BlindChoice | None, mixed: bytes) -> str | None:
    """The side of an account's vote."""
    if vote is None or vote == "tie":
        return vote
    return "left" if (vote == "new") == _new_is_left(mixed) else "right"
