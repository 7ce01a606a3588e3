"""Verdicts of moderation, and the policies behind them.

A policy is stored in the database, not as a file: a run refers to it by a foreign key, so that no worker finds a run
whose policy is missing, and no sweep removes a policy that a run needs.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from limner.core.moderation import CheckStage, KeptVerdict, Verdict
from limner.store.runs import Lease, Store
from limner.store.tables import PolicyRow, VerdictRow


class Verdicts:
    """The verdicts and policies of all runs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: set[str] = set()

    def save_policy(self, digest: str, text: str) -> None:
        """Store a policy's text for the workers that execute its runs."""
        if digest not in self._known and self.policy(digest) is None:
            with suppress(IntegrityError), self.store.session() as session:  # another process stored it meanwhile
                session.add(PolicyRow(digest=digest, text=text, created=datetime.now(UTC)))
        self._known.add(digest)

    def policy(self, digest: str) -> str | None:
        """The text of a stored policy; None if there is none with this digest."""
        with self.store.session() as session:
            row = session.get(PolicyRow, digest)
            text = None if row is None else row.text
        return text if text is not None and hashlib.sha256(text.encode()).hexdigest() == digest else None

    def add(
        self,
        verdicts: Iterable[Verdict],
        policy: str,
        *,
        run: str | None = None,
        owner: str = "",
        text: str | None = None,
        lease: Lease | None = None,
    ) -> None:
        """Store verdicts. text: what the last of them refuses, if it is to be stored.

        Raises LeaseLost if `lease` is given and the worker no longer holds the run.
        """
        rows = [VerdictRow.of(verdict, policy, run, owner, text) for verdict in verdicts]
        if run is None:
            with self.store.session() as session:
                session.add_all(rows)
        else:
            with self.store.run_transaction(run, lease) as session:
                session.add_all(rows)

    def list(
        self,
        limit: int,
        *,
        run: str | None = None,
        allowed: bool | None = None,
        stage: CheckStage | None = None,
        before: int | None = None,
    ) -> builtins.list[KeptVerdict]:
        """Verdicts, newest first. before: id of a verdict; only older ones. run, allowed, stage: only those."""
        query = select(VerdictRow).order_by(VerdictRow.id.desc()).limit(limit)
        query = query if run is None else query.where(VerdictRow.run == run)
        query = query if allowed is None else query.where(VerdictRow.allowed.is_(allowed))
        query = query if stage is None else query.where(VerdictRow.stage == stage)
        query = query if before is None else query.where(VerdictRow.id < before)
        with self.store.session() as session:
            return [_verdict(row) for row in session.scalars(query)]


def _verdict(row: VerdictRow) -> KeptVerdict:
    return KeptVerdict.model_validate({name: getattr(row, name) for name in KeptVerdict.model_fields})
