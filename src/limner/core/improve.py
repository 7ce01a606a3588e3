"""The record of an improvement, as record.json stores it: what was learnt from, what was measured, what was decided."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from limner.core.feedback import Reason
from limner.core.requests import Frozen
from limner.core.requests.improve import LessonName
from limner.core.text import counted

RECORD, REPORT = "record.json", "report.html"
ERASED_TAG = "feedback_erased"
"""Tag of an improvement that learnt from feedback that was erased afterwards."""
PREFERENCE = "preference_accuracy"
"""The measure that must be above chance."""
Verdict = Literal["better", "kept", "uncertain", "worse"]


class Measured(Frozen):
    """One measure of the original and of the improved version, with the 95% interval of the difference.

    difference: improved minus original; low, high: None for a single value. count, of: how many values of what are
    compared: 8, "image pair". margin: the largest loss with which the improved version still replaces the original, in
    the unit of the measure. verdict: better if the interval is above zero, kept if the loss is at most the margin even
    at the end of the interval, worse if the difference itself is a loss beyond the margin, else uncertain. doubt: why
    the measure may not agree with people's judgement; None if it agrees with the truth.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    old: float
    new: float
    difference: float
    low: float | None = None
    high: float | None = None
    count: int
    of: str
    margin: float
    verdict: Verdict
    doubt: str | None = None

    @property
    def interval(self) -> str:
        """The difference with its interval, as text."""
        bounds = "" if self.low is None or self.high is None else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.difference:+.3f}{bounds}"

    @property
    def compared(self) -> str:
        """What is compared, such as "8 image pairs"."""
        return counted(self.count, self.of)

    @property
    def figures(self) -> str:
        """Both values and the difference with its interval, as text."""
        return f"{self.old:.3f} before, {self.new:.3f} after, difference {self.interval} over {self.compared}"


class Decision(Frozen):
    """Whether the improved version replaces the original, and why."""

    replaces: bool
    reasons: tuple[str, ...] = Field(min_length=1)

    @property
    def sentence(self) -> str:
        """The decision in plain English."""
        what = "It replaces the original" if self.replaces else "It is kept separately, and the original stays in use"
        return f"{what}: {'; '.join(self.reasons)}."


class RaterRecord(Frozen):
    """How much the feedback of one rater counted. rater: a pseudonym. why: what lowered the weight, a line each."""

    rater: str
    weight: float
    judgements: int
    why: tuple[str, ...] = ()


class AgreementOfRaters(Frozen):
    """Krippendorff's alpha with its 95% interval; None where no two raters judged the same. units: what they judged."""

    alpha: float | None = None
    low: float | None = None
    high: float | None = None
    units: int = 0

    @property
    def figures(self) -> str:
        """The agreement as text."""
        if self.alpha is None:
            return "no two raters judged the same images, so their agreement is not known"
        bounds = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"Krippendorff's alpha {self.alpha:.2f}{bounds} over {self.units} images or pairs"


class ImprovementRecord(Frozen):
    """All facts of an improvement.

    request: as JSON. target: the original by the user's name. original: SHA-256 of its adapter, None for a model. file,
    sha256: of the improved adapter. lesson_reason: why this lesson. feedback: hash of the feedback used. pairs,
    ratings: trained on. prompts: whose images are compared. reasons: how often each was given in the feedback used.
    too_little: what is said of too little feedback, "" for enough. taste: what one should know of whose taste it is.
    unmeasured: what was not measured, and why.
    """

    request: dict[str, Any]
    target: str
    original: str | None
    model: str
    file: str
    sha256: str
    lesson: LessonName
    lesson_reason: str
    steps: int
    loss: float | None
    feedback: str
    pairs: int
    ratings: int
    held_out_pairs: int
    held_out_ratings: int
    prompts: tuple[str, ...]
    reasons: dict[Reason, int] = Field(default_factory=dict[Reason, int])
    left_out: tuple[str, ...] = ()
    too_little: str = ""
    agreement: AgreementOfRaters = AgreementOfRaters()
    raters: tuple[RaterRecord, ...] = ()
    taste: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    unmeasured: tuple[str, ...] = ()
    decision: Decision

    @property
    def verdict(self) -> str:
        """The decision as one text."""
        return self.decision.sentence
