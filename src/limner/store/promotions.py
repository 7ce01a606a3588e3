"""Improved adapters that may join those of an industry, with the blind votes on them."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.promotions import BlindChoice, Promotion, PromotionStatus, PromotionStep
from limner.core.requests import AdapterUse
from limner.store.batches import batches
from limner.store.sessions import Database
from limner.store.tables import ImageIndexRow, PromotionRow, PromotionVoteRow
from limner.store.texts import fold_case, storable


class PromotionStore:
    """The promotions of all industries."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def list(self, status: Collection[PromotionStatus] = tuple(PromotionStatus)) -> builtins.list[Promotion]:
        """The promotions in these states, newest first."""
        query = select(PromotionRow).where(PromotionRow.status.in_(status)).order_by(PromotionRow.id.desc())
        with self.database.session() as session:
            return _promotions(session, session.scalars(query).all())

    def get(self, id: int) -> Promotion:
        """The promotion with an id. Raises LimnerError if there is none."""
        with self.database.session() as session:
            return _promotions(session, [_row(session, id)])[0]

    def last_ratings(self, industry: str, image: bool) -> int:
        """How many ratings an industry had when its newest promotion was started; 0 without any."""
        own = (PromotionRow.industry == industry) & PromotionRow.image.is_(image)
        newest = select(PromotionRow.ratings).where(own).order_by(PromotionRow.id.desc()).limit(1)
        with self.database.session() as session:
            return session.scalar(newest) or 0

    def add(self, industry: str, image: bool, original: AdapterUse, ratings: int, needed: int) -> int | None:
        """Record that an industry's adapter is about to be improved; returns the promotion's id.

        None if another promotion of the industry is not decided yet, also if another process was faster.
        """
        row = PromotionRow(
            industry=industry,
            image=image,
            original=original.model_dump(mode="json"),
            status=PromotionStatus.TRAINING,
            ratings=ratings,
            needed=needed,
            steps=[_step(PromotionStatus.TRAINING, "", [f"{ratings} ratings of its images"])],
            created=datetime.now(UTC),
        )
        try:
            with self.database.writing() as session:
                session.add(row)
                session.flush()
                return row.id
        except IntegrityError:  # by the index of open promotions
            return None

    def assign(self, id: int, run: str) -> None:
        """Record which run trains the adapter of a promotion."""
        with self.database.writing() as session:
            _row(session, id, lock=True).run = run

    def change(
        self,
        id: int,
        before: Collection[PromotionStatus],
        status: PromotionStatus,
        why: Sequence[str] = (),
        account: str = "",
        candidate: AdapterUse | None = None,
    ) -> bool:
        """Change the state of a promotion that is in one of the states `before`; returns whether it was.

        account: who changes it, "" for the service. candidate: the improved adapter; None leaves it as it is.
        """
        with self.database.writing() as session:
            row = session.get(PromotionRow, id, with_for_update=True)
            if row is None or row.status not in before:
                return False
            row.status, row.steps = status, [*row.steps, _step(status, account, why)]
            if candidate is not None:
                row.candidate = candidate.model_dump(mode="json")
            return True

    def vote(self, id: int, account: str, pair: int, choice: BlindChoice) -> Promotion:
        """Record an account's vote on a pair, in place of an earlier one; returns the promotion with all votes.

        Raises LimnerError if votes no longer count.
        """
        with self.database.writing() as session:
            row = _row(session, id, lock=True)
            if row.status != PromotionStatus.VOTING:
                raise LimnerError(f"the comparison is {row.status}", "vote on another one")
            found = session.get(PromotionVoteRow, (id, account, pair))
            if found is None:
                found = PromotionVoteRow(promotion=id, account=account, pair=pair)
                session.add(found)
            found.choice, found.created = choice, datetime.now(UTC)
            session.flush()
            return _promotions(session, [row])[0]

    def voted(self, id: int, account: str) -> dict[int, BlindChoice]:
        """An account's votes on a promotion, by pair."""
        own = (PromotionVoteRow.promotion == id) & (PromotionVoteRow.account == account)
        with self.database.session() as session:
            rows: Any = session.execute(select(PromotionVoteRow.pair, PromotionVoteRow.choice).where(own)).all()
            return {pair: cast(BlindChoice, choice) for pair, choice in rows}

    def own_prompts(self, account: str, prompts: Collection[str]) -> set[str]:
        """Those of some prompts that an account generated images of."""
        folded = {fold_case(prompt): prompt for prompt in prompts}
        found: set[str] = set()
        with self.database.session() as session:
            for words in batches([*folded]):
                own = (ImageIndexRow.owner == account) & ImageIndexRow.words.in_(words)
                found |= set(session.scalars(select(ImageIndexRow.words).where(own).distinct()))
        return {prompt for prompt in prompts if fold_case(prompt) in found}


def _step(status: PromotionStatus, account: str, why: Sequence[str]) -> dict[str, Any]:
    step = PromotionStep(status=status, time=datetime.now(UTC), account=account, why=tuple(map(storable, why)))
    return step.model_dump(mode="json")


def _row(session: Session, id: int, lock: bool = False) -> PromotionRow:
    row = session.get(PromotionRow, id, with_for_update=lock)
    if row is None:
        raise LimnerError(f"there is no improvement {id}", "choose one of the list")
    return row


def _promotions(session: Session, rows: Sequence[PromotionRow]) -> builtins.list[Promotion]:
    """The promotions of rows, with their votes."""
    votes = _votes(session, [row.id for row in rows])
    return [
        Promotion(
            id=row.id,
            industry=row.industry,
            image=row.image,
            original=AdapterUse.model_validate(row.original),
            candidate=None if row.candidate is None else AdapterUse.model_validate(row.candidate),
            run=row.run,
            status=PromotionStatus(row.status),
            needed=row.needed,
            votes=votes.get((row.id, "new"), 0) + votes.get((row.id, "old"), 0),
            new=votes.get((row.id, "new"), 0),
            old=votes.get((row.id, "old"), 0),
            ties=votes.get((row.id, "tie"), 0),
            steps=tuple(PromotionStep.model_validate(step) for step in row.steps),
            created=row.created,
        )
        for row in rows
    ]


def _votes(session: Session, ids: Sequence[int]) -> Mapping[tuple[int, str], int]:
    """How many votes each choice has, by promotion and choice."""
    columns = (PromotionVoteRow.promotion, PromotionVoteRow.choice)
    query = select(*columns, func.count()).where(PromotionVoteRow.promotion.in_(ids)).group_by(*columns)
    return {(promotion, choice): count for promotion, choice, count in session.execute(query)}
