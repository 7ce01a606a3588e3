"""Verdicts of moderation, and the policies that they were reached by.

A policy is kept in the database and not as a file by content: a run refers to it by a foreign key, so that no worker
finds a run whose policy is gone, and none can be swept away while a run names it.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from limner.core.moderation import KeptVerdict, Stage, Verdict
from limner.store.tables import PolicyRow, VerdictRow

if TYPE_CHECKING:
    from limner.store.runs import Lease, Store


class Verdicts:
    """What was judged, and by which policies."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: set[str] = set()

    def keep_policy(self, digest: str, text: str) -> None:
        """Keep a policy's text for whoever carries out the runs that name it."""
        if digest not in self._known and self.policy(digest) is None:
            with suppress(IntegrityError), self.store.session() as session:  # another service keeps it meanwhile
                session.add(PolicyRow(digest=digest, text=text, created=datetime.now(UTC)))
        self._known.add(digest)

    def policy(self, digest: str) -> str | None:
        """The text of a policy that is kept; None where there is none of that digest."""
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
        hold: Lease | None = None,
    ) -> None:
        """Remember verdicts; text: the words that the last of them refuses, where they are kept.

        Raises Lost where a worker that holds the run no longer tells them.
        """
        rows = [VerdictRow.of(verdict, policy, run, owner, text) for verdict in verdicts]
        if run is None:
            with self.store.session() as session:
                session.add_all(rows)
        else:
            with self.store.of_run(run, hold) as session:
                session.add_all(rows)

    def list(
        self,
        limit: int,
        *,
        run: str | None = None,
        allowed: bool | None = None,
        stage: Stage | None = None,
        before: int | None = None,
    ) -> builtins.list[KeptVerdict]:
        """Verdicts, newest first; before: the id of one, to list those older than it."""
        query = select(VerdictRow).order_by(VerdictRow.id.desc()).limit(limit)
        query = query if run is None else query.where(VerdictRow.run == run)
        query = query if allowed is None else query.where(VerdictRow.allowed.is_(allowed))
        query = query if stage is None else query.where(VerdictRow.stage == stage)
        query = query if before is None else query.where(VerdictRow.id < before)
        with self.store.session() as session:
            return [_verdict(row) for row in session.scalars(query)]


def _verdict(row: VerdictRow) -> KeptVerdict:
    return KeptVerdict.model_validate({name: getattr(row, name) for name in KeptVerdict.model_fields})
