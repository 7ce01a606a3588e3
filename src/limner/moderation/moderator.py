"""A policy at work: what its checks say of texts and pictures."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, CheckUse, JudgeFunction, Policy, RequestRefused, Unable, Verdict
from limner.core.requests import Request
from limner.moderation.policy import check_for

log = logging.getLogger("limner.safety")


@dataclass
class Judged:
    """What was said of something, check by check up to the first that refuses.

    refusal: why it is refused. text: the words that are.
    """

    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    refusal: RequestRefused | Unable | None = None
    text: str | None = None


class Moderator:
    """Judges by a policy. Its checks are loaded when they are first used, and again where that failed."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._ready: dict[str, JudgeFunction] = {}
        self._loading = Lock()

    def prepare(self, *stages: CheckStage) -> None:
        """Load the checks of these stages now; raises LimnerError with all that cannot be."""
        problems: list[str] = []
        for stage in stages:
            for use in self.policy.uses(stage):
                try:
                    self._judge_of(stage, use)
                except LimnerError as error:
                    problems.append(f"{stage}: {use.check}: {error}")
        if problems:
            raise LimnerError("the policy cannot be carried out: " + "; ".join(problems))

    def judge_request(self, request: Request) -> Judged:
        """What is said of a request's words."""
        return self.judge_texts(request.texts, "the prompt is refused")

    def judge_texts(self, texts: Iterable[str], what: str) -> Judged:
        """What is said of texts, up to the first that is refused. what: how the refusal begins."""
        judged = Judged()
        for text in texts:
            said = self.judge(
                CheckStage.PROMPT, text, hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(), what
            )
            judged.verdicts += said.verdicts
            if said.refusal:
                judged.refusal, judged.text = said.refusal, text
                break
        return judged

    def judge(self, stage: CheckStage, subject: Any, sha256: str, what: str) -> Judged:
        """What is said of one text or picture (RGB). what: how the refusal begins."""
        judged = Judged()
        for use in self.policy.uses(stage):
            told: dict[str, Any] = {"stage": stage, "subject": sha256, "check": use.check}
            try:
                found = self._judge_of(stage, use)(subject)
            except Exception:
                log.warning("the check %r cannot judge", use.check, exc_info=True)
                verdict = Verdict(**told, allowed=not use.required, skipped=True)
                judged.refusal = Unable(use.check) if use.required else None
            else:
                verdict = Verdict(**told, allowed=found.category is None, category=found.category, score=found.score)
                judged.refusal = RequestRefused(what, found.category) if found.category is not None else None
            judged.verdicts.append(verdict)
            if judged.refusal:
                break
        return judged

    def _judge_of(self, stage: CheckStage, use: CheckUse) -> JudgeFunction:
        key = use.model_dump_json(include={"check", "options"})
        with self._loading:
            if key not in self._ready:
                check = check_for(stage, use.check)
                self._ready[key] = check.ready(check.Options.model_validate(use.options))
            return self._ready[key]
