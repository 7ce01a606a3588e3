"""What people liked, and improvements from their feedback, as the page Feedback shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from limner.core.accounts import Caller
from limner.core.events import ArtifactKind
from limner.core.feedback import ByWhat, RatingSummary
from limner.core.improve import ImprovementRecord, Measured
from limner.core.promotions import Promotion, PromotionStatus, PromotionStep
from limner.core.requests import ImproveRequest
from limner.core.runs import Run, Status
from limner.server.replies import ArtifactReply
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio
from limner.web.jobs import use_path
from limner.web.own_adapters import RunTexts, adapter_names, short_name, trained_adapters
from limner.web.rendering import moment
from limner.web.views import STATUS_TEXTS

BY_TEXTS: dict[ByWhat, str] = {
    "adapter": "What was taught",
    "industry": "Industry",
    "style": "Style",
    "model": "Base model",
}
NAMELESS: dict[ByWhat, str] = {
    "adapter": "Images without anything taught",
    "industry": "Images of no industry",
    "style": "Images of no style",
    "model": "Images of no model",
}
STATES = {
    PromotionStatus.TRAINING: "being trained",
    PromotionStatus.VOTING: "waits for votes",
    PromotionStatus.PROMOTED: "in use",
    PromotionStatus.DECLINED: "not used",
    PromotionStatus.RESTORED: "taken back",
    PromotionStatus.FAILED: "failed",
}
OUTCOMES = {
    PromotionStatus.PROMOTED: "The new one is in use",
    PromotionStatus.DECLINED: "The old one stays in use",
    PromotionStatus.RESTORED: "The old one is in use again",
    PromotionStatus.FAILED: "The comparison ended without a result",
}
"""What is true once people vote no more."""
VERDICTS = {"better": "better", "kept": "kept", "uncertain": "not certain", "worse": "worse"}
MOST_ROWS, OWN_RUNS, MOST_SHOWN = 50, 20, 50
"""Rows of a table, newest improvements that an account started, and newest ones of industries."""
SERVICE = "Limner"
"""Who made the changes that no account made."""


@dataclass(frozen=True)
class LikedRow:
    """A row of what people liked. stars, interval: as text, "" without. reasons: what was wrong, most frequent first.

    improve: where it can be improved, "" where the caller cannot.
    """

    name: str
    stars: str
    share: float
    interval: str
    ratings: int
    wins: int
    losses: int
    ties: int
    reasons: tuple[tuple[str, int], ...]
    improve: str


@dataclass(frozen=True)
class StepView:
    """A change of state: when, to what, by whom, and why."""

    time: str
    state: str
    account: str
    why: tuple[str, ...]


@dataclass(frozen=True)
class MeasureView:
    """A measure before and after, with the difference and its interval."""

    title: str
    before: str
    after: str
    difference: str
    interval: str
    verdict: str
    text: str


@dataclass(frozen=True)
class ImprovementView:
    """An improvement. title: what was improved, and for what. id: of a promotion, 0 for a run that somebody started.

    result: of the votes, "" while they are secret. vote: where the caller can vote, "" where it cannot. run: id, ""
    where it was erased. try_it: where the new one makes images. decision: by the measures. learnt: from what. These are
    "" where they are not known.
    """

    id: int
    title: str
    status: str
    state: str
    created: str
    votes: int = 0
    needed: int = 0
    ties: int = 0
    result: str = ""
    why: tuple[str, ...] = ()
    steps: tuple[StepView, ...] = ()
    measures: tuple[MeasureView, ...] = ()
    unmeasured: tuple[str, ...] = ()
    decision: str = ""
    learnt: str = ""
    run: str = ""
    vote: str = ""
    try_it: str = ""
    can_use: bool = False
    can_restore: bool = False

    @property
    def open(self) -> bool:
        """Whether people vote on it, so that its figures are shown on demand only."""
        return self.status == PromotionStatus.VOTING


def names_of(studio: Studio, caller: Caller, promotions: Sequence[Promotion] = ()) -> dict[str, str]:
    """The names of adapters by the hashes of their references. promotions: whose adapters are named by the original."""
    names = adapter_names(studio, caller.scope)
    for each in reversed(promotions):
        if each.candidate is not None:
            names.setdefault(hash_of(each.candidate.path), f"{name_of(each.original.path, names)}, improved")
    return names


def name_of(reference: str, names: Mapping[str, str]) -> str:
    """The name of an adapter."""
    return names.get(hash_of(reference)) or short_name(reference)


def hash_of(reference: str) -> str:
    """The hash in a reference."""
    return reference.rpartition(":")[2]


def liked_rows(
    studio: Studio, caller: Caller, view: Viewer, by: ByWhat, industry: str | None, names: Mapping[str, str]
) -> list[LikedRow]:
    """What people liked in the images that the viewer sees, best first. industry: only images with this tag."""
    own = {each.value for each in trained_adapters(studio, caller)} if by == "adapter" else set[str]()
    return [
        _liked_row(each, by, names, each.name or "" if each.name in own else "")
        for each in studio.feedback.summary(view, by, industry)[:MOST_ROWS]
    ]


def _liked_row(row: RatingSummary, by: ByWhat, names: Mapping[str, str], own: str) -> LikedRow:
    name = NAMELESS[by] if row.name is None else name_of(row.name, names) if by == "adapter" else row.name
    reasons = sorted(row.reasons.items(), key=lambda each: (-each[1], each[0]))
    return LikedRow(
        name=name,
        stars="" if row.mean is None else f"{row.mean:.1f}",
        share=row.mean or 0.0,
        interval="" if row.low is None or row.high is None else f"{row.low:.1f} to {row.high:.1f}",
        ratings=row.ratings,
        wins=row.wins,
        losses=row.losses,
        ties=row.ties,
        reasons=tuple((reason.replace("_", " "), count) for reason, count in reasons),
        improve=f"/feedback/improve?{urlencode({'target': own})}" if own else "",
    )


def improvement_views(studio: Studio, caller: Caller, promotions: Sequence[Promotion]) -> list[ImprovementView]:
    """All improvements of industries for an admin, and those that the caller started, newest first."""
    names = names_of(studio, caller, promotions)
    shown = [_of_promotion(studio, caller, each, names) for each in promotions[:MOST_SHOWN]] if is_admin(caller) else []
    listed = {each.run for each in promotions if each.run is not None}
    runs = studio.runs.list(OWN_RUNS, "improve", None, None, QUEUE, caller.scope)
    texts = RunTexts(studio)
    own = [(run.created, _of_run(studio, run, names, texts)) for run in runs if run.id not in listed]
    every = [*zip((each.created for each in promotions), shown, strict=False), *own]
    return [view for _, view in sorted(every, key=lambda each: each[0], reverse=True)]


def is_admin(caller: Caller) -> bool:
    """Whether a caller decides on adapters of industries."""
    return caller.scope is None


def votes_wanted(studio: Studio, caller: Caller, promotions: Sequence[Promotion]) -> list[tuple[str, str, int, int]]:
    """The blind comparisons with pairs that the caller has not voted on: place, industry, open pairs, and all pairs."""
    found: list[tuple[str, str, int, int]] = []
    for each in promotions:
        if each.status is PromotionStatus.VOTING:
            pairs = studio.promotions.shown_pairs(each, caller)
            if waiting := sum(pair.vote is None for pair in pairs):
                found.append((vote_place(each), each.industry, waiting, len(pairs)))
    return found


def vote_place(promotion: Promotion) -> str:
    """The path of a blind comparison."""
    return f"/feedback/votes/{promotion.id}"


def title_of(promotion: Promotion, names: Mapping[str, str]) -> str:
    """What was improved, and for what."""
    use = ", from an image" if promotion.image else ""
    return f"{name_of(promotion.original.path, names)} for {promotion.industry}{use}"


def result_of(promotion: Promotion) -> str:
    """The votes for each side, once they may be known."""
    if promotion.blind.new is None or not promotion.votes:
        return ""
    ties = f", {promotion.ties} alike" if promotion.ties else ""
    return f"{promotion.new} for the new one, {promotion.old} for the old one{ties}"


def _of_promotion(studio: Studio, caller: Caller, each: Promotion, names: Mapping[str, str]) -> ImprovementView:
    record, available = studio.promotions.record(each), studio.promotions.available(each)
    waiting = each.status is PromotionStatus.VOTING
    usable = (PromotionStatus.VOTING, PromotionStatus.DECLINED, PromotionStatus.RESTORED)
    return ImprovementView(
        id=each.id,
        title=title_of(each, names),
        status=each.status,
        state=STATES[each.status],
        created=moment(each.created),
        votes=each.votes,
        needed=each.needed,
        ties=each.ties,
        result=result_of(each),
        why=() if each.status is PromotionStatus.TRAINING or waiting else each.why,
        steps=tuple(_step(step, waiting) for step in each.steps),
        **_figures(record),
        run=each.run or "",
        vote=vote_place(each) if waiting and studio.promotions.shown_pairs(each, caller) else "",
        try_it=use_path(ArtifactKind.ADAPTER, each.candidate.path) if each.candidate and available else "",
        can_use=each.status in usable and available,
        can_restore=each.status in (PromotionStatus.PROMOTED, PromotionStatus.VOTING),
    )


def _step(step: PromotionStep, waiting: bool) -> StepView:
    hidden = waiting and step.status is PromotionStatus.VOTING
    return StepView(moment(step.time), STATES[step.status], step.account or SERVICE, () if hidden else step.why)


def _of_run(studio: Studio, run: Run, names: Mapping[str, str], texts: RunTexts) -> ImprovementView:
    """An improvement that an account started itself."""
    assert isinstance(run.request, ImproveRequest)
    made = [ArtifactReply.of(each) for each in studio.runs.artifacts(run.id, ArtifactKind.ADAPTER)]
    reference = next((each.reference or "" for each in made), "")
    record = studio.promotions.record_of(reference) if reference else None
    adapters = [use.path for use in run.request.target.adapter]
    name = name_of(adapters[0], names) if adapters else str(run.request.target.model)
    why = record.decision.reasons if record is not None else (texts.of(run, run.error),) if run.error else ()
    done = run.status is Status.DONE
    return ImprovementView(
        id=0,
        title=f"{name} for {run.request.industry}" if run.request.industry else name,
        status=str(run.status),
        state=_verdict(record) if done else STATUS_TEXTS[run.status],
        created=moment(run.created),
        why=tuple(why),
        **_figures(record, alone=True),
        run=run.id,
        try_it=use_path(ArtifactKind.ADAPTER, reference) if reference else "",
    )


def _verdict(record: ImprovementRecord | None) -> str:
    if record is None:
        return STATUS_TEXTS[Status.DONE]
    return "better than the old one" if record.decision.replaces else "not shown to be better"


def _figures(record: ImprovementRecord | None, alone: bool = False) -> dict[str, Any]:
    """What a record says, as fields of a view. alone: whether its decision is shown as the reason already."""
    if record is None:
        return {}
    learnt = f"Learnt from {record.pairs} pairs and {record.ratings} ratings in {record.steps} steps."
    measures = tuple(_measure(each) for each in record.measured)
    return {
        "measures": measures,
        "unmeasured": record.unmeasured,
        "decision": "" if alone else record.verdict,
        "learnt": f"{learnt} {record.too_little}".strip(),
    }


def _measure(each: Measured) -> MeasureView:
    interval = "" if each.low is None or each.high is None else f"{each.low:+.3f} to {each.high:+.3f}"
    return MeasureView(
        title=each.title,
        before=f"{each.old:.3f}",
        after=f"{each.new:.3f}",
        difference=f"{each.difference:+.3f}",
        interval=interval,
        verdict=each.verdict,
        text=VERDICTS[each.verdict],
    )
