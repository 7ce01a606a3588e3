"""Runs the checks of a policy on texts and images."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from limner.core.errors import LimnerError
from limner.core.moderation import (
    CheckStage,
    CheckUnavailable,
    CheckUse,
    Finding,
    JudgeFunction,
    Policy,
    RequestRefused,
    Verdict,
)
from limner.core.requests import Request
from limner.moderation.policy import check_for

log = logging.getLogger("limner.moderation")


@dataclass
class Judgement:
    """The verdicts on a text or image, check by check up to the first refusal.

    refusal: the error to raise, None where it is allowed. text: the refused text.
    """

    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    refusal: RequestRefused | CheckUnavailable | None = None
    text: str | None = None


class Moderator:
    """Judges by a policy. A check is loaded when it is first used; where that fails, the next use tries again."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._judges: dict[str, JudgeFunction] = {}
        self._loading = Lock()

    def prepare(self, *stages: CheckStage) -> None:
        """Load the checks of these stages; raises LimnerError with all that cannot be loaded."""
        problems: list[str] = []
        for stage in stages:
            for use in self.policy.uses(stage):
                try:
                    self._judge_of(stage, use)
                except LimnerError as error:
                    problems.append(f"{stage}: {use.check}: {error}")
        if problems:
            raise LimnerError("checks of the policy cannot be loaded: " + "; ".join(problems))

    def judge_request(self, request: Request) -> Judgement:
        """Judge the prompts of a request."""
        return self.judge_texts(request.texts, "the prompt is refused")

    def judge_texts(self, texts: Iterable[str], what: str) -> Judgement:
        """Judge texts, up to the first that is refused. what: beginning of the error message."""
        judgement = Judgement()
        for text in texts:
            sha256 = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
            found = self.judge(CheckStage.PROMPT, text, sha256, what)
            judgement.verdicts += found.verdicts
            if found.refusal:
                judgement.refusal, judgement.text = found.refusal, text
                break
        return judgement

    def judge(self, stage: CheckStage, subject: Any, sha256: str, what: str) -> Judgement:
        """Judge one text or image (RGB). what: beginning of the error message."""
        judgement = Judgement()
        for use in self.policy.uses(stage):
            fields: dict[str, Any] = {"stage": stage, "subject": sha256, "check": use.check}
            found = self._ask(stage, use, subject)
            if found is None:
                verdict = Verdict(**fields, allowed=not use.required, skipped=True)
                judgement.refusal = CheckUnavailable(use.check) if use.required else None
            else:
                verdict = Verdict(**fields, allowed=found.category is None, category=found.category, score=found.score)
                judgement.refusal = RequestRefused(what, found.category) if found.category is not None else None
            judgement.verdicts.append(verdict)
            if judgement.refusal:
                break
        return judgement

    def refused(self, texts: Iterable[str]) -> set[str]:
        """Those of many texts that are refused, without verdicts. Raises CheckUnavailable where a required check cannot
        judge.
        """
        uses, found = self.policy.uses(CheckStage.PROMPT), set[str]()
        for text in texts:
            for use in uses:
                finding = self._ask(CheckStage.PROMPT, use, text)
                if finding is None and use.required:
                    raise CheckUnavailable(use.check)
                if finding is not None and finding.category is not None:
                    found.add(text)
                    break
        return found

    def _ask(self, stage: CheckStage, use: CheckUse, subject: Any) -> Finding | None:
        """What a check finds; None where it cannot judge."""
        try:
            return self._judge_of(stage, use)(subject)
        except Exception:
            log.warning("the check %r failed", use.check, exc_info=True)
            return None

    def _judge_of(self, stage: CheckStage, use: CheckUse) -> JudgeFunction:
        key = use.model_dump_json(include={"check", "options"})
        with self._loading:
            if key not in self._judges:
                check = check_for(stage, use.check)
                self._judges[key] = check.ready(check.Options.model_validate(use.options))
            return self._judges[key]
