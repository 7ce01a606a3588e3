"""The gate of the queue: a request is judged by the policy of the day, a run by the one that it came in by."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from pydantic import ValidationError

from limner.core.errors import LimnerError
from limner.core.moderation import Policy, Verdict
from limner.core.requests import Request
from limner.core.runs import Run
from limner.moderation.moderator import Judged, Moderator
from limner.moderation.policy import read_policy
from limner.moderation.screening import Screening
from limner.store.runs import Lease
from limner.store.verdicts import Verdicts

MOST_CHARACTERS = 250_000
"""Characters of all the words of a queued request at most, in compatible form: moderation reads each of them."""


class Gate:
    """Judges requests and runs, and remembers the verdicts. policy: the shipped one when not given."""

    def __init__(self, verdicts: Verdicts, policy: Policy | None = None) -> None:
        self.verdicts = verdicts
        self._policy = policy
        self._carried: Moderator | None = None

    @cached_property
    def moderator(self) -> Moderator:
        """What judges the requests that are queued here."""
        return Moderator(self._policy or read_policy())

    def admit(self, request: Request, owner: str, run: str | None = None) -> list[Verdict]:
        """The verdicts that let a request in; raises Refused or Unable, and remembers why."""
        _check_length(request.texts)
        policy = self.moderator.policy
        self.verdicts.keep_policy(policy.digest, policy.text)
        judged = self.moderator.judge_request(request)
        if judged.refusal is not None:
            text = judged.text if policy.keep_text else None
            self.verdicts.add(judged.verdicts, policy.digest, run=run, owner=owner, text=text)
            raise judged.refusal
        return judged.verdicts

    def screening(self, run: Run, hold: Lease, folder: Path) -> Screening:
        """What lets a run through as the policy has it that it was admitted by. folder: where all that it makes is."""
        moderator = self._moderator_of(run)
        policy = moderator.policy
        self.verdicts.keep_policy(policy.digest, policy.text)

        def keep(judged: Judged) -> None:
            text = judged.text if policy.keep_text else None
            self.verdicts.add(judged.verdicts, policy.digest, run=run.id, owner=run.owner, text=text, lease=hold)

        return Screening(moderator, keep, folder)

    def _moderator_of(self, run: Run) -> Moderator:
        """What judges by a run's policy, with its models loaded once; a run of before there were policies has ours."""
        if run.policy is None:
            return self.moderator
        if run.policy == self.moderator.policy.digest:
            return self.moderator
        if self._carried is None or run.policy != self._carried.policy.digest:
            text = self.verdicts.policy(run.policy)
            try:
                self._carried = Moderator(Policy.model_validate_json(text or ""))
            except ValidationError as error:
                raise LimnerError(
                    f"policy {run.policy[:12]} of the run cannot be read by this worker",
                    "give the worker the service's version of Limner",
                ) from error
        return self._carried


def _check_length(texts: Iterable[str]) -> None:
    """Raise LimnerError for more words than are moderated of one request."""
    length = sum(len(text if text.isascii() else normalize("NFKC", text)) for text in texts)
    if length > MOST_CHARACTERS:
        raise LimnerError(
            f"the prompts of the request have {length:,} characters together, and {MOST_CHARACTERS:,} are the most",
            "write less, or send several requests",
        )
