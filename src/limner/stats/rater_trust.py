"""Whose feedback counts how much: raters who contradict themselves, the others, or outweigh all others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaterTrust:
    """How much one rater's feedback counts.

    rater: the pseudonym. weight: of each judgement, from 0 (left out) to 1. judgements: how many pairs and ratings.
    why: what lowers the weight, a line each, with its figures; empty at weight 1.
    """

    rater: str
    weight: float
    judgements: int
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustReport:
    """How far raters agree, and how much each counts.

    alpha, low, high: Krippendorff's alpha of what several raters judged, with its 95% interval; None where nothing can
    be compared. units: how many images or pairs of images several raters judged. raters: those with most judgements
    first.
    """

    alpha: float | None = None
    low: float | None = None
    high: float | None = None
    units: int = 0
    raters: tuple[RaterTrust, ...] = ()
